//! Signals as a process gets them: the first drains, the second ends it at once.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use deadelus_mesh::life::{EXIT_NOW_CODE, Shutdown};

const READY: &str = "ready for signals";
const DRAINING: &str = "draining for ever";

#[test]
fn the_first_signal_drains_and_the_second_means_now() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "a_process_that_never_ends", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut hear = |wanted: &str| {
        while !lines.next().unwrap().unwrap().contains(wanted) {}
    };
    let say = |signal: &str| {
        let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    };
    hear(READY);
    say("-TERM");
    hear(DRAINING);
    say("-INT");
    assert_eq!(child.wait().unwrap().code(), Some(EXIT_NOW_CODE));
}

#[tokio::test]
#[ignore = "the other end of the test above"]
async fn a_process_that_never_ends() {
    let shutdown = Shutdown::on_signals().unwrap();
    println!("{READY}");
    shutdown.requested().await;
    println!("{DRAINING}");
    std::future::pending::<()>().await;
}
