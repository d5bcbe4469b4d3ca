//! The route table: every path of `/api/v1` and of the root, with its handler, what it touches
//! and one line for people.
//!
//! The router is built from this table, the reference documentation is checked against it, and a
//! test walks it to see that every route checks what the table says it touches.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::routing::{MethodFilter, on};
use http::Method;

use crate::access::{Action, Permission, ResourceKind};
use crate::handler::{
    audit, cloud, file, health, meta, metrics, namespace, pipeline, plugin, query, run, run_log,
    sharing, table, validation, zone, zone_file,
};
use crate::state::AppState;

/// What stands between a route and its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: it answers without a credential.
    Open,
    /// A credential, where the installation has authentication; it touches no resource.
    Authenticated,
    /// A credential; what it may read is decided table by table in the catalog.
    Catalog,
    /// A credential, and access control on this kind of resource. A list shows what of it the
    /// caller may read.
    Access(ResourceKind, Action),
    /// A credential, and access control on the resource that the request names.
    Named(Action),
    /// A credential, and a permission of the platform.
    Permission(Permission),
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Method.
    pub method: &'static str,
    /// Path, with `{parameters}`.
    pub path: &'static str,
    /// What stands before it.
    pub guard: Guard,
    /// What it does.
    pub summary: &'static str,
}

const UPLOAD: &str = "/api/v1/landing-zones/{namespace}/{name}/files";
const QUERIES: [&str; 2] = [
    "/api/v1/query",
    "/api/v1/tables/{namespace}/{layer}/{name}/preview",
];

const fn access(kind: ResourceKind, action: Action) -> Guard {
    Guard::Access(kind, action)
}

macro_rules! routes {
    ($($method:ident $path:literal, $guard:expr, $handler:path, $summary:literal;)+) => {
        /// Every route but those of `/iceberg`, which the catalog has.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            guard: $guard,
            summary: $summary,
        },)+];

        /// The router of the table.
        pub(crate) fn router() -> Router<AppState> {
            Router::new()$(.route($path, on(MethodFilter::$method, $handler)))+
        }
    };
}

use Action::{Create, Delete, List, Read, Run, Share, Write};
use ResourceKind::{LandingZone, Namespace, Pipeline, Plugin, Table};

