//! The failure table of the engine, row by row: each row that a simulation can show is a test of its
//! name. Where a row says "crash" or "pause", it is at every point there is.

use std::sync::Arc;

use deadelus_core::CheckedPlan;
use deadelus_sim::{Lived, Quirks, Setup, Strike, plans};

/// Stories of a quirk: enough for each of its chances to have come up many times.
const STORIES: u64 = 60;

/// Two things are made, the second of the first, and looked at.
fn two_steps() -> Arc<CheckedPlan> {
    plans::plan(
        "approval: none\ntasks:\n  one: {does: a.make, title: T, timeout: 90s}\n  two: {does: b.make, title: T, \
         needs: [one], timeout: 90s}\n  see: {does: a.look, title: T, needs: [two], timeout: 90s}\n",
    )
}

fn world(seed: u64, quirks: Quirks) -> Setup {
    Setup { plan: Some(two_steps()), ..Setup::quiet(seed, quirks) }
}

fn live(setup: &Setup) -> Lived {
    setup.live().unwrap_or_else(|broken| panic!("{broken}"))
}

/// Lives through the same quirks with many seeds, each with a plan of its own; adds up what was seen
/// of `what`.
fn stories(quirks: Quirks, what: &str) -> u64 {
    let lived = (0..STORIES).map(|seed| live(&Setup::quiet(seed, quirks)));
    lived.map(|lived| lived.seen.get(what).copied().unwrap_or(0)).sum()
}

/// At every point at which a process of its kind may be struck.
fn at_every_point(at_worker: bool, pause_ms: i64, orchestrators: usize) -> Vec<Lived> {
    let quiet = Setup { orchestrators, ..world(7, Quirks::default()) };
    let points = live(&quiet).points[usize::from(at_worker)];
    assert!(points > 30, "{points} points only");
    let struck = (1..=points).map(|point| {
        let strike = Some(Strike { at_worker, point, pause_ms });
        live(&Setup { strike, ..quiet.clone() })
    });
    struck.collect()
}

/// Whether it is no letter that a decision answers.
fn by_itself(cause: &str) -> bool {
    cause == "timer" || cause == "slots"
}

/// Whoever was told what: three tasks were asked for and done once each.
fn all_done_once(lived: &Lived) {
    let n = |what: &str| lived.seen.get(what).copied().unwrap_or(0);
    assert_eq!(
        (n("done"), n("accepted"), n("task done")),
        (1, 1, 3),
        "{:#?}",
        (&lived.seen, &lived.causes)
    );
    assert!(
        lived.causes.iter().all(|(cause, n)| *n == 1 || by_itself(cause)),
        "{:#?}",
        (&lived.seen, &lived.causes)
    );
}

#[test]
fn crash_between_publish_and_puback() {
    // The points between an append and its answer are among them; each cause is decided once.
    at_every_point(false, 0, 1).iter().for_each(all_done_once);
}

#[test]
fn crash_after_append_before_dispatch() {
    at_every_point(false, 0, 2).iter().for_each(all_done_once);
}

#[test]
fn crash_after_dispatch_before_inbox_ack() {
    let events = |lived: &Lived| lived.seen.get("requested").copied();
    let untouched = events(&live(&world(7, Quirks::default())));
    for lived in at_every_point(false, 0, 2) {
        assert_eq!(events(&lived), untouched, "a redelivered letter is no news");
    }
}

#[test]
fn puback_lost_retried() {
    for seed in 0..STORIES {
        let lived = live(&world(seed, Quirks { lost_ack: 30, ..Quirks::default() }));
        assert_eq!(
            (lived.seen["accepted"], lived.seen["task done"]),
            (1, 3),
            "{:#?}",
            (&lived.seen, &lived.causes)
        );
        // A letter that comes again may find that it is time for a retry; that is a decision, too.
        let again = lived.causes.iter().filter(|(cause, _)| !by_itself(cause)).map(|(_, n)| n - 1);
        let retried = lived.seen.get("retried").copied().unwrap_or(0);
        assert!(u64::from(again.sum::<u32>()) <= retried, "{:#?}", (&lived.seen, &lived.causes));
    }
}

#[test]
fn duplicate_report() {
    for seed in 0..STORIES {
        let quirks = Quirks { duplicate: 60, reorder: 30, ..Quirks::default() };
        all_done_once(&live(&world(seed, quirks)));
    }
}

#[test]
fn report_of_a_stale_attempt_success() {
    let quirks =
        Quirks { trouble: 25, pause: 30, slow_consumer: 30, crash: 20, ..Quirks::default() };
    assert!(stories(quirks, "late effect") > 0, "no attempt landed after it was given up");
}

#[test]
fn late_success_after_cancel() {
    let quirks = Quirks { trouble: 60, slow_consumer: 20, ..Quirks::default() };
    assert!(stories(quirks, "cancelled") > 0, "nobody cancelled");
}

#[test]
fn report_for_an_unknown_or_purged_workflow() {
    let lived = world(3, Quirks::default()).live_with_a_stranger();
    let lived = lived.unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(lived.refused, ["there is no such workflow; it may have been purged"]);
}

