//! The failure table of the engine: every case that must be survived, and the tests that show it. The
//! simulation meets each at every point; what real processes can be made to meet is named beside it.

use std::{fs, path::Path};

use async_nats::jetstream::AckKind;
use deadelus_mesh::{
    pull::{Pull, Pulled},
    streams,
};
use deadelus_proto::{
    limits::{TASK_ACK_PENDING_MAX, TASK_DELIVERIES_MAX},
    pb::{Ending, event::Kind},
};
use deadelus_tests::fleet::Fleet;
use tempfile::TempDir;

use crate::{
    person::Person,
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
};

const SIM: &str = "tests/sim/tests/failure_table.rs";
const FIRE: (&str, &str) =
    ("tests/fire/tests/short.rs", "nothing_is_lost_and_nothing_is_doubled_under_fire");
const KILL: &str = "tests/live/kill.rs";

/// `(case, its tests)`
type Row = (&'static str, &'static [(&'static str, &'static str)]);

const TABLE: [Row; 17] = [
    (
        "crash between publish and PubAck",
        &[
            (SIM, "crash_between_publish_and_puback"),
            (KILL, "a_killed_orchestrator_changes_nothing"),
        ],
    ),
    ("crash after append, before dispatch", &[(SIM, "crash_after_append_before_dispatch")]),
    ("crash after dispatch, before inbox ack", &[(SIM, "crash_after_dispatch_before_inbox_ack")]),
    (
        "PubAck lost, retried",
        &[(SIM, "puback_lost_retried"), ("mesh/tests/live/append.rs", "a_lost_ack_is_one_message")],
    ),
    (
        "duplicate report",
        &[
            (SIM, "duplicate_report"),
            ("tests/live/undo.rs", "news_of_what_is_over_or_never_was_changes_nothing"),
        ],
    ),
    ("report of a stale attempt: success", &[(SIM, "report_of_a_stale_attempt_success")]),
    (
        "late success after cancel",
        &[
            (SIM, "late_success_after_cancel"),
            ("tests/live/undo.rs", "a_person_who_cancels_in_the_middle_gets_everything_back"),
        ],
    ),
    (
        "report for an unknown or purged workflow",
        &[
            (SIM, "report_for_an_unknown_or_purged_workflow"),
            ("tests/live/undo.rs", "news_of_what_is_over_or_never_was_changes_nothing"),
        ],
    ),
    (
        "two orchestrators on one partition; a paused old owner waking up",
        &[
            (SIM, "two_orchestrators_on_one_partition_a_paused_old_owner_waking_up"),
            ("tests/live/replicas.rs", "one_takes_over_what_another_leaves"),
        ],
    ),
    (
        "slow worker declared dead, then answers",
        &[(SIM, "slow_worker_declared_dead_then_answers"), FIRE],
    ),
    (
        "worker dies mid-task",
        &[(SIM, "worker_dies_mid_task"), (KILL, "a_killed_specialist_changes_nothing")],
    ),
    (
        "poison task, malformed message",
        &[
            ("tests/live/failures.rs", "a_task_that_lost_every_worker_is_given_up_and_tried_anew"),
            (
                "tests/live/bad_input.rs",
                "junk_on_every_subject_is_buried_and_the_next_workflow_runs",
            ),
        ],
    ),
    (
        "undo fails",
        &[
            (SIM, "undo_fails"),
            (
                "orchestrator/core/tests/core/going_back.rs",
                "an_undo_that_fails_for_good_leaves_the_workflow_stuck_by_name",
            ),
        ],
    ),
    (
        "retries exhausted",
        &[
            (SIM, "retries_exhausted"),
            ("tests/live/verbs.rs", "used_up_tries_pause_it_and_a_retry_brings_it_home"),
        ],
    ),
    (
        "NATS restart, leader change, partition",
        &[
            (SIM, "nats_restart_leader_change_partition"),
            (KILL, "a_killed_server_changes_nothing"),
            ("mesh/tests/live/cluster.rs", "a_killed_leader_loses_and_doubles_nothing"),
            FIRE,
        ],
    ),
    (
        "disk full",
        &[
            ("tests/live/disk.rs", "a_full_disk_lets_nothing_in_and_leaves_nothing_half_written"),
            ("mesh/tests/live/streams.rs", "a_server_without_room_says_for_what_and_what_to_do"),
        ],
    ),
    (
        "clock skew",
        &[
            (SIM, "clock_skew"),
            (
                "orchestrator/core/tests/core/behaviour.rs",
                "a_clock_that_runs_behind_does_not_turn_time_back",
            ),
        ],
    ),
];

#[test]
fn every_row_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let is_there = |(file, name): &(&str, &str)| {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        text.contains(&format!("fn {name}("))
    };
    let missing = |(case, tests): &Row| {
        let gone = tests.iter().filter(|test| !is_there(test));
        gone.map(|(file, name)| format!("{case}: no {name} in {file}")).collect::<Vec<_>>()
    };
    let missing: Vec<String> = TABLE.iter().flat_map(missing).collect();
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

#[tokio::test]
async fn a_task_that_lost_every_worker_is_given_up_and_tried_anew() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(500);
    let mut fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let ada = Person::at(&fleet).await;
    fleet.kill("db");
    let id = ada.start("wf-poison", ONE_INDEX).await;
    // Workers that take it and are lost, each time as soon as they have it.
    let db = "db".parse().unwrap();
    let consumer = streams::task_consumer(&ada.mesh, &db, TASK_ACK_PENDING_MAX).await.unwrap();
    let mut pull = Pull::open(ada.mesh.clone(), &consumer).await.unwrap();
    let mut lost = 1;
    while lost < TASK_DELIVERIES_MAX {
        if pull.coming() == 0 {
            pull.ask(1).await;
        }
        if let Pulled::Message(message) = pull.next().await {
            assert_eq!(message.info().unwrap().delivered, lost);
            message.double_ack_with(AckKind::Nak(None)).await.unwrap();
            lost += 1;
        }
    }
    pull.close().await;
    fleet.restart("db");
    let story = ada.until_ended(&id, Ending::Done).await;
    let given_up = |event: &Kind| match event {
        Kind::TaskFailed(e) => {
            let text = e.failure.as_ref().map_or("", |failure| &failure.message);
            e.task_id == "look" && e.attempt == 1 && text.contains("every worker")
        }
        _ => false,
    };
    assert_eq!(story.count(given_up), 1, "{}", story.told());
    assert!(fleet.process("db").runs());
}
