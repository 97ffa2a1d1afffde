use deadelus_mesh::{
    Mesh,
    lists::{Lists, Shelf},
    streams,
};
use deadelus_proto::pb::WorkflowSummary;

use crate::mesh;

fn summary(id: &str, status: &str) -> WorkflowSummary {
    let (workflow_id, status) = (id.to_owned(), status.to_owned());
    WorkflowSummary { workflow_id, status, ..WorkflowSummary::default() }
}

async fn on(lists: &Lists, shelf: Shelf) -> Vec<String> {
    let mut walk = lists.walk(shelf, 0).await.unwrap();
    let mut ids = vec![];
    while let Some(line) = walk.next().await.unwrap() {
        ids.push(format!("{} {}", line.summary.workflow_id, line.summary.status));
    }
    ids
}

async fn stored(mesh: &Mesh) -> u64 {
    let bucket = mesh.subjects.resource(streams::WORKFLOWS);
    let stream = mesh.jetstream.get_stream(format!("KV_{bucket}")).await.unwrap();
    stream.cached_info().state.messages
}

#[tokio::test]
async fn a_line_moves_from_shelf_to_shelf_and_leaves_nothing_behind() {
    let (_server, mesh) = mesh().await;
    let lists = Lists::of(&mesh);
    for id in ["wf-1", "wf-2"] {
        lists.put(Shelf::Open, &summary(id, "done")).await.unwrap();
    }
    let mut walk = lists.walk(Shelf::Open, 0).await.unwrap();
    let line = walk.next().await.unwrap().unwrap();
    lists.move_to(Shelf::Ended, &line).await.unwrap();
    // As after a crash in the middle.
    lists.move_to(Shelf::Ended, &line).await.unwrap();
    assert_eq!(on(&lists, Shelf::Open).await, ["wf-2 done"]);
    assert_eq!(on(&lists, Shelf::Ended).await, ["wf-1 done"]);
    assert_eq!((lists.count(Shelf::Ended).await.unwrap(), stored(&mesh).await), (1, 2));
}

#[tokio::test]
async fn a_line_that_was_put_anew_is_not_taken_off() {
    let (_server, mesh) = mesh().await;
    let lists = Lists::of(&mesh);
    lists.put(Shelf::Open, &summary("wf-1", "done")).await.unwrap();
    let line = lists.walk(Shelf::Open, 0).await.unwrap().next().await.unwrap().unwrap();
    lists.put(Shelf::Open, &summary("wf-1", "undoing")).await.unwrap();
    lists.move_to(Shelf::Ended, &line).await.unwrap();
    assert_eq!(on(&lists, Shelf::Open).await, ["wf-1 undoing"]);
}

#[tokio::test]
async fn the_newest_are_found_among_many_and_what_is_no_line_is_passed_over() {
    let (_server, mesh) = mesh().await;
    let lists = Lists::of(&mesh);
    assert_eq!(lists.newest(Shelf::Ended, 3).await.unwrap(), []);
    for n in 0..5 {
        lists.put(Shelf::Ended, &summary(&format!("wf-{n}"), "done")).await.unwrap();
    }
    // More than one batch of others comes after them.
    for n in 0..1_100 {
        lists.put(Shelf::Open, &summary(&format!("wf-open-{n}"), "running")).await.unwrap();
    }
    let bucket = streams::bucket(&mesh, streams::WORKFLOWS).await.unwrap();
    bucket.put("junk", "junk".into()).await.unwrap();
    bucket.delete("wf-open-0").await.unwrap();
    let newest = lists.newest(Shelf::Ended, 3).await.unwrap();
    let ids: Vec<&str> = newest.iter().map(|line| line.summary.workflow_id.as_str()).collect();
    assert_eq!(ids, ["wf-4", "wf-3", "wf-2"]);
    assert_eq!(on(&lists, Shelf::Open).await.len(), 1_099);
}
