//! A test's own program, run once more as a process of its own and killed in the middle of its work.

#![expect(clippy::expect_used, reason = "test support: a child that cannot be run ends the test")]

use std::{
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the child is told its folder.
const FOLDER: &str = "DEADELUS_TEST_FOLDER";

/// What the child says each time that it has done its work.
const DONE: &str = "once more";

/// Runs an ignored test of this program, by its whole name, in a folder; and kills it, as the system
/// does, once it has said so many times that it is done: it is in the middle of the next.
///
/// # Panics
/// When it cannot be run, or ends before.
pub fn after(times: usize, test: &str, folder: &Path) {
    let mut child = Command::new(env::current_exe().expect("a test has a program"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    let said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let done = said.map_while(Result::ok).filter(|line| line == DONE);
    assert_eq!(done.take(times).count(), times, "{test} ended before it was killed");
    child.kill().expect("a child that lives");
    child.wait().expect("a child of ours");
}

/// In the child: where it works.
///
/// # Panics
/// When it is nobody's child.
pub fn folder() -> PathBuf {
    env::var_os(FOLDER).expect("started by the test that kills it").into()
}

/// In the child: it has done its work, and begins again.
///
/// # Panics
/// When nobody listens any more.
pub fn done() {
    writeln!(io::stdout(), "{DONE}").expect("the test listens");
}