#[test]
fn two_orchestrators_on_one_partition_a_paused_old_owner_waking_up() {
    for lived in at_every_point(false, 25_000, 3) {
        assert_eq!(lived.seen.get("done"), Some(&1), "{:#?}", (&lived.seen, &lived.causes));
        assert_eq!(lived.seen.get("alarms"), Some(&0), "{:#?}", (&lived.seen, &lived.causes));
    }
}

#[test]
fn slow_worker_declared_dead_then_answers() {
    for lived in at_every_point(true, 40_000, 2) {
        let n = |what: &str| lived.seen.get(what).copied().unwrap_or(0);
        assert_eq!(n("done") + n("undone"), 1, "{:#?}", (&lived.seen, &lived.causes));
    }
}

#[test]
fn one_attempt_two_workers_what_the_slower_brings_back_is_undone() {
    let quirks =
        Quirks { trouble: 25, pause: 30, slow_consumer: 30, lost_ack: 25, ..Quirks::default() };
    let by_another = stories(quirks, "landed by another");
    assert!(by_another > 0, "no frozen worker landed after another had the last word");
}

#[test]
fn a_slow_worker_leaves_what_a_later_attempt_has_taken_up() {
    let quirks = Quirks { trouble: 60, pause: 30, lost_ack: 25, ..Quirks::default() };
    assert!(stories(quirks, "left to another") > 0, "nobody was slow and not content");
}

#[test]
fn a_second_copy_of_what_has_failed_does_not_begin() {
    let quirks = Quirks { trouble: 60, lost_ack: 40, pause: 30, ..Quirks::default() };
    assert!(stories(quirks, "not begun") > 0, "nobody came too late to begin");
}

#[test]
fn the_first_line_of_the_list_is_lost_and_its_replica_dies() {
    let quirks = Quirks { lost_message: 40, crash: 40, ..Quirks::default() };
    for seed in 0..STORIES {
        let lived = live(&Setup { orchestrators: 1, ..world(seed, quirks) });
        assert_eq!(lived.seen.get("accepted"), Some(&1), "{:#?}", (&lived.seen, &lived.causes));
    }
    assert!(stories(quirks, "lines lost") > 0, "no line was lost");
}

#[test]
fn worker_dies_mid_task() {
    for lived in at_every_point(true, 0, 2) {
        assert_eq!(lived.seen.get("done"), Some(&1), "{:#?}", (&lived.seen, &lived.causes));
    }
}

#[test]
fn what_is_locked_or_limited_is_held_by_no_more_and_leaks_nowhere() {
    let plan = plans::plan(
        "approval: none\ntasks:\n  one: {does: a.make, title: T, locks: [x], timeout: 90s}\n  two: \
         {does: b.make, title: T, locks: [x, y], timeout: 90s}\n  see: {does: a.look, title: T, \
         needs: [two], timeout: 90s}\n",
    );
    let quirks = Quirks { crash: 25, pause: 25, lost_ack: 25, trouble: 25, ..Quirks::default() };
    let mut waited = 0;
    for seed in 0..STORIES {
        let (plan, workflows) = (Some(Arc::clone(&plan)), 4);
        let lived = live(&Setup { plan, workflows, ..Setup::quiet(seed, quirks) });
        waited += lived.seen["slots waited for"];
    }
    assert!(waited > STORIES, "nobody had to wait for a slot");
}

#[test]
fn undo_fails() {
    let quirks = Quirks { trouble: 70, ..Quirks::default() };
    let stuck = stories(quirks, "stuck retried") + stories(quirks, "stuck resolved");
    assert!(stuck > 0, "no undo failed for good");
}

#[test]
fn retries_exhausted() {
    let quirks = Quirks { trouble: 70, ..Quirks::default() };
    assert!(stories(quirks, "held") > 0, "nothing was held until a person decided");
    assert!(stories(quirks, "undone") > 0, "nothing was taken back, where the plan says so");
}

#[test]
fn nats_restart_leader_change_partition() {
    let quirks = Quirks {
        server_restart: 30,
        partition: 30,
        not_now: 30,
        stale_read: 30,
        dedupe_loss: 30,
        ..Quirks::default()
    };
    assert_eq!(stories(quirks, "alarms"), 0);
}

#[test]
fn clock_skew() {
    let quirks = Quirks { clock_skew: 50, trouble: 20, lost_message: 10, ..Quirks::default() };
    assert!(stories(quirks, "retried") > 0, "no timer was set by one clock and read by another");
}

#[test]
fn two_winners_of_one_place_are_told_to_every_reader() {
    let quirks = Quirks { double_winner: 100, duplicate: 60, reorder: 30, ..Quirks::default() };
    assert!(stories(quirks, "alarms") > 0, "nobody won twice");
}

#[test]
fn a_tail_that_vanished_is_noticed_by_whoever_knew_it() {
    let quirks = Quirks { lost_tail: 60, trouble: 30, ..Quirks::default() };
    assert!(stories(quirks, "noticed damage") > 0, "nobody noticed");
}
