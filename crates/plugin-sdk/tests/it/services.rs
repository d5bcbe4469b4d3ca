//! What every plugin offers beside its slot.

use futures::StreamExt;
use rat_plugin_sdk::cloud::cloud_service_client::CloudServiceClient;
use rat_plugin_sdk::enforcement::{BatchCanAccessRequest, GetCredentialsRequest, ResourceRef};
use rat_plugin_sdk::messages::{DescribeRequest, HealthCheckRequest};
use rat_plugin_sdk::testing::{Harness, Version};
use rat_plugin_sdk::{Code, ResponseStream, auth::AuthorizeRequest};
use rat_proto::query::v1::query_service_client::QueryServiceClient;
use rat_proto::query::v1::query_service_server::{QueryService, QueryServiceServer};
use rat_proto::query::v1::{ExecuteQueryRequest, ExecuteQueryResponse};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest as StandardRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

use crate::support::{SECRET, in_time, server, start, start_with};

#[tokio::test]
async fn a_plugin_describes_itself() {
    let plugin = start().await;
    let described = plugin.control().describe(DescribeRequest {}).await.unwrap();
    let described = described.into_inner();
    assert_eq!(
        (described.name.as_str(), described.version.as_str()),
        ("work-shop", "1.2.3")
    );
    assert_eq!(described.slots, ["auth", "executor", "enforcement"]);
    let schema: Value = serde_json::from_str(&described.config_schema).unwrap();
    assert_eq!(schema["required"], json!(["name"]));
}

async fn health(mood: &str) -> (String, String, i32) {
    let config = json!({"name": "shop", "mood": mood});
    let plugin = start_with(server(), config).await;
    let own = plugin.control().health_check(HealthCheckRequest {}).await;
    let own = own.unwrap().into_inner();
    (
        own.status,
        own.message,
        standard(&plugin, "").await.unwrap(),
    )
}

async fn standard(plugin: &Harness, service: &str) -> Result<i32, Code> {
    let request = StandardRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(plugin.channel()).check(request).await;
    answer
        .map(|answer| answer.into_inner().status)
        .map_err(|status| status.code())
}

#[tokio::test]
async fn the_standard_health_follows_the_plugins_word() {
    const SERVING: i32 = 1;
    const NOT_SERVING: i32 = 2;
    let expected =
        |status: &str, message: &str, standard| (status.to_owned(), message.to_owned(), standard);
    assert_eq!(
        health("fine").await,
        expected("healthy", "all is well", SERVING)
    );
    assert_eq!(health("tired").await, expected("degraded", "yawn", SERVING));
    assert_eq!(
        health("ill").await,
        expected("down", "two lines", NOT_SERVING)
    );
    let (status, message, standard) = health("confused").await;
    assert_eq!((status.as_str(), standard), ("down", NOT_SERVING));
    assert!(!message.contains(SECRET));
}

#[tokio::test]
async fn the_standard_health_knows_the_services() {
    let plugin = start().await;
    for service in ["rat.auth.v1.AuthService", "rat.plugin.v1.PluginService"] {
        assert_eq!(standard(&plugin, service).await, Ok(1));
    }
    assert_eq!(
        standard(&plugin, "rat.cloud.v1.CloudService").await,
        Err(Code::NotFound)
    );
}

