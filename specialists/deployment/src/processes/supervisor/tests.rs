//! With real processes, under a real holder.

use std::path::Path;

use deadelus_tests::programs::program;
use tempfile::TempDir;

use super::*;
use crate::testing::until;

fn supervisor(folder: &Path) -> Supervisor {
    let holder = program("deadelus-deployment");
    Supervisor::new(folder.to_owned(), holder, 1_000, Duration::from_secs(20))
}

fn shell(name: &str, script: &str) -> Launch {
    Launch {
        instance: Instance { name: name.to_owned(), address: ([127, 0, 0, 1], 1).into() },
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        environment: [("COLOUR".to_owned(), OsString::from("blue"))].into(),
    }
}

fn bed() -> (TempDir, Supervisor) {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor(folder.path());
    (folder, supervisor)
}

fn state_of(supervisor: &Supervisor, name: &str) -> Option<State> {
    supervisor.look().unwrap().remove(name).map(|held| held.state)
}

fn note(folder: &Path, name: &str) -> Note {
    Note::read(&Files::of(folder, name).note).unwrap()
}

#[tokio::test]
async fn a_process_is_found_again_by_another_supervisor_and_stopped_by_it() {
    let (folder, first) = bed();
    first.start(&shell("v1-0", "echo up; exec sleep 600")).await.unwrap();
    drop(first);
    let second = supervisor(folder.path());
    assert_eq!(state_of(&second, "v1-0"), Some(State::Running));
    let same = note(folder.path(), "v1-0");
    second.start(&shell("v1-0", "exec sleep 600")).await.unwrap();
    assert_eq!(note(folder.path(), "v1-0"), same, "started a second time");
    second.stop("v1-0").await.unwrap();
    second.stop("v1-0").await.unwrap();
    assert!(!same.leader.group_lives());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn its_environment_is_what_was_declared_and_its_output_is_bounded() {
    let (_folder, supervisor) = bed();
    let script = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; env; echo end";
    supervisor.start(&shell("v1-0", script)).await.unwrap();
    until(|| matches!(state_of(&supervisor, "v1-0"), Some(State::Ended(_)))).await;
    until(|| supervisor.last_words("v1-0").ends_with("end")).await;
    let words = supervisor.last_words("v1-0");
    assert!(words.contains("COLOUR=blue") && !words.contains("PATH=/"), "{words}");
    let files = Files::of(&supervisor.folder, "v1-0");
    let size = |p: &Path| fs::metadata(p).map_or(0, |m| m.len());
    assert!(size(&files.log) + size(&files.log_before) <= 1_000);
}

#[tokio::test]
async fn an_end_is_noted_in_the_system_s_words_and_a_new_start_is_a_new_process() {
    let (_folder, supervisor) = bed();
    supervisor.start(&shell("v1-0", "exit 7")).await.unwrap();
    until(|| state_of(&supervisor, "v1-0") == Some(State::Ended("exit status: 7".to_owned())))
        .await;
    let nothing = Launch { command: vec!["/no/such/program".to_owned()], ..shell("v1-1", "") };
    supervisor.start(&nothing).await.unwrap();
    until(|| matches!(state_of(&supervisor, "v1-1"), Some(State::Ended(how)) if how.contains("No such file")))
        .await;
    supervisor.start(&shell("v1-0", "exec sleep 600")).await.unwrap();
    assert_eq!(state_of(&supervisor, "v1-0"), Some(State::Running));
    supervisor.stop("v1-0").await.unwrap();
}

#[tokio::test]
async fn who_does_not_end_when_asked_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let holder = program("deadelus-deployment");
    let hasty =
        Supervisor::new(folder.path().to_owned(), holder, 1_000, Duration::from_millis(100));
    hasty
        .start(&shell("v1-0", "trap '' TERM; sleep 600 & echo up; wait; sleep 600"))
        .await
        .unwrap();
    until(|| hasty.last_words("v1-0") == "up").await;
    let leader = note(folder.path(), "v1-0").leader;
    hasty.stop("v1-0").await.unwrap();
    assert!(!leader.group_lives());
}

#[tokio::test]
async fn a_process_whose_holder_was_killed_is_replaced_and_not_left_behind() {
    let (folder, supervisor) = bed();
    supervisor.start(&shell("v1-0", "echo up; exec sleep 600")).await.unwrap();
    until(|| supervisor.last_words("v1-0") == "up").await;
    let old = note(folder.path(), "v1-0").leader;
    old.kill_alone();
    until(|| state_of(&supervisor, "v1-0") == Some(State::Unheld)).await;
    assert!(old.group_lives(), "the process itself still runs");
    supervisor.start(&shell("v1-0", "exec sleep 600")).await.unwrap();
    assert!(!old.group_lives());
    assert_eq!(state_of(&supervisor, "v1-0"), Some(State::Running));
    supervisor.stop("v1-0").await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_started_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::new(
        folder.path().to_owned(),
        "/no/such/holder".into(),
        1_000,
        Duration::from_secs(1),
    );
    let failure = supervisor.start(&shell("v1-0", "true")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    assert!(failure.message.starts_with("cannot start a process in /"), "{failure}");
}
