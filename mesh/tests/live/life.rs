use std::time::Duration;

use deadelus_mesh::{MeshError, config::NatsConfig, connect};
use deadelus_tests::nats::NatsServer;
use futures_util::StreamExt;

use crate::{config, joined};

#[tokio::test]
async fn nobody_there_is_said_with_what_to_do() {
    let mut server = NatsServer::start();
    server.kill();
    let error = connect(&config(&server), "mesh-test").await.unwrap_err();
    assert!(matches!(error, MeshError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&server.url) && text.contains("deadelus up"), "{text}");
}

#[tokio::test]
async fn wrong_credentials_are_said_at_once() {
    let server = NatsServer::start_with(&["--user", "me", "--pass", "right"]);
    let login = |password: &str| NatsConfig {
        user: "me".to_owned(),
        password: password.to_owned().into(),
        ..config(&server)
    };
    let error = connect(&login("wrong"), "mesh-test").await.unwrap_err();
    assert!(matches!(error, MeshError::Refused { .. }), "{error}");
    connect(&login("right"), "mesh-test").await.unwrap();
}

#[tokio::test]
async fn draining_delivers_what_was_published() {
    let server = NatsServer::start();
    let (sender, reader) = (joined(&server).await, joined(&server).await);
    let mut heard = reader.client.subscribe("said").await.unwrap();
    // What comes back has passed the server behind the subscription; a flush only leaves this side.
    reader.client.publish("said", "listening".into()).await.unwrap();
    assert_eq!(heard.next().await.unwrap().payload, "listening");
    for n in 0..1_000 {
        sender.client.publish("said", n.to_string().into()).await.unwrap();
    }
    let client = sender.client.clone();
    sender.drain(Duration::from_secs(10)).await;
    for n in 0..1_000 {
        assert_eq!(heard.next().await.unwrap().payload, n.to_string());
    }
    assert!(client.publish("said", "late".into()).await.is_err(), "the connection is closed");
}

#[tokio::test]
async fn a_connection_outlives_its_server() {
    let mut server = NatsServer::start();
    let mesh = joined(&server).await;
    let mut echo = mesh.client.subscribe("echo").await.unwrap();
    server.kill();
    server.restart();
    let mut heard = None;
    for _ in 0..1_000 {
        let _ = mesh.client.publish("echo", "again".into()).await;
        let wait = tokio::time::timeout(Duration::from_millis(50), echo.next());
        heard = wait.await.ok().flatten();
        if heard.is_some() {
            break;
        }
    }
    assert_eq!(heard.unwrap().payload, "again");
}
