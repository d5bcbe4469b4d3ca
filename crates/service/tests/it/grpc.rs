use std::time::{Duration, Instant};

use rat_config::Address;
use rat_service::grpc::{channel, serve};
use rat_service::listen::Listener;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{LIMIT, tcp, unix};

async fn health(address: &Address) -> Result<i32, tonic::Status> {
    let mut client = HealthClient::new(channel(address).unwrap());
    let answer = client
        .check(HealthCheckRequest {
            service: String::new(),
        })
        .await?;
    Ok(answer.into_inner().status)
}

async fn answers(listener: Listener, address: Address) {
    let (_reporter, service) = tonic_health::server::health_reporter();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(
        listener,
        Routes::new(service),
        Duration::from_secs(5),
        stop.clone(),
    ));
    assert_eq!(health(&address).await.unwrap(), 1);
    stop.cancel();
    tokio::time::timeout(LIMIT, server)
        .await
        .expect("the server ends")
        .unwrap();
}

#[tokio::test]
async fn a_call_goes_over_tcp() {
    let (listener, address) = tcp().await;
    answers(listener, address).await;
}

#[tokio::test]
async fn a_call_goes_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = unix(folder.path()).await;
    answers(listener, address).await;
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let (listener, address) = tcp().await;
    let stop = CancellationToken::new();
    let limit = Duration::from_secs(5);
    let _server = tokio::spawn(serve(listener, Routes::default(), limit, stop));
    assert_eq!(
        health(&address).await.unwrap_err().code(),
        Code::Unimplemented
    );
}

#[tokio::test]
async fn nobody_there_is_unavailable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let status = health(&Address::Unix(folder.path().join("none.sock")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let (listener, address) = tcp().await;
    drop(listener);
    let status = health(&address).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_channel_connects_again_after_the_server_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = unix(folder.path()).await;
    let (_reporter, service) = tonic_health::server::health_reporter();
    let mut client = HealthClient::new(channel(&address).unwrap());
    let mut listener = Some(listener);
    for _ in 0..2 {
        let listener = match listener.take() {
            Some(listener) => listener,
            None => unix(folder.path()).await.0,
        };
        let stop = CancellationToken::new();
        let routes = Routes::new(service.clone());
        let server = tokio::spawn(serve(
            listener,
            routes,
            Duration::from_secs(5),
            stop.clone(),
        ));
        client
            .check(HealthCheckRequest {
                service: String::new(),
            })
            .await
            .unwrap();
        stop.cancel();
        tokio::time::timeout(LIMIT, server)
            .await
            .expect("the server ends")
            .unwrap();
    }
}
