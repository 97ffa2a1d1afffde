//! On a real server: what is shown of many, each once, and which is the newest.

use deadelus_mesh::{config::NatsConfig, connect, streams};
use deadelus_tests::nats::NatsServer;

use super::*;

async fn lists() -> (NatsServer, Lists) {
    let server = NatsServer::start();
    let config = NatsConfig { url: server.url.clone(), ..NatsConfig::default() };
    let mesh = connect(&config, "test").await.unwrap();
    streams::ensure(&mesh, 1).await.unwrap();
    (server, Lists::of(&mesh))
}

async fn put(lists: &Lists, shelf: Shelf, id: &str, status: &str, from: i64, to: i64) {
    let summary = WorkflowSummary {
        workflow_id: id.to_owned(),
        status: status.to_owned(),
        started_unix_ms: from,
        updated_unix_ms: to,
        ended: !OPEN_STATES.contains(&status),
        ..WorkflowSummary::default()
    };
    lists.put(shelf, &summary).await.unwrap();
}

/// Two open, one that has just ended, two shelved, two archived; one of them is on two shelves.
async fn filled() -> (NatsServer, Lists) {
    let (server, lists) = lists().await;
    put(&lists, Shelf::Archived, "wf-1", "done", 10, 11).await;
    put(&lists, Shelf::Archived, "wf-2", "undone", 20, 21).await;
    put(&lists, Shelf::Ended, "wf-3", "done", 30, 31).await;
    put(&lists, Shelf::Ended, "wf-4", "undone", 40, 41).await;
    put(&lists, Shelf::Open, "wf-5", "running", 5, 100).await;
    put(&lists, Shelf::Open, "wf-6", "paused", 50, 60).await;
    put(&lists, Shelf::Open, "wf-4", "undone", 40, 41).await;
    (server, lists)
}

fn ids(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.summary.workflow_id.as_str()).collect()
}

#[tokio::test]
async fn a_person_sees_what_is_open_and_what_ended_last() {
    let (_server, lists) = filled().await;
    let shown = newest(&lists, None, 3).await.unwrap();
    assert_eq!(ids(&shown.open), ["wf-6", "wf-5"]);
    assert_eq!(ids(&shown.ended), ["wf-4", "wf-3", "wf-2"]);
    let paused = newest(&lists, Some("paused"), 3).await.unwrap();
    assert_eq!((ids(&paused.open), paused.ended.len(), paused.more), (vec!["wf-6"], 0, 0));
    let done = newest(&lists, Some("done"), 1).await.unwrap();
    assert_eq!((ids(&done.ended), done.more), (vec!["wf-3"], 1));
}

#[tokio::test]
async fn a_program_gets_each_once() {
    let (_server, lists) = filled().await;
    for (state, wanted) in [
        (None, vec!["wf-6", "wf-5", "wf-4", "wf-3", "wf-1", "wf-2"]),
        (Some("undone"), vec!["wf-4", "wf-2"]),
        (Some("running"), vec!["wf-5"]),
        (Some("nonsense"), vec![]),
    ] {
        let mut all = vec![];
        let act = |line: &Line| {
            all.push(line.summary.workflow_id.clone());
            Ok::<_, ViewError>(())
        };
        each(&lists, state, act).await.unwrap();
        assert_eq!(all, wanted, "{state:?}");
    }
}

#[tokio::test]
async fn the_latest_is_the_one_begun_last_however_many_ended_after_it() {
    let (_server, lists) = lists().await;
    assert_eq!(latest(&lists).await.unwrap(), None);
    put(&lists, Shelf::Ended, "wf-latest", "done", 1_000, 1_001).await;
    // Older ones that took longer, more than are looked at first.
    for n in 0..LATEST_WINDOW as i64 + 6 {
        put(&lists, Shelf::Ended, &format!("wf-{n}"), "done", n, 2_000 + n).await;
    }
    assert_eq!(latest(&lists).await.unwrap().as_deref(), Some("wf-latest"));
    put(&lists, Shelf::Archived, "wf-old", "done", 1, 2).await;
    put(&lists, Shelf::Open, "wf-open", "running", 1_002, 1_002).await;
    assert_eq!(latest(&lists).await.unwrap().as_deref(), Some("wf-open"));
}