#[tokio::test]
async fn a_watch_of_the_health_ends_with_the_plugin() {
    let plugin = start().await;
    let mut client = HealthClient::new(plugin.channel());
    let request = |service: &str| StandardRequest {
        service: service.to_owned(),
    };
    let mut known = client.watch(request("")).await.unwrap().into_inner();
    assert_eq!(known.next().await.unwrap().unwrap().status, 1);
    let mut unknown = client.watch(request("x")).await.unwrap().into_inner();
    assert_eq!(unknown.next().await.unwrap().unwrap().status, 3);
    plugin.shut_down();
    assert!(in_time(known.next()).await.is_none());
    in_time(plugin.stop()).await;
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_them() {
    let plugin = start().await;
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let questions = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "rat.auth.v1.AuthService".to_owned(),
        )),
    ];
    let mut client = ServerReflectionClient::new(plugin.channel());
    let answers = client.server_reflection_info(futures::stream::iter(questions));
    let mut answers = answers.await.unwrap().into_inner();
    let first = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = first else {
        panic!("{first:?}");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for name in [
        "grpc.health.v1.Health",
        "rat.auth.v1.AuthService",
        "rat.enforcement.v1.EnforcementService",
        "rat.executor.v1.ExecutorService",
        "rat.plugin.v1.PluginService",
    ] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} in {names:?}"
        );
    }
    assert!(
        !names.iter().any(|found| found.contains("cloud")),
        "{names:?}"
    );
    let second = answers.next().await.unwrap().unwrap().message_response;
    assert!(matches!(
        second,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

#[tokio::test]
async fn reflection_is_there_for_older_tools() {
    use v1alpha::server_reflection_request::MessageRequest;
    let plugin = start().await;
    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(plugin.channel());
    let answers = client.server_reflection_info(futures::stream::iter([list]));
    let mut answers = answers.await.unwrap().into_inner();
    assert!(answers.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn what_a_plugin_does_not_offer_is_unimplemented() {
    let plugin = start().await;
    let status = CloudServiceClient::new(plugin.channel())
        .get_credentials(GetCredentialsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = plugin.auth().authorize(AuthorizeRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
    let headers = [("content-type", "application/grpc")];
    let path = "/rat.auth.v1.AuthService/Nonsense";
    let answer = plugin
        .request(Version::Http2, path, &headers, b"\0\0\0\0\0".as_slice())
        .await;
    assert_eq!(answer.headers["grpc-status"], "12");
}

#[tokio::test]
async fn a_batch_is_decided_one_by_one_where_the_plugin_has_no_better_way() {
    let plugin = start().await;
    let resource = |owner: &str| ResourceRef {
        owner: owner.to_owned(),
        ..ResourceRef::default()
    };
    let request = BatchCanAccessRequest {
        user_id: "alice".to_owned(),
        resources: vec![resource("alice"), resource("bob"), resource("alice")],
        ..BatchCanAccessRequest::default()
    };
    let answer = plugin.enforcement().batch_can_access(request).await;
    assert_eq!(answer.unwrap().into_inner().allowed, [true, false, true]);
}

#[tokio::test]
async fn those_who_watch_the_health_are_counted_and_keep_nobody_from_asking() {
    let plugin = start().await;
    let mut watching = Vec::new();
    let refused = loop {
        let request = StandardRequest::default();
        match HealthClient::new(plugin.channel()).watch(request).await {
            Ok(answer) => watching.push(answer.into_inner()),
            Err(status) => break status,
        }
        assert!(watching.len() < 1000);
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(standard(&plugin, "").await, Ok(1));
    let own = plugin.control().health_check(HealthCheckRequest {}).await;
    assert_eq!(own.unwrap().into_inner().status, "healthy");
    // Whoever goes makes room.
    watching.pop();
    let again = in_time(async {
        loop {
            let request = StandardRequest::default();
            match HealthClient::new(plugin.channel()).watch(request).await {
                Ok(answer) => break answer.into_inner(),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    again.await.next().await.unwrap().unwrap();
}

/// A service that is no slot, as an author generates one from a contract of their own.
struct Own;

#[tonic::async_trait]
impl QueryService for Own {
    type ExecuteQueryStream = ResponseStream<ExecuteQueryResponse>;

    async fn execute_query(
        &self,
        request: Request<ExecuteQueryRequest>,
    ) -> Result<Response<Self::ExecuteQueryStream>, Status> {
        let answer = ExecuteQueryResponse {
            arrow_ipc: request.into_inner().sql.into_bytes(),
            truncated: true,
        };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(answer)]))))
    }
}

#[tokio::test]
async fn a_service_of_the_authors_own_is_served_beside_the_slots() {
    let own = QueryServiceServer::new(Own);
    let server = server().service(own, rat_proto::FILE_DESCRIPTOR_SET);
    let plugin = start_with(server, json!({"name": "shop"})).await;
    let request = ExecuteQueryRequest {
        sql: "hi".to_owned(),
        ..ExecuteQueryRequest::default()
    };
    let mut client = QueryServiceClient::new(plugin.channel());
    let answers = client.execute_query(request).await.unwrap().into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 1);
    let headers = [("content-type", "application/connect+json")];
    let path = "/rat.query.v1.QueryService/ExecuteQuery";
    let body = b"\0\0\0\0\x0c{\"sql\":\"hi\"}".as_slice();
    let answer = plugin.request(Version::Http1, path, &headers, body).await;
    let expected = br#"{"arrowIpc":"aGk=","truncated":true}"#.as_slice();
    assert_eq!(answer.envelopes()[0], (0, expected.into()));
    let service = "rat.query.v1.QueryService";
    assert_eq!(standard(&plugin, service).await, Ok(1));
}
