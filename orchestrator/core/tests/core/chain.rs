//! The log: what counts, what does not, where it must stop.

use deadelus_core::{Chain, Ending, Entry, Gap, Input, Keeping, Link, Step, Workflow, step};
use deadelus_proto::{Artefact, Sha256, pb};
use prost::Message;

use crate::fixture::{cancel, done, plan, report, start};

/// Two decisions: the start, and the report that `a` is done.
fn two_decisions() -> (Chain, Vec<Entry>) {
    let plan =
        plan("tasks: {a: {does: t.look, title: A}, b: {does: t.look, title: B, needs: [a]}}");
    let mut chain = Chain::new("wf".parse().unwrap());
    let mut state = None;
    let first = append(&mut chain, &mut state, 7, start(&plan));
    let asked = state.as_ref().map(Workflow::outstanding).unwrap();
    let deadelus_core::Command::Dispatch(key) = asked[0].clone() else { panic!("{asked:?}") };
    let news = deadelus_proto::News::Done(done(serde_json::json!({})));
    let second = append(&mut chain, &mut state, 9, report(&key, news));
    assert_eq!(chain.workflow(), state.as_ref());
    (chain, vec![first, second])
}

fn append(chain: &mut Chain, state: &mut Option<Workflow>, sequence: u64, input: Input) -> Entry {
    let Step { at_unix_ms, events, .. } = step(state, input, 5_000).unwrap();
    let id = format!("d{sequence}");
    let entry = chain.next(id, "one".into(), "inbox".into(), at_unix_ms, events);
    assert_eq!(chain.read(sequence, &entry.bytes), Link::Accepted);
    entry
}

/// The decision with something changed, as bytes again.
fn changed(entry: &Entry, change: impl FnOnce(&mut pb::Decision)) -> Vec<u8> {
    let mut decision = pb::Decision::decode(&*entry.bytes).unwrap();
    change(&mut decision);
    decision.encode_to_vec()
}

#[test]
fn what_was_decided_is_what_is_read() {
    let (chain, decisions) = two_decisions();
    let mut reader = Chain::new("wf".parse().unwrap());
    for (sequence, decision) in [7, 9].into_iter().zip(&decisions) {
        assert_eq!(reader.read(sequence, &decision.bytes), Link::Accepted);
    }
    assert_eq!(reader, chain);
    assert_eq!(reader.outstanding(), chain.workflow().unwrap().outstanding());
    assert_eq!((reader.last_sequence(), reader.last_id()), (9, "d9"));
    assert_eq!(reader.read(9, &decisions[1].bytes), Link::Known);
    assert_eq!(reader, chain);
}

#[test]
fn of_two_that_build_on_the_same_the_first_counts_for_every_reader() {
    let (mut chain, decisions) = two_decisions();
    let before = chain.workflow().cloned();
    let rival = |builds_on| {
        changed(&decisions[1], |d| {
            (d.id, d.owner, d.builds_on) = ("rival".into(), "two".into(), builds_on);
        })
    };
    let Link::Ignored(alarm) = chain.read(12, &rival(7)) else { panic!("the second counts") };
    assert_eq!(alarm.to_string(), "decision rival of two at 12 builds on 7, but 9 counts");
    // What the rival's author wrote on top of it does not count either.
    assert!(matches!(chain.read(13, &rival(12)), Link::Ignored(_)));
    assert_eq!(chain.workflow(), before.as_ref());

    // The log goes on from what counts.
    let mut state = before;
    let _ = append(&mut chain, &mut state, 14, cancel());
    assert_eq!(chain.last_sequence(), 14);
}

