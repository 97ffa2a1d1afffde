//! One process: which it is, whether it lives, how it is told to stop.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// How often a process that is to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// After SIGKILL the kernel needs a moment, unless the process hangs in the kernel.
pub(crate) const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Its number.
    pub(crate) pid: i32,
    /// When it was born, in the system's own words.
    born: String,
}

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where standard output and standard error go, behind what is there.
    pub(crate) log: PathBuf,
}

impl Identity {
    /// Of the process that has this number now; `None` if there is none or it is dead and only
    /// its parent has not looked yet.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let born = birth(pid)?;
        Some(Self { pid, born })
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        birth(self.pid).is_some_and(|born| born == self.born)
    }

    /// Asks it to finish what it has in hand and end. Nothing happens if it has ended.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether it has ended, within `bound`.
    pub(crate) fn wait(&self, bound: Duration) -> bool {
        let begun = Instant::now();
        while self.is_alive() {
            if begun.elapsed() >= bound {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may end between the look and the signal; that is what was wanted.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// Starts a program in a session of its own: it outlives us, and a Ctrl-C meant for us does not
/// reach it. This program itself makes the session and then becomes the other one, because the
/// step between fork and exec cannot be taken in safe code.
///
/// # Errors
/// When the log cannot be opened or we cannot be started.
pub(crate) fn spawn(program: &Program) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(&program.log)?;
    Command::new(std::env::current_exe()?)
        .arg("detached")
        .arg("--")
        .arg(&program.path)
        .args(&program.arguments)
        .envs(program.environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// Becomes another program in a session of its own. Returns only if that fails.
pub(crate) fn become_detached(words: &[OsString]) -> io::Error {
    let Some((program, arguments)) = words.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    if let Err(error) = rustix::process::setsid() {
        return error.into();
    }
    Command::new(program).args(arguments).exec()
}

/// Its birth: boot and clock tick where there is `/proc`, the words of `ps` elsewhere.
fn birth(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        return born_at(&stat).map(|tick| format!("{} {tick}", boot.trim()));
    }
    let ps = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output();
    let text = String::from_utf8(ps.ok()?.stdout).ok()?;
    let (state, born) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| born.trim().to_owned())
}

/// Field 22 of `/proc/PID/stat`, unless field 3 says that it is dead. The name in field 2 may
/// itself hold blanks and parentheses.
fn born_at(stat: &str) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    fn pid(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    #[test]
    fn a_process_is_found_again_and_told_to_stop() {
        let mut child = sleeper();
        let found = Identity::of(pid(&child)).unwrap();
        assert!(found.is_alive());
        found.terminate();
        // It stays a zombie until we look: that counts as ended.
        assert!(found.wait(KILLED_WITHIN));
        assert_eq!(Identity::of(found.pid), None);
        child.wait().unwrap();
    }

    #[test]
    fn a_recycled_number_is_left_alone() {
        let mut child = sleeper();
        let mut earlier = Identity::of(pid(&child)).unwrap();
        earlier.born.push('0');
        assert!(!earlier.is_alive());
        earlier.kill();
        assert!(child.try_wait().unwrap().is_none(), "somebody else's process was killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21";
        assert_eq!(born_at(stat), Some("777"));
        assert_eq!(born_at(&stat.replace(" S ", " Z ")), None);
    }
}
