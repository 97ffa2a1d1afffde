//! One process under test: started, watched through its log, told to stop, killed.

#![expect(clippy::expect_used, reason = "test support: a process that cannot be run ends the test")]

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

/// A process of ours is ready within a second; two busy cores take longer.
const START_MAX: Duration = Duration::from_secs(30);

/// Between two looks at a fact.
const POLL: Duration = Duration::from_millis(10);

/// Lines of a log that a failed test shows.
const SHOWN_LINES: usize = 60;

/// A running process. It is killed when this is dropped, and by the system when the test dies.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    /// Where in the log this run begins.
    log_start: u64,
    child: Child,
}

impl Process {
    /// Runs a program; what it prints goes to the end of `log`.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn start(program: &Path, arguments: &[&OsStr], log: &Path) -> Self {
        let arguments: Vec<OsString> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let (child, log_start) = run(program, &arguments, log);
        Self { program: program.to_owned(), arguments, log: log.to_owned(), log_start, child }
    }

    /// Runs it again with the same arguments; if it still runs it is killed first.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.log_start) = run(&self.program, &self.arguments, &self.log);
    }

    /// Waits until it has printed this.
    ///
    /// # Panics
    /// When it ends before, or does not say it in time.
    pub fn until_it_says(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.said().contains(text) {
            let ended = self.child.try_wait().expect("a child of ours");
            let name = self.program.display();
            assert!(ended.is_none(), "{name} ended without {text:?}: {ended:?}\n{}", self.said());
            let late = begun.elapsed() > START_MAX;
            assert!(!late, "{name} did not say {text:?}:\n{}", self.said());
            thread::sleep(POLL);
        }
    }

    /// Kills it as a crash would: SIGKILL, no farewell.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, once: SIGTERM.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Lets no time pass for it: SIGSTOP.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on, late: SIGCONT.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        assert!(signal(self.child.id(), name), "{} is gone", self.program.display());
    }

    /// Whether it is there.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `longest`.
    pub fn ended_within(&mut self, longest: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            let late = begun.elapsed() > longest;
            assert!(!late, "{} still runs:\n{}", self.program.display(), self.said());
            thread::sleep(POLL);
        }
    }

    /// Its id, while it runs.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed since it was started last.
    pub fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let start = usize::try_from(self.log_start).unwrap_or(usize::MAX).min(log.len());
        String::from_utf8_lossy(&log[start..]).into_owned()
    }

    /// The end of its log over all runs, for a person who looks for the reason.
    pub fn last_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal by its name: `STOP`. Whether somebody was there to get it.
pub(crate) fn signal(pid: u32, name: &str) -> bool {
    let pid = pid.to_string();
    let told = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", name, &pid]).status();
    told.is_ok_and(|status| status.success())
}

/// A command that the system kills when this thread ends, so that a test that is killed leaves
/// nothing behind. Where the system has no such thing, an interrupted test may leave processes.
///
/// Configuration of the person who runs the test does not reach it.
pub fn command(program: &Path) -> Command {
    static CAN_BE_BOUND: LazyLock<bool> = LazyLock::new(|| {
        let tried = Command::new("setpriv").args(["--pdeathsig", "KILL", "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    });
    let mut command = if *CAN_BE_BOUND {
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL", "--"]).arg(program);
        bound
    } else {
        Command::new(program)
    };
    let foreign = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("DEADELUS_") && name.contains("__")
    };
    for (name, _) in env::vars_os().filter(|(name, _)| foreign(name)) {
        command.env_remove(name);
    }
    command
}

fn run(program: &Path, arguments: &[OsString], log: &Path) -> (Child, u64) {
    let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
    let log_start = file.metadata().map(|m| m.len()).unwrap_or_default();
    let copy: File = file.try_clone().expect("a log file");
    let child = command(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    (child, log_start)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn lives(pid: u32) -> bool {
        let asked = Command::new("sh").args(["-c", "kill -0 \"$0\"", &pid.to_string()]).output();
        asked.expect("a shell").status.success()
    }

    #[test]
    fn nothing_outlives_the_thread_that_started_it() {
        if command(Path::new("sleep")).get_program() != "setpriv" {
            eprintln!("SKIPPED: there is no setpriv here, interrupted tests may leave processes");
            return;
        }
        let starter = thread::spawn(|| {
            // It is bound to this thread from its own first word on, not from its start.
            let mut child = command(Path::new("sh"))
                .args(["-c", "echo up; exec sleep 600"])
                .stdout(Stdio::piped())
                .spawn()
                .expect("a shell");
            let mut word = [0; 3];
            child.stdout.take().expect("piped").read_exact(&mut word).expect("its first word");
            let pid = child.id();
            assert!(lives(pid));
            (pid, move || child.wait())
        });
        // The child is not dropped and not killed by us.
        let (pid, mut reap) = starter.join().expect("it started one");
        let status = reap().expect("a child of ours");
        assert!(!status.success() && !lives(pid), "{status}");
    }

    #[test]
    fn what_it_says_is_seen_run_by_run() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let log = folder.path().join("log");
        let words = ["-c", "echo up; exec sleep 600"].map(OsStr::new);
        let mut process = Process::start(Path::new("sh"), &words, &log);
        process.until_it_says("up");
        process.restart();
        process.until_it_says("up");
        assert_eq!((process.said().as_str(), process.last_lines().as_str()), ("up\n", "up\nup"));
        process.terminate();
        assert!(!process.ended_within(Duration::from_secs(10)).success());
    }
}