#[test]
fn what_builds_on_nothing_stops_everything() {
    let (chain, decisions) = two_decisions();
    let hash = decisions[1].sha256.to_vec();
    let third = |d: &mut pb::Decision| {
        (d.builds_on, d.first_event_no, d.previous_sha256) = (9, 5, hash.clone().into());
    };
    type Change = fn(&mut pb::Decision);
    let cases: [(Change, &str); 7] = [
        (|d| d.builds_on = 11, "an acknowledged decision vanished"),
        (|d| d.first_event_no = 4, "message 12 begins with event 4, but event 5 is next"),
        (|d| d.workflow_id = "other".into(), "message 12 is of workflow \"other\""),
        (|d| d.events[0].kind = None, "message 12 cannot be read"),
        (|d| d.previous_sha256 = vec![7; 32].into(), "message 12 does not follow"),
        (|d| d.previous_sha256 = vec![7].into(), "message 12 does not follow"),
        (|_| {}, "message 12 cannot follow"),
    ];
    for (change, expected) in cases {
        let mut chain = chain.clone();
        let damaged = changed(&decisions[1], |d| {
            third(d);
            change(d);
        });
        let Link::NeedsReconcile(gap) = chain.read(12, &damaged) else { panic!("{expected}") };
        assert!(gap.to_string().contains(expected), "{gap}");
        assert_eq!(chain.outstanding(), []);
        assert_eq!(chain.gap(), Some(&gap));
        let good = changed(&decisions[1], third);
        assert_eq!(chain.read(13, &good), Link::NeedsReconcile(gap));
    }
}

#[test]
fn a_log_begins_with_its_plan() {
    let (_, decisions) = two_decisions();
    let mut chain = Chain::new("wf".parse().unwrap());
    let second = changed(&decisions[1], |d| {
        (d.builds_on, d.first_event_no, d.previous_sha256) = (0, 1, vec![].into());
    });
    let Link::NeedsReconcile(Gap::Impossible { .. }) = chain.read(1, &second) else {
        panic!("a report came first");
    };
}

#[test]
fn junk_may_have_been_a_decision_so_nothing_goes_on_behind_it() {
    let (_, decisions) = two_decisions();
    let mut chain = Chain::new("wf".parse().unwrap());
    let _ = chain.read(7, &decisions[0].bytes);
    let Link::NeedsReconcile(gap) = chain.read(8, b"no protobuf") else {
        panic!("junk was passed over");
    };
    assert_eq!(chain.read(9, &decisions[1].bytes), Link::NeedsReconcile(gap));
    assert_eq!((chain.last_sequence(), chain.outstanding()), (8, vec![]));
}

#[test]
fn adopting_what_was_proposed_is_reading_it_back() {
    let (_, decisions) = two_decisions();
    let mut adopter = Chain::new("wf".parse().unwrap());
    let _ = adopter.read(7, &decisions[0].bytes);
    let mut reader = adopter.clone();
    let cancel = Input::Cancel { by: "me".into(), reason: "no need".into() };
    let proposal = adopter.propose(cancel, 9_000).unwrap().expect("a cancel is news");
    let (at, events) = (proposal.at_unix_ms(), proposal.events().to_vec());
    let entry = adopter.next("d9".into(), "one".into(), "inbox".into(), at, events);
    adopter.adopt(9, "d9".into(), entry.sha256, proposal);
    assert_eq!(reader.read(9, &entry.bytes), Link::Accepted);
    assert_eq!(adopter, reader);
}

#[test]
fn each_decision_carries_the_hash_of_the_one_before_and_old_ones_none() {
    let (chain, decisions) = two_decisions();
    let second = pb::Decision::decode(&*decisions[1].bytes).unwrap();
    assert_eq!(&*second.previous_sha256, &decisions[0].sha256);
    assert_eq!(chain.head(), Some(deadelus_proto::Sha256::from_bytes(decisions[1].sha256)));
    let mut reader = Chain::new("wf".parse().unwrap());
    let _ = reader.read(7, &decisions[0].bytes);
    let old = changed(&decisions[1], |d| d.previous_sha256.clear());
    assert_eq!(reader.read(9, &old), Link::Accepted, "a version that wrote none");
    assert_ne!(reader.head(), chain.head());
}

/// A workflow that was cancelled and taken back: its log, and the messages of it.
fn ended() -> (Chain, Vec<(u64, Vec<u8>)>) {
    let (mut chain, decisions) = two_decisions();
    let mut log: Vec<_> = [7, 9].into_iter().zip(decisions.into_iter().map(|d| d.bytes)).collect();
    let mut state = chain.workflow().cloned();
    log.push((10, append(&mut chain, &mut state, 10, cancel()).bytes));
    let deadelus_core::Command::Dispatch(key) = chain.outstanding()[0].clone() else { panic!() };
    let news = deadelus_proto::News::Done(done(serde_json::json!({})));
    log.push((11, append(&mut chain, &mut state, 11, report(&key, news)).bytes));
    assert_eq!(state.unwrap().ended().map(|(ending, _)| ending), Some(Ending::Cancelled));
    (chain, log)
}