routes! {
    GET "/health", Guard::Open, health::health,
        "Whether every service is up; always 200";
    GET "/health/live", Guard::Open, health::live,
        "That the process is alive, and its version";
    GET "/health/ready", Guard::Open, health::ready,
        "Whether the process can do its work: 200 or 503";
    GET "/features", Guard::Open, meta::features,
        "Which capabilities are active";

    GET "/api/v1/health", Guard::Authenticated, health::health,
        "As /health";
    GET "/api/v1/health/live", Guard::Authenticated, health::live,
        "As /health/live";
    GET "/api/v1/health/ready", Guard::Authenticated, health::ready,
        "As /health/ready";
    GET "/api/v1/features", Guard::Authenticated, meta::features,
        "As /features";
    GET "/api/v1/me", Guard::Authenticated, meta::me,
        "Who is calling";

    GET "/api/v1/namespaces", access(Namespace, List), namespace::list,
        "List namespaces";
    POST "/api/v1/namespaces", access(Namespace, Create), namespace::create,
        "Create a namespace";
    GET "/api/v1/namespaces/{namespace}", access(Namespace, Read), namespace::get,
        "Get a namespace";
    PUT "/api/v1/namespaces/{namespace}", access(Namespace, Write), namespace::update,
        "Change a namespace's description";
    DELETE "/api/v1/namespaces/{namespace}", access(Namespace, Delete), namespace::delete,
        "Delete an empty namespace";

    GET "/api/v1/pipelines", access(Pipeline, List), pipeline::list,
        "List pipelines";
    POST "/api/v1/pipelines", access(Namespace, Create), pipeline::create,
        "Create a pipeline";
    GET "/api/v1/pipelines/{namespace}/{layer}/{name}", access(Pipeline, Read), pipeline::get,
        "Get a pipeline";
    PUT "/api/v1/pipelines/{namespace}/{layer}/{name}", access(Pipeline, Write), pipeline::update,
        "Change a pipeline's description or owner";
    DELETE "/api/v1/pipelines/{namespace}/{layer}/{name}", access(Pipeline, Delete),
        pipeline::delete,
        "Delete a pipeline and its sources; its table stays";
    POST "/api/v1/pipelines/{namespace}/{layer}/{name}/validate", access(Pipeline, Read),
        validation::validate,
        "Say what is wrong with a pipeline's sources, without running them";
    GET "/api/v1/pipelines/{namespace}/{layer}/{name}/tests", access(Pipeline, Read),
        validation::tests,
        "List a pipeline's quality tests";

    GET "/api/v1/files", access(Pipeline, List), file::list,
        "List source files by prefix";
    GET "/api/v1/files/{*path}", access(Pipeline, Read), file::get,
        "Get a source file";
    PUT "/api/v1/files/{*path}", access(Pipeline, Write), file::put,
        "Write a source file";
    DELETE "/api/v1/files/{*path}", access(Pipeline, Write), file::delete,
        "Delete a source file";

    GET "/api/v1/landing-zones", access(LandingZone, List), zone::list,
        "List landing zones";
    POST "/api/v1/landing-zones", access(Namespace, Create), zone::create,
        "Create a landing zone";
    GET "/api/v1/landing-zones/{namespace}/{name}", access(LandingZone, Read), zone::get,
        "Get a landing zone";
    PUT "/api/v1/landing-zones/{namespace}/{name}", access(LandingZone, Write), zone::update,
        "Change a landing zone's description, owner or expected schema";
    DELETE "/api/v1/landing-zones/{namespace}/{name}", access(LandingZone, Delete), zone::delete,
        "Delete a landing zone with its files";
    GET "/api/v1/landing-zones/{namespace}/{name}/files", access(LandingZone, Read),
        zone_file::list,
        "List the files of a landing zone";
    POST "/api/v1/landing-zones/{namespace}/{name}/files", access(LandingZone, Write),
        zone_file::upload,
        "Upload a file into a landing zone";
    GET "/api/v1/landing-zones/{namespace}/{name}/files/{file_id}", access(LandingZone, Read),
        zone_file::get,
        "Get the record of a landing file";
    DELETE "/api/v1/landing-zones/{namespace}/{name}/files/{file_id}", access(LandingZone, Write),
        zone_file::delete,
        "Delete a landing file";

    GET "/api/v1/runs", access(Pipeline, List), run::list,
        "List runs";
    POST "/api/v1/runs", access(Pipeline, Run), run::create,
        "Start a run";
    GET "/api/v1/runs/{run_id}", access(Pipeline, Read), run::get,
        "Get a run with its phases";
    POST "/api/v1/runs/{run_id}/cancel", access(Pipeline, Run), run::cancel,
        "Cancel a run";
    GET "/api/v1/runs/{run_id}/logs", access(Pipeline, Read), run_log::get,
        "Get or follow a run's log";
    GET "/api/v1/runs/{run_id}/quality", access(Pipeline, Read), run::quality,
        "Get the results of a run's quality tests";

    POST "/api/v1/query", Guard::Catalog, query::execute,
        "Execute a read-only query";
    GET "/api/v1/schema", access(Table, List), table::schema,
        "List all tables with their columns";
    GET "/api/v1/tables", access(Table, List), table::list,
        "List tables with their sizes";
    GET "/api/v1/tables/{namespace}/{layer}/{name}", access(Table, Read), table::get,
        "Get a table with its columns";
    GET "/api/v1/tables/{namespace}/{layer}/{name}/preview", access(Table, Read), table::preview,
        "Get the first rows of a table";
    PUT "/api/v1/tables/{namespace}/{layer}/{name}/metadata", access(Table, Write),
        table::describe,
        "Describe a table and its columns";
    DELETE "/api/v1/tables/{namespace}/{layer}/{name}", access(Table, Delete), table::delete,
        "Drop a table";

    GET "/api/v1/plugins", access(Plugin, List), plugin::list,
        "List plugins with their health";
    GET "/api/v1/plugins/{name}", access(Plugin, Read), plugin::get,
        "Get a plugin";
    POST "/api/v1/admin/plugins/reload", Guard::Permission(Permission::PluginsReload),
        plugin::reload,
        "Read the plugins of rat.yaml again";

    GET "/api/v1/audit", Guard::Permission(Permission::AuditRead), audit::list,
        "List what was changed, refused and denied";

    GET "/api/v1/sharing", Guard::Named(Share), sharing::list,
        "List grants";
    POST "/api/v1/sharing", Guard::Named(Share), sharing::create,
        "Give a user or a role access";
    DELETE "/api/v1/sharing/{grant_id}", Guard::Named(Share), sharing::delete,
        "Take a grant back";
    POST "/api/v1/sharing/transfer", Guard::Named(Share), sharing::transfer,
        "Give something to another owner";

    GET "/api/v1/cloud/credentials", access(Namespace, Read), cloud::credentials,
        "Get temporary credentials of a cloud";

    GET "/api/v1/metrics", Guard::Authenticated, metrics::metrics,
        "As /metrics";
    GET "/metrics", Guard::Authenticated, metrics::metrics,
        "Metrics in the text format of OpenMetrics";
}

fn matched(request: &Request) -> &str {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
}

/// Whether the request carries a file.
pub(crate) fn is_upload(request: &Request) -> bool {
    request.method() == Method::POST && matched(request) == UPLOAD
}

/// Whether the answer is that of a query.
pub(crate) fn is_query(request: &Request) -> bool {
    QUERIES.contains(&matched(request))
}

/// Whether the path is answered without a credential. Compared as it stands, before any decoding:
/// whatever is written differently is not open.
pub(crate) fn is_open(path: &str) -> bool {
    ROUTES
        .iter()
        .any(|route| route.guard == Guard::Open && route.path == path)
}

/// Whether the path is a health probe.
pub(crate) fn is_health(path: &str) -> bool {
    is_open(path) && path.starts_with("/health")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_exactly_what_was_decided() {
        let open: Vec<&str> = ROUTES
            .iter()
            .filter(|route| route.guard == Guard::Open)
            .map(|route| route.path)
            .collect();
        assert_eq!(
            open,
            ["/health", "/health/live", "/health/ready", "/features"]
        );
        for closed in [
            "/health/",
            "//health",
            "/healthz",
            "/Health",
            "/health%2flive",
            "/",
            "",
        ] {
            assert!(!is_open(closed), "{closed}");
        }
    }

    #[test]
    fn special_paths_are_in_the_table() {
        for path in QUERIES.iter().chain(&[UPLOAD]) {
            assert!(ROUTES.iter().any(|route| route.path == *path), "{path}");
        }
    }
}
