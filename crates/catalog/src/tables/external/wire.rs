//! What goes to an external catalog and comes back.

use futures::future::BoxFuture;
use iceberg::spec::{FormatVersion, TableMetadata};
use rat_types::{Layer, NamespaceName, TableIdent};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ExternalError;

/// Pages of a list of tables. A catalog that has more goes round in circles.
const MAX_PAGES: usize = 10_000;

/// A table as the protocol answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Answer {
    pub(super) metadata_location: Option<String>,
    pub(super) metadata: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Page {
    pub(super) identifiers: Vec<Named>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// What a table is created in answer to, before it is there.
#[derive(Debug, Deserialize)]
pub(super) struct Planned {
    pub(super) metadata: Plan,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Plan {
    pub(super) table_uuid: Uuid,
    pub(super) location: String,
}

/// Announces a table like `metadata`.
pub(super) fn plan_body(ident: &TableIdent, metadata: &TableMetadata) -> Value {
    let version = match metadata.format_version() {
        FormatVersion::V1 => "1",
        _ => "2",
    };
    let mut properties = metadata.properties().clone();
    properties.insert("format-version".to_owned(), version.to_owned());
    let spec = metadata.default_partition_spec().as_ref().clone();
    let order = metadata.default_sort_order();
    let mut body = json!({
        "name": ident.name,
        "location": metadata.location(),
        "schema": metadata.current_schema(),
        "stage-create": true,
        "properties": properties,
    });
    if !spec.is_unpartitioned() {
        body["partition-spec"] = json!(spec.into_unbound());
    }
    if !order.is_unsorted() {
        body["write-order"] = json!(order);
    }
    body
}

/// Layers and names are letters, digits, `-` and `_`, so nothing has to be escaped.
pub(super) fn tables_path(namespace: &NamespaceName, layer: Layer) -> String {
    format!("namespaces/{namespace}%1F{layer}/tables")
}

pub(super) fn table_path(ident: &TableIdent) -> String {
    format!(
        "{}/{}",
        tables_path(&ident.namespace, ident.layer),
        ident.name
    )
}

pub(super) fn page_query(token: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("pageToken", token).finish()
}

/// The tables of all pages. `fetch` gets one, by the token that the page before it has given.
///
/// # Errors
/// A page cannot be had, or there is no end of them: a part of a list is no list.
pub(super) async fn every_page<'a>(
    mut fetch: impl FnMut(Option<String>) -> BoxFuture<'a, Result<Page, ExternalError>>,
) -> Result<Vec<Named>, ExternalError> {
    let (mut tables, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let page = fetch(token).await?;
        tables.extend(page.identifiers);
        token = page.next_page_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(tables);
        }
    }
    Err(ExternalError::Endless { pages: MAX_PAGES })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn page(name: usize, next: Option<usize>) -> Page {
        Page {
            identifiers: vec![Named {
                name: name.to_string(),
            }],
            next_page_token: next.map(|next| next.to_string()),
        }
    }

    fn place(token: Option<String>) -> usize {
        token.map_or(0, |token| token.parse().unwrap())
    }

    #[tokio::test]
    async fn a_list_is_whole_or_an_error() {
        let whole = every_page(|token| {
            let place = place(token);
            let next = (place < MAX_PAGES - 1).then_some(place + 1);
            async move { Ok(page(place, next)) }.boxed()
        });
        let whole = whole.await.unwrap();
        assert_eq!(whole.len(), MAX_PAGES);
        assert_eq!(whole[MAX_PAGES - 1].name, (MAX_PAGES - 1).to_string());

        let endless = every_page(|token| {
            let next = place(token) + 1;
            async move { Ok(page(0, Some(next))) }.boxed()
        });
        let error = endless.await.err().unwrap();
        assert_eq!(error.reason(), "EXTERNAL_CATALOG_ANSWER");
        assert!(
            error.to_string().contains("no end after 10000 pages"),
            "{error}"
        );
    }
}
