use async_nats::jetstream::{
    AckKind,
    consumer::pull,
    stream::{Config, RetentionPolicy},
};
use deadelus_mesh::{MeshError, streams};
use deadelus_proto::{
    Subject,
    limits::{TASK_ACK_WAIT, TASK_DELIVERIES_MAX},
};
use deadelus_tests::nats::NatsServer;
use futures_util::StreamExt;

use crate::{joined, mesh};

#[tokio::test]
async fn ensuring_twice_and_at_once_is_ensuring_once() {
    let server = NatsServer::start();
    let (one, two) = (joined(&server).await, joined(&server).await);
    let (a, b) = tokio::join!(streams::ensure(&one, 1), streams::ensure(&two, 1));
    a.unwrap();
    b.unwrap();
    streams::ensure(&one, 1).await.unwrap();
    for bucket in [streams::CARDS, streams::LEDGER, streams::WORKFLOWS] {
        let store = streams::bucket(&one, bucket).await.unwrap();
        store.put("key", "one".into()).await.unwrap();
        store.put("key", "two".into()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().unwrap(), "two");
        assert_eq!(store.status().await.unwrap().history(), 1, "{bucket}");
    }
}

#[tokio::test]
async fn a_server_without_room_says_for_what_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("small.conf");
    std::fs::write(&config, "jetstream { max_file_store: 100MB }").unwrap();
    let server = NatsServer::start_with(&["--config", config.to_str().unwrap()]);
    let mesh = joined(&server).await;
    let error = streams::ensure(&mesh, 1).await.unwrap_err();
    assert!(matches!(error, MeshError::NoRoom { .. }), "{error:?}");
    assert!(error.to_string().contains("max_file_store"), "{error}");
}

#[tokio::test]
async fn a_stream_that_differs_is_an_error_that_names_the_field() {
    let server = NatsServer::start();
    let mesh = joined(&server).await;
    let name = mesh.subjects.resource(streams::TASKS);
    let config = Config {
        name: name.clone(),
        subjects: vec![mesh.subjects.all("task")],
        retention: RetentionPolicy::Limits,
        ..Config::default()
    };
    mesh.jetstream.create_stream(config).await.unwrap();
    let error = streams::ensure(&mesh, 1).await.unwrap_err();
    assert!(matches!(&error, MeshError::Differs { resource, .. } if *resource == name), "{error}");
    assert!(error.to_string().contains("nats stream edit"), "{error}");
}

#[tokio::test]
async fn how_much_a_stream_keeps_is_the_operators_to_say() {
    let (_server, mesh) = mesh().await;
    let log = mesh.subjects.resource(streams::LOG);
    let stream = mesh.jetstream.get_stream(&log).await.unwrap();
    let config = Config { max_bytes: 1024 * 1024, ..stream.cached_info().config.clone() };
    mesh.jetstream.update_stream(&config).await.unwrap();
    streams::ensure(&mesh, 1).await.unwrap();
    let config = Config { deny_purge: true, ..config };
    mesh.jetstream.update_stream(&config).await.unwrap();
    let error = streams::ensure(&mesh, 1).await.unwrap_err();
    assert!(error.to_string().contains("deny_purge"), "{error}");
}

#[tokio::test]
async fn two_meshes_share_an_account() {
    let (server, _mesh) = mesh().await;
    let prefix = "team-b.v1".to_owned();
    let config = deadelus_mesh::config::NatsConfig { prefix, ..crate::config(&server) };
    let other = deadelus_mesh::connect(&config, "other").await.unwrap();
    streams::ensure(&other, 1).await.unwrap();
}

#[tokio::test]
async fn consumers_are_as_the_contract_says() {
    let (_server, mesh) = mesh().await;
    let db = "db".parse().unwrap();
    let tasks = streams::task_consumer(&mesh, &db, 7).await.unwrap();
    let again = streams::task_consumer(&mesh, &db, 9).await.unwrap();
    let config = &again.cached_info().config;
    assert_eq!(tasks.cached_info().name, "db");
    assert_eq!(config.max_ack_pending, 9);
    assert_eq!((config.ack_wait, config.max_deliver), (TASK_ACK_WAIT, TASK_DELIVERIES_MAX));
    assert!(config.backoff.is_empty());
    for partition in 0..deadelus_proto::limits::PARTITIONS {
        streams::take_inbox(&mesh, partition).await.unwrap();
    }
}

#[tokio::test]
async fn who_takes_an_inbox_over_has_all_of_it_at_once() {
    let (_server, mesh) = mesh().await;
    let frozen = streams::take_inbox(&mesh, 3).await.unwrap();
    // Two delivered and not acknowledged, one acknowledged, and a pull open for what comes next.
    let mut brought = frozen.messages().await.unwrap();
    let subject = mesh.subjects.inbox_of(3).replace(['*', '>'], "x");
    for word in ["one", "two", "three"] {
        mesh.jetstream.publish(subject.clone(), word.into()).await.unwrap().await.unwrap();
    }
    let first = brought.next().await.unwrap().unwrap();
    first.double_ack().await.unwrap();
    let second = brought.next().await.unwrap().unwrap();
    let mut taken = streams::take_inbox(&mesh, 3).await.unwrap().messages().await.unwrap();
    mesh.jetstream.publish(subject, "four".into()).await.unwrap().await.unwrap();
    for word in ["two", "three", "four"] {
        let message = taken.next().await.unwrap().unwrap();
        assert_eq!((&*message.payload, message.info().unwrap().delivered), (word.as_bytes(), 1));
    }
    // Awake again, the first one may still say that it is done with what it has.
    second.ack().await.unwrap();
}

#[tokio::test]
async fn the_servers_word_on_a_message_given_up_is_kept() {
    let (_server, mesh) = mesh().await;
    let tasks = streams::task_consumer(&mesh, &"db".parse().unwrap(), 1).await.unwrap();
    let subject = mesh.subjects.of(&Subject::Task("db.migrate".parse().unwrap()));
    mesh.jetstream.publish(subject, "poison".into()).await.unwrap().await.unwrap();
    let mut messages = tasks.messages().await.unwrap();
    let message = messages.next().await.unwrap().unwrap();
    message.double_ack_with(AckKind::Term).await.unwrap();
    let mut advisories = streams::stream(&mesh, streams::ADVISORIES)
        .await
        .unwrap()
        .create_consumer(pull::Config::default())
        .await
        .unwrap()
        .messages()
        .await
        .unwrap();
    let advisory = advisories.next().await.unwrap().unwrap();
    assert!(advisory.subject.contains("MSG_TERMINATED.DEADELUS_V1_TASKS.db"), "{advisory:?}");
}
