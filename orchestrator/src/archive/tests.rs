//! Which step is next, for every state a log can be found in.

use deadelus_core::Chain;
use deadelus_mesh::lists::Shelf::{self, Archived, Ended, Open};
use deadelus_proto::{Artefact, Sha256};

use super::{
    FORGOTTEN_FOR_MS, Step,
    fixture::{AT_ONCE, FOR_EVER, LONG_AGO_MS, decided, start_and_no},
    is_due, next, start_max_age_ms,
};
use crate::config::{Keep, Retention};

/// Ten seconds later.
const NOW_MS: i64 = LONG_AGO_MS + 10_000;

fn chain(inputs: usize) -> Chain {
    let id = "wf-1".parse().unwrap();
    let mut chain = Chain::new(id);
    for (input, sequence) in start_and_no(&chain.id().clone()).into_iter().take(inputs).zip(3..) {
        let entry = decided(&chain, input);
        let _ = chain.read(sequence, &entry.bytes);
    }
    chain
}

fn archived() -> Chain {
    let mut chain = chain(2);
    let (media_type, name) = (String::new(), String::new());
    let archive = Artefact { sha256: Sha256::from_bytes([1; 32]), media_type, size_bytes: 1, name };
    let entry = chain.archive("a".into(), "one".into(), NOW_MS, archive).unwrap();
    let _ = chain.read(9, &entry.bytes);
    chain
}

fn forgotten() -> Chain {
    let mut chain = archived();
    let entry = chain.forget("f".into(), "one".into(), NOW_MS).unwrap();
    let _ = chain.read(11, &entry.bytes);
    chain
}

fn damaged() -> Chain {
    let mut chain = archived();
    let _ = chain.read(12, b"junk");
    chain
}

/// Archived, and then something followed.
fn gone_on() -> Chain {
    let mut chain = archived();
    let entry = chain.next("more".into(), "one".into(), "inbox".into(), NOW_MS, vec![]);
    let _ = chain.read(12, &entry.bytes);
    chain
}

#[test]
fn every_state_has_one_next_step() {
    let empty = || Chain::new("wf-1".parse().unwrap());
    let damage = Step::Leave("its log is damaged");
    let cases: [(&str, Shelf, Chain, Step); 12] = [
        ("ended", Ended, chain(2), Step::Archive),
        ("archived just now", Ended, archived(), Step::Clear { sequence: 9 }),
        ("archived long ago", Archived, archived(), Step::Forget),
        ("forgotten", Archived, forgotten(), Step::Empty { sequence: 11 }),
        ("forgotten, on the wrong shelf", Ended, forgotten(), Step::Empty { sequence: 11 }),
        ("taken up again", Ended, chain(1), Step::Relist),
        ("taken up again after the archive", Archived, gone_on(), Step::Relist),
        ("archived, with more after it", Ended, gone_on(), Step::Archive),
        ("damaged", Ended, damaged(), damage),
        ("damaged after the archive", Archived, damaged(), damage),
        ("no log", Ended, empty(), Step::Leave("its log has vanished")),
        ("nothing left", Archived, empty(), Step::Drop { sequence: 0 }),
    ];
    for (what, shelf, chain, step) in cases {
        assert_eq!(next(&AT_ONCE, shelf, &chain, false, NOW_MS), step, "{what}");
    }
}

#[test]
fn the_last_trace_goes_when_no_desk_can_remember() {
    let step = |now| next(&AT_ONCE, Archived, &forgotten(), true, now);
    assert_eq!(step(NOW_MS), Step::Wait);
    assert_eq!(step(NOW_MS + FORGOTTEN_FOR_MS), Step::Drop { sequence: 11 });
}

#[test]
fn a_log_that_is_younger_than_its_line_says_is_listed_again() {
    let terms = Retention { keep_log: Keep::For { ms: 10_001 }, ..AT_ONCE };
    assert_eq!(next(&terms, Ended, &chain(2), false, NOW_MS), Step::Relist);
    assert_eq!(next(&terms, Ended, &chain(2), false, NOW_MS + 1), Step::Archive);
}

#[test]
fn what_is_kept_for_ever_is_never_due() {
    let far = i64::MAX;
    let never = Retention { keep_log: Keep::Forever, ..AT_ONCE };
    for shelf in [Open, Ended, Archived] {
        assert!(!is_due(&never, shelf, 0, far));
    }
    assert!(is_due(&FOR_EVER, Ended, 0, far) && !is_due(&FOR_EVER, Archived, 0, far));
    let terms = Retention { keep_log: Keep::For { ms: 7 }, archive_for: Keep::For { ms: 90 } };
    let due = |shelf| (0..200).find(|now| is_due(&terms, shelf, 0, *now));
    assert_eq!((due(Ended), due(Archived), due(Open)), (Some(7), Some(97), None));
}

#[test]
fn a_start_is_not_believed_long_before_its_workflow_can_be_forgotten() {
    let terms = Retention { keep_log: Keep::For { ms: 10 }, archive_for: Keep::For { ms: 90 } };
    assert_eq!(start_max_age_ms(&terms), Some(50));
    assert_eq!(start_max_age_ms(&FOR_EVER), None);
}
