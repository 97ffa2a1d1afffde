//! A log reads the same wherever it is kept.

use async_nats::HeaderMap;
use bytes::Bytes;
use deadelus_mesh::{
    Mesh,
    append::{self, Append, Appended},
    archive::{self, Logged},
    objects,
};
use deadelus_proto::{Artefact, Subject, WorkflowId, pb};
use prost::Message as _;

use crate::mesh;

/// A log of some decisions that nobody folds, and its author.
struct Log {
    mesh: Mesh,
    id: WorkflowId,
    all: Vec<Logged>,
}

impl Log {
    async fn of_three(mesh: &Mesh) -> Self {
        let mut log = Self { mesh: mesh.clone(), id: "wf-1".parse().unwrap(), all: vec![] };
        for n in 0..3 {
            log.append(pb::Decision { id: format!("d{n}"), ..pb::Decision::default() }).await;
        }
        log
    }

    fn subject(&self) -> String {
        self.mesh.subjects.of(&Subject::Log(self.id.clone()))
    }

    fn last(&self) -> u64 {
        self.all.last().map_or(0, |(sequence, _)| *sequence)
    }

    async fn append(&mut self, decision: pb::Decision) {
        let decision = pb::Decision { builds_on: self.last(), ..decision };
        let bytes: Bytes = decision.encode_to_vec().into();
        let (id, headers) = (decision.id, HeaderMap::new());
        let append = Append::new(self.subject(), self.last(), id, bytes.clone(), headers).unwrap();
        let Appended::At(sequence) = append.finish(&self.mesh).await.unwrap() else { panic!() };
        self.all.push((sequence, bytes));
    }

    async fn seal(&mut self) -> Artefact {
        let archive = archive::store(&self.mesh, &self.id, &self.all).await.unwrap();
        let (id, archived) = (format!("sealed{}", self.last()), Some(archive.clone().into()));
        self.append(pb::Decision { id, archived, ..pb::Decision::default() }).await;
        archive
    }

    async fn purge(&self) {
        append::purge_below(&self.mesh, &self.subject(), self.last()).await.unwrap();
    }

    async fn read(&self, from: u64) -> Vec<Logged> {
        archive::read(&self.mesh, &self.id, from).await.unwrap()
    }
}

#[tokio::test]
async fn an_archived_log_reads_as_it_was_and_goes_on() {
    let (_server, mesh) = mesh().await;
    let mut log = Log::of_three(&mesh).await;
    assert_eq!(log.read(0).await, log.all);
    log.seal().await;
    assert_eq!(log.read(0).await, log.all, "archived and not yet purged");
    log.purge().await;
    log.purge().await;
    assert_eq!(append::read_log(&mesh, &log.subject(), 0).await.unwrap().len(), 1);
    assert_eq!(log.read(0).await, log.all);
    log.append(pb::Decision { id: "more".into(), ..pb::Decision::default() }).await;
    assert_eq!(log.read(0).await, log.all);
    for from in 0..=log.last() + 1 {
        let wanted: Vec<Logged> = log.all.iter().filter(|(s, _)| *s >= from).cloned().collect();
        assert_eq!(log.read(from).await, wanted, "from {from}");
    }
    // Once more, with all that was there.
    log.seal().await;
    log.purge().await;
    assert_eq!(log.read(0).await, log.all);
    assert_eq!(archive::named(&log.all).len(), 2);
}

#[tokio::test]
async fn a_duplicate_of_the_first_append_finds_the_place_taken() {
    let (_server, mesh) = mesh().await;
    let mut log = Log::of_three(&mesh).await;
    log.seal().await;
    log.purge().await;
    let (id, bytes) = ("again".to_owned(), log.all[0].1.clone());
    let append = Append::new(log.subject(), 0, id, bytes, HeaderMap::new()).unwrap();
    assert_eq!(append.finish(&mesh).await.unwrap(), Appended::Lost);
}

#[tokio::test]
async fn a_lost_archive_leaves_a_gap_and_a_forgotten_log_nothing() {
    let (_server, mesh) = mesh().await;
    let mut log = Log::of_three(&mesh).await;
    let archive = log.seal().await;
    log.purge().await;
    objects::remove(&mesh, &archive).await.unwrap();
    objects::remove(&mesh, &archive).await.unwrap();
    assert_eq!(log.read(0).await, log.all[3..]);
    let forgotten = pb::Decision { id: "f".into(), forgotten: true, ..pb::Decision::default() };
    log.append(forgotten).await;
    assert_eq!(log.read(0).await, log.all[4..]);
}
