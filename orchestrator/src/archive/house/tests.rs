//! The steps on a real server: from every place where one can be killed the next one goes on.

use std::sync::Arc;

use deadelus_core::Input;
use deadelus_mesh::streams;

use super::*;
use crate::{
    archive::fixture::{
        AT_ONCE, FOR_EVER, append as append_to, decided, ended, journal, start_and_no,
    },
    journal,
};

/// All partitions are its to see to.
fn house(journal: &Journal, terms: &Retention) -> House {
    let (held, receiver) = watch::channel((0..8).collect());
    // As long as the process lives.
    std::mem::forget(held);
    House::new(journal.clone(), terms.clone(), receiver)
}

/// As many messages as a stream holds.
async fn messages(mesh: &Mesh, name: &str) -> u64 {
    let stream = mesh.jetstream.get_stream(streams::resource(mesh, name)).await.unwrap();
    stream.cached_info().state.messages
}

async fn on(house: &House, shelf: Shelf) -> Vec<Line> {
    let mut walk = house.lists.walk(shelf, 0).await.unwrap();
    let mut lines = vec![];
    while let Some(line) = walk.next().await.unwrap() {
        lines.push(line);
    }
    lines
}

/// A workflow that has ended, with its line.
async fn listed(journal: &Journal, house: &House, id: &str) -> Chain {
    let chain = ended(journal, id).await;
    let summary = projection::summary(chain.id(), &chain).unwrap();
    house.lists.put(Shelf::Open, &summary).await.unwrap();
    chain
}

async fn look_and_step(house: &mut House, line: &Line) -> Step {
    let id = line.summary.workflow_id.parse().unwrap();
    let look = Look::at(house.journal.mesh(), &id).await.unwrap();
    let step = next(&house.terms, line.shelf, &look.chain, look.is_alone, now_unix_ms());
    house.step(line, look, step).await.unwrap();
    step
}

#[tokio::test]
async fn killed_anywhere_the_next_one_goes_on_and_every_byte_is_kept() {
    let (_server, journal) = journal().await;
    let mesh = journal.mesh().clone();
    let mut first = house(&journal, &FOR_EVER);
    for (steps, id) in (0..).zip(["wf-0", "wf-1", "wf-2", "wf-3"]) {
        let chain = listed(&journal, &first, id).await;
        let before = archive::read(&mesh, chain.id(), 0).await.unwrap();
        first.shelve().await.unwrap();
        let line = on(&first, Shelf::Ended).await.pop().unwrap();
        match steps {
            0 => {}
            // The object is there, and nothing says so.
            1 => drop(archive::store(&mesh, chain.id(), &before).await.unwrap()),
            2 => assert_eq!(look_and_step(&mut first, &line).await, Step::Archive),
            // Purged, and the line not moved.
            _ => {
                look_and_step(&mut first, &line).await;
                let look = Look::at(&mesh, chain.id()).await.unwrap();
                let sealed = look.chain.last_sequence();
                append::purge_below(&mesh, &look.subject, sealed).await.unwrap();
            }
        }
        // Two at once, and neither knows of the other.
        let (mut second, mut third) = (house(&journal, &FOR_EVER), house(&journal, &FOR_EVER));
        let (a, b) = tokio::join!(second.look(), third.look());
        assert_eq!((a.unwrap(), b.unwrap()), (false, false));
        second.look().await.unwrap();
        assert_eq!(on(&second, Shelf::Ended).await, [], "after {steps} steps");
        let after = archive::read(&mesh, chain.id(), 0).await.unwrap();
        assert_eq!(after[..before.len()], before, "after {steps} steps");
        let mut read = journal::read(&mesh, chain.id()).await.unwrap();
        assert_eq!(read.workflow(), chain.workflow());
        assert!(matches!(read.keeping(), Keeping::Archived { .. }), "{read:?}");
        read.give_up();
        assert_eq!(read.gap(), None);
    }
    // Of each the decision that says where the others are.
    assert_eq!(messages(&mesh, streams::LOG).await, 4);
    assert_eq!(on(&first, Shelf::Archived).await.len(), 4);
}

