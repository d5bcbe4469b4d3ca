//! A service on a socket of the test's own, and a client of it.

use std::path::PathBuf;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use rat_config::Address;
use rat_proto::query::v1::query_service_client::QueryServiceClient;
use rat_proto::query::v1::query_service_server::QueryServiceServer;
use rat_proto::query::v1::{ExecuteQueryRequest, ExecuteQueryResponse};
use rat_service::{grpc, listen};
use ratq::{Config, Health, Service};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Ratq {
    pub(crate) client: QueryServiceClient<Channel>,
    channel: Channel,
    control_plane: String,
    _folder: TempDir,
    _stop: DropGuard,
}

/// Generous limits.
pub(crate) fn config() -> Config {
    Config {
        timeout: LIMIT,
        max_rows: 100_000,
        memory_limit: 256 << 20,
        concurrent_queries: 4,
        partitions: 2,
        spill_dir: PathBuf::new(),
    }
}

/// One answer of the catalog to everything: that there is no such table.
async fn catalog(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = vec![0; 16 << 10];
        let _ = stream.read(&mut request).await;
        let body = r#"{"error":{"message":"no","type":"NoSuchTableException","code":404}}"#;
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

impl Ratq {
    pub(crate) async fn start(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            spill_dir: folder.path().to_owned(),
            ..config
        };
        let address = Address::Unix(folder.path().join("ratq.sock"));
        let listener = listen::bind(&address, None).await.unwrap();
        let service = Service::new(config).unwrap();
        let stop = CancellationToken::new();
        let health = Health::new(service.clone(), stop.clone());
        let routes =
            Routes::new(QueryServiceServer::new(service)).add_service(HealthServer::new(health));
        tokio::spawn(grpc::serve(
            listener,
            routes,
            Duration::from_secs(1),
            stop.clone(),
        ));
        let fake = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control_plane = format!("http://{}", fake.local_addr().unwrap());
        tokio::spawn(catalog(fake));
        let channel = grpc::channel(&address).unwrap();
        let client = QueryServiceClient::new(channel.clone());
        Self {
            client,
            channel,
            control_plane,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    /// What the health check says, and how long it takes.
    pub(crate) async fn health(&self) -> (ServingStatus, Duration) {
        let begin = std::time::Instant::now();
        let request = HealthCheckRequest {
            service: String::new(),
        };
        let answer = HealthClient::new(self.channel.clone()).check(request).await;
        let status = answer.unwrap().into_inner().status();
        (status, begin.elapsed())
    }

    pub(crate) fn request(&self, sql: &str) -> ExecuteQueryRequest {
        ExecuteQueryRequest {
            sql: sql.to_owned(),
            namespace: "shop".to_owned(),
            limit: 0,
            control_plane: self.control_plane.clone(),
            token: "rat_query_test".to_owned(),
        }
    }

    pub(crate) async fn open(
        &self,
        request: ExecuteQueryRequest,
    ) -> Result<Streaming<ExecuteQueryResponse>, Status> {
        let call = async { self.client.clone().execute_query(request).await };
        tokio::time::timeout(LIMIT, call)
            .await
            .expect("an answer in time")
            .map(|a| a.into_inner())
    }

    /// All messages of the answer.
    pub(crate) async fn messages(
        &self,
        request: ExecuteQueryRequest,
    ) -> Result<Vec<ExecuteQueryResponse>, Status> {
        let mut stream = self.open(request).await?;
        let mut messages = Vec::new();
        let read = async {
            while let Some(message) = stream.message().await? {
                messages.push(message);
            }
            Ok(messages)
        };
        tokio::time::timeout(LIMIT, read)
            .await
            .expect("the end in time")
    }

    /// Rows of the answer, and whether more were cut.
    pub(crate) async fn rows(&self, sql: &str) -> Result<(Vec<RecordBatch>, bool), Status> {
        let messages = self.messages(self.request(sql)).await?;
        let truncated = messages.last().unwrap().truncated;
        let stream: Vec<u8> = messages.into_iter().flat_map(|m| m.arrow_ipc).collect();
        let batches = StreamReader::try_new(stream.as_slice(), None).unwrap();
        Ok((batches.map(Result::unwrap).collect(), truncated))
    }

    /// The error of a statement.
    pub(crate) async fn refused(&self, sql: &str) -> Status {
        match self.messages(self.request(sql)).await {
            Ok(_) => panic!("{sql:?} was executed"),
            Err(status) => status,
        }
    }
}

/// The stable code in a status.
pub(crate) fn reason(status: &Status) -> &str {
    status
        .metadata()
        .get("rat-reason")
        .map_or("", |reason| reason.to_str().unwrap())
}