fn archive() -> Artefact {
    let (media_type, name) = (String::new(), "wf.log".to_owned());
    Artefact { sha256: Sha256::from_bytes([7; 32]), media_type, size_bytes: 9, name }
}

fn sealed(chain: &Chain) -> Entry {
    chain.archive("d12".into(), "one".into(), 9_000, archive()).unwrap()
}

#[test]
fn only_what_has_ended_is_archived_and_only_what_is_archived_is_forgotten() {
    let (open, _) = two_decisions();
    assert_eq!(open.archive("d".into(), "one".into(), 9_000, archive()), None);
    let (mut chain, _) = ended();
    assert_eq!(chain.forget("d".into(), "one".into(), 9_000), None);
    let _ = chain.read(12, &sealed(&chain).bytes);
    assert!(chain.forget("d".into(), "one".into(), 9_000).is_some());
    let _ = chain.read(13, b"junk");
    assert_eq!(chain.archive("d".into(), "one".into(), 9_000, archive()), None);
    assert_eq!(chain.forget("d".into(), "one".into(), 9_000), None);
}

#[test]
fn an_archived_log_reads_as_before_and_goes_on() {
    let (mut chain, log) = ended();
    let before = chain.workflow().cloned();
    let sealed = sealed(&chain);
    assert_eq!(chain.read(12, &sealed.bytes), Link::Accepted);
    let archived = Keeping::Archived { archive: Box::new(archive()), sequence: 12 };
    assert_eq!((chain.keeping(), chain.last_sequence()), (&archived, 12));
    assert_eq!((chain.workflow(), chain.outstanding()), (before.as_ref(), vec![]));
    // What is in the archive, and what the log still has.
    let mut reader = Chain::new("wf".parse().unwrap());
    for (sequence, bytes) in &log {
        assert_eq!(reader.read(*sequence, bytes), Link::Accepted);
    }
    assert_eq!(reader.read(12, &sealed.bytes), Link::Accepted);
    assert_eq!(reader, chain);
    let next = reader.next("d13".into(), "one".into(), "inbox".into(), 9_500, vec![]);
    assert_eq!(reader.read(13, &next.bytes), Link::Accepted);
    assert_eq!(reader.keeping(), &Keeping::Log);
}

#[test]
fn an_archive_that_is_away_or_was_changed_is_a_gap() {
    let (chain, log) = ended();
    let sealed = sealed(&chain);
    let mut reader = Chain::new("wf".parse().unwrap());
    let gap = Gap::Vanished { sequence: 12, builds_on: 11 };
    assert_eq!(reader.read(12, &sealed.bytes), Link::NeedsReconcile(gap));
    // The last one has nobody after it in the log but the decision that archived.
    let mut reader = Chain::new("wf".parse().unwrap());
    for (sequence, bytes) in &log[..3] {
        assert_eq!(reader.read(*sequence, bytes), Link::Accepted);
    }
    let mut other = pb::Decision::decode(&*log[3].1).unwrap();
    other.owner = "somebody else".into();
    assert_eq!(reader.read(11, &other.encode_to_vec()), Link::Accepted);
    let changed = Link::NeedsReconcile(Gap::Changed { sequence: 12 });
    assert_eq!(reader.read(12, &sealed.bytes), changed);
}

#[test]
fn what_is_forgotten_is_no_workflow_and_no_damage() {
    let (mut chain, _) = ended();
    let _ = chain.read(12, &sealed(&chain).bytes);
    let forget = chain.forget("d13".into(), "one".into(), 9_900).unwrap();
    let mut alone = chain.again();
    for reader in [&mut chain, &mut alone] {
        assert_eq!(reader.read(13, &forget.bytes), Link::Accepted);
        assert_eq!((reader.workflow(), reader.gap(), reader.lacks()), (None, None, false));
        let forgotten = Keeping::Forgotten { sequence: 13, at_unix_ms: 9_900 };
        assert_eq!((reader.keeping(), reader.last_sequence()), (&forgotten, 13));
    }
    // Not in the middle of a log that it does not end.
    let (mut open, _) = two_decisions();
    let vanished = Gap::Vanished { sequence: 13, builds_on: 12 };
    assert_eq!(open.read(13, &forget.bytes), Link::NeedsReconcile(vanished));
}