#[tokio::test]
async fn an_archived_workflow_goes_on_and_is_archived_anew() {
    let (_server, journal) = journal().await;
    let mesh = journal.mesh().clone();
    let mut house = house(&journal, &FOR_EVER);
    listed(&journal, &house, "wf-1").await;
    house.look().await.unwrap();
    let id = "wf-1".parse().unwrap();
    let mut chain = journal::read(&mesh, &id).await.unwrap();
    let entry = chain.next("more".into(), "one".into(), "inbox".into(), 2_000, vec![]);
    append_to(&journal, &mut chain, entry).await;
    let summary = projection::summary(&id, &chain).unwrap();
    house.lists.put(Shelf::Open, &summary).await.unwrap();
    house.look().await.unwrap();
    house.look().await.unwrap();
    let read = journal::read(&mesh, &id).await.unwrap();
    assert_eq!((read.gap(), read.workflow()), (None, chain.workflow()));
    assert_eq!(messages(&mesh, streams::LOG).await, 1);
    assert_eq!(messages(&mesh, streams::ARTEFACTS).await, 2, "the older archive is gone");
    let lines = (on(&house, Shelf::Open).await, on(&house, Shelf::Ended).await);
    assert_eq!(lines, (vec![], vec![]));
    assert_eq!(on(&house, Shelf::Archived).await.len(), 1);
}

#[tokio::test]
async fn whoever_is_faster_than_the_archive_keeps_the_log() {
    let (_server, journal) = journal().await;
    let mut house = house(&journal, &FOR_EVER);
    let mut chain = listed(&journal, &house, "wf-1").await;
    house.shelve().await.unwrap();
    let line = on(&house, Shelf::Ended).await.pop().unwrap();
    let look = Look::at(journal.mesh(), chain.id()).await.unwrap();
    let entry = chain.next("more".into(), "one".into(), "inbox".into(), 2_000, vec![]);
    append_to(&journal, &mut chain, entry).await;
    assert!(!house.step(&line, look, Step::Archive).await.unwrap());
    let read = journal::read(journal.mesh(), chain.id()).await.unwrap();
    assert_eq!((read.keeping(), read.last_id()), (&Keeping::Log, "more"));
}

#[tokio::test]
async fn what_is_forgotten_leaves_nothing_and_an_old_start_cannot_begin_it_before() {
    let (_server, journal) = journal().await;
    let mesh = journal.mesh().clone();
    let mut house = house(&journal, &AT_ONCE);
    let chain = listed(&journal, &house, "wf-1").await;
    let id = chain.id().clone();
    let again = async || {
        let empty = Chain::new(id.clone());
        let start: Input = start_and_no(&id).into_iter().next().unwrap();
        let entry = Entry { id: "again".into(), ..decided(&empty, start) };
        let append = journal.append(&id, entry, 0).unwrap();
        append.finish(&mesh).await.unwrap()
    };
    assert_eq!(again().await, Appended::Lost);
    house.look().await.unwrap();
    assert_eq!(again().await, Appended::Lost);
    house.look().await.unwrap();
    assert_eq!(again().await, Appended::Lost);
    // Only that it is forgotten is still to be seen.
    assert_eq!(messages(&mesh, streams::ARTEFACTS).await, 0);
    assert_eq!(messages(&mesh, streams::LOG).await, 1);
    let read = journal::read(&mesh, &id).await.unwrap();
    assert_eq!((read.workflow(), read.gap()), (None, None));
    let line = on(&house, Shelf::Archived).await.pop().unwrap();
    let look = Look::at(&mesh, &id).await.unwrap();
    assert!(look.is_alone);
    let sequence = look.chain.last_sequence();
    for _ in 0..2 {
        let look = Look::at(&mesh, &id).await.unwrap();
        house.step(&line, look, Step::Drop { sequence }).await.unwrap();
    }
    assert_eq!(messages(&mesh, streams::LOG).await, 0);
    assert_eq!(messages(&mesh, streams::WORKFLOWS).await, 0);
}

#[tokio::test]
async fn damage_is_left_for_a_person_and_what_is_another_replicas_for_it() {
    let (_server, journal) = journal().await;
    let mesh = journal.mesh().clone();
    let mut all = house(&journal, &AT_ONCE);
    let chain = listed(&journal, &all, "wf-1").await;
    let (_held, none) = watch::channel(BTreeSet::new());
    let mut idle = House::new(journal.clone(), AT_ONCE, none);
    idle.look().await.unwrap();
    assert_eq!(on(&idle, Shelf::Open).await.len(), 1);
    let subject = mesh.subjects.of(&Subject::Log(chain.id().clone()));
    mesh.jetstream.publish(subject, "junk".into()).await.unwrap().await.unwrap();
    all.look().await.unwrap();
    assert_eq!(all.left, BTreeSet::from([chain.id().clone()]));
    assert_eq!(messages(&mesh, streams::LOG).await, 3);
    assert_eq!(on(&all, Shelf::Ended).await.len(), 1);
    let owner: Arc<str> = journal.owner();
    assert_eq!(&*owner, "one");
}
