//! `deadelus up` and `down` with real processes: a real nats-server, and programs that stand in
//! for ours and only live.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const KINDS: [&str; 9] = [
    "orchestrator",
    "db",
    "api",
    "payments",
    "auth",
    "security",
    "performance",
    "testing",
    "deployment",
];

/// A signal is delivered within milliseconds; two busy cores take longer.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Puts a program somewhere. By a process of its own: what this one has open for writing, a child of
/// another test's may hold open for a moment longer, and the system runs nothing that is written to.
fn install(program: &Path, to: &Path) {
    let mut install = Command::new("install");
    install.args(["-m", "755"]).args([program, to]);
    assert!(install.status().unwrap().success());
}

/// A folder with our program and its stand-ins, and a home. Everything is stopped on drop.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        install(env!("CARGO_BIN_EXE_deadelus").as_ref(), &machine.program());
        KINDS.iter().for_each(|kind| machine.stand_in(kind, "exec sleep 600"));
        machine
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("deadelus")
    }

    fn stand_in(&self, kind: &str, script: &str) {
        let path = self.folder.path().join(format!("deadelus-{kind}"));
        // Written aside: a shell may be running the old one.
        let (text, aside) = (path.with_extension("text"), path.with_extension("new"));
        fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        install(&text, &aside);
        fs::rename(aside, path).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command
            .args(words)
            .env("DEADELUS_HOME", self.folder.path().join("home"))
            .env("DEADELUS_NATS_SERVER", deadelus_tests::nats::nats_binary())
            .env_remove("DEADELUS_NATS__URL");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// The rows of `up`: name, state and pid.
    fn up(&self) -> Vec<(String, String, Option<i64>)> {
        let output = self.run(&["up", "-o", "json"]);
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = value["processes"].as_array().unwrap().iter();
        rows.map(|row| (text(row, "name"), text(row, "state"), row["pid"].as_i64())).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--grace", "1"]).output();
    }
}

fn pid_of(rows: &[(String, String, Option<i64>)], name: &str) -> i64 {
    rows.iter().find(|(n, _, _)| n == name).unwrap().2.unwrap()
}

fn signal(pid: i64, signal: &str) {
    assert!(Command::new("kill").arg(signal).arg(pid.to_string()).status().unwrap().success());
}

fn lives(pid: i64) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

fn wait_until_gone(pid: i64) {
    let begun = Instant::now();
    while lives(pid) {
        assert!(begun.elapsed() < GONE_WITHIN, "{pid} lives");
        thread::sleep(Duration::from_millis(10));
    }
}

fn last_words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn up_starts_what_is_missing_and_down_leaves_nothing() {
    let machine = Machine::new();
    let first = machine.up();
    assert_eq!(first.len(), 10, "nats and nine of ours: {first:?}");
    assert!(first.iter().all(|(_, state, _)| state == "started"), "{first:?}");

    let killed = pid_of(&first, "db");
    signal(killed, "-KILL");
    wait_until_gone(killed);
    let second = machine.up();
    for (name, state, pid) in &second {
        let expected = if name == "db" { "started" } else { "running" };
        assert_eq!(state, expected, "{name}");
        assert_eq!(*pid == Some(pid_of(&first, name)), name != "db", "{name}");
    }

    let config = machine.folder.path().join("home/api.toml");
    // Beyond the resolution of any file system's clock.
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    fs::File::options().append(true).open(config).unwrap().set_modified(later).unwrap();
    let shown = String::from_utf8(machine.run(&["up"]).stdout).unwrap();
    assert_eq!(shown.matches("its configuration was edited").count(), 1, "{shown}");

    let stopped = machine.run(&["down", "--grace", "10"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", last_words(&stopped));
    second.iter().for_each(|(_, _, pid)| assert!(!lives(pid.unwrap())));
    let again = machine.run(&["down"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing runs"), "{again:?}");
}

#[test]
fn each_process_has_a_session_of_its_own() {
    let machine = Machine::new();
    let rows = machine.up();
    for (name, _, pid) in &rows {
        let pid = pid.unwrap().to_string();
        let session = Command::new("ps").args(["-o", "sid=", "-p", &pid]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&session.stdout).trim(), pid, "{name}");
    }
}

#[test]
fn a_process_that_ends_at_once_is_told_with_its_last_words() {
    let machine = Machine::new();
    machine.stand_in("db", "echo 'configuration of db: unknown key targts' >&2; exit 1");
    let output = machine.run(&["up"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("unknown key targts"), "{shown}");
    assert!(last_words(&output).contains("db.log"), "{}", last_words(&output));
    // Only that one is started the next time.
    machine.stand_in("db", "exec sleep 600");
    let started: Vec<_> = machine.up().into_iter().filter(|(_, s, _)| s == "started").collect();
    assert_eq!(started.len(), 1, "{started:?}");
}

#[test]
fn without_a_mesh_commands_say_what_to_do() {
    let machine = Machine::new();
    let output = machine.run(&["list"]);
    assert_eq!(output.status.code(), Some(9));
    assert!(last_words(&output).contains("deadelus up"), "{}", last_words(&output));
    machine.up();
    let output = machine.run(&["plan", "it is slow", "--target", "shop"]);
    assert_eq!(output.status.code(), Some(9), "nobody plans: {}", last_words(&output));
    assert!(last_words(&output).contains("no orchestrator answers"), "{}", last_words(&output));
    let output = machine.run(&["doctor", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed = findings.as_array().unwrap().iter().filter(|f| f["level"] == "fail");
    let failed: Vec<_> = failed.collect();
    assert!(failed.iter().any(|f| f["about"] == "orchestrator"), "{failed:?}");
    assert!(failed.iter().all(|f| !f["next"].as_str().unwrap().is_empty()), "{failed:?}");
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let machine = Machine::new();
    let mut child = machine
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(last_words(&output), "");
}

#[test]
fn the_completions_are_read_by_their_shell() {
    let machine = Machine::new();
    let Ok(mut bash) = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn() else {
        eprintln!("SKIPPED: no bash to read the completions");
        return;
    };
    let script = machine.run(&["completions", "bash"]).stdout;
    bash.stdin.take().unwrap().write_all(&script).unwrap();
    assert!(bash.wait().unwrap().success());
    assert!(String::from_utf8_lossy(&script).contains("doctor"));
}
