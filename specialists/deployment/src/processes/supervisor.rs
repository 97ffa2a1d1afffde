//! Starting a process, finding it again, stopping it within a bound.

use std::{
    collections::BTreeMap, ffi::OsString, fs, io, path::PathBuf, process::Stdio, time::Duration,
};

use deadelus_runtime::{ErrorClass, Failure};
use rustix::process::Signal;
use tokio::{process::Command, time::Instant};

use super::{
    holder::HOLD,
    note::{Files, Instance, Note},
};

/// A holder writes its note before anything else; two busy cores take longer than that.
const HELD_WITHIN: Duration = Duration::from_secs(10);

/// After SIGKILL the kernel needs a moment, unless a process hangs in the kernel.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The processes of one target.
#[derive(Debug)]
pub(crate) struct Supervisor {
    folder: PathBuf,
    /// The program that holds a process: this specialist's own.
    holder: PathBuf,
    log_max_bytes: u64,
    terminate_within: Duration,
}

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) instance: Instance,
    pub(crate) command: Vec<String>,
    /// All of it: nothing of the specialist's own is handed on.
    pub(crate) environment: BTreeMap<String, OsString>,
}

/// A process that there is a note of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) instance: Instance,
    pub(crate) state: State,
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    /// It ended by itself; in the system's words.
    Ended(String),
    /// Its holder is gone; it may still run, and nobody keeps its output.
    Unheld,
}

impl Supervisor {
    pub(crate) fn new(
        folder: PathBuf,
        holder: PathBuf,
        log_max_bytes: u64,
        terminate_within: Duration,
    ) -> Self {
        Self { folder, holder, log_max_bytes, terminate_within }
    }

    /// Every process there is a note of, by name.
    ///
    /// # Errors
    /// `unavailable` when the folder or a note in it cannot be read.
    pub(crate) fn look(&self) -> Result<BTreeMap<String, Held>, Failure> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(self.unavailable("cannot read", &e)),
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(|e| self.unavailable("cannot read", &e))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let note = Note::read(&path).map_err(|e| self.unavailable("cannot read", &e))?;
                let state = state(&note);
                let instance = note.instance;
                found.insert(instance.name.clone(), Held { instance, state });
            }
        }
        Ok(found)
    }

    /// Starts a process, unless one of that name runs. Returns once there is a note of it.
    ///
    /// # Errors
    /// `unavailable` when the holder cannot be run, or does not get to its note.
    pub(crate) async fn start(&self, launch: &Launch) -> Result<(), Failure> {
        let name = &launch.instance.name;
        if let Some(held) = self.look()?.get(name) {
            match held.state {
                State::Running => return Ok(()),
                State::Ended(_) | State::Unheld => self.stop(name).await?,
            }
        }
        fs::create_dir_all(&self.folder).map_err(|e| self.unavailable("cannot make", &e))?;
        let mut holder =
            self.spawn(launch).map_err(|e| self.unavailable("cannot start a process in", &e))?;
        let give_up = Instant::now() + HELD_WITHIN;
        let files = Files::of(&self.folder, name);
        while Note::read(&files.note).is_err() {
            let ended = holder.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() >= give_up {
                let text = format!("the holder of {name} did not get to its note");
                return Err(Failure::new(ErrorClass::Unavailable, text)
                    .help(format!("see {}", files.log.display())));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Stops a process and forgets it: asked to end, and killed when it takes too long.
    ///
    /// # Errors
    /// `unavailable` when it does not even end when killed, or its files cannot be removed.
    pub(crate) async fn stop(&self, name: &str) -> Result<(), Failure> {
        let files = Files::of(&self.folder, name);
        let note = match Note::read(&files.note) {
            Ok(note) => note,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(self.unavailable("cannot read", &e)),
        };
        for (signal, within) in
            [(Signal::TERM, self.terminate_within), (Signal::KILL, KILLED_WITHIN)]
        {
            note.leader.signal_group(signal);
            let give_up = Instant::now() + within;
            while note.leader.group_lives() && Instant::now() < give_up {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        if note.leader.group_lives() {
            return Err(Failure::new(
                ErrorClass::Unavailable,
                format!("{name} does not end, not even when killed: it hangs in the system"),
            ));
        }
        files.remove().map_err(|e| self.unavailable("cannot remove files of", &e))
    }

    /// Ends a process at once and leaves its note.
    #[cfg(test)]
    pub(crate) fn kill(&self, name: &str) {
        let note = Note::read(&Files::of(&self.folder, name).note).unwrap();
        note.leader.signal_group(Signal::KILL);
    }

    /// The last lines a process wrote; for the reader of a failure.
    pub(crate) fn last_words(&self, name: &str) -> String {
        let log = fs::read(Files::of(&self.folder, name).log).unwrap_or_default();
        let end = &log[log.len().saturating_sub(LAST_WORDS_BYTES)..];
        String::from_utf8_lossy(end).trim().to_owned()
    }

    /// A holder outlives this process: it leads a group of its own, and nobody waits for it.
    fn spawn(&self, launch: &Launch) -> io::Result<tokio::process::Child> {
        let instance = serde_json::to_string(&launch.instance)?;
        Command::new(&self.holder)
            .arg(HOLD)
            .arg("--folder")
            .arg(&self.folder)
            .args(["--instance", &instance, "--log-max-bytes", &self.log_max_bytes.to_string()])
            .arg("--")
            .args(&launch.command)
            .env_clear()
            .envs(&launch.environment)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }

    fn unavailable(&self, what: &str, error: &io::Error) -> Failure {
        let text = format!("{what} {}: {error}", self.folder.display());
        Failure::new(ErrorClass::Unavailable, text)
            .help("this process needs to read and write in that folder, and to start programs")
    }
}

/// Enough for a reason and the line before it.
const LAST_WORDS_BYTES: usize = 400;

/// The decision: what a note and the table of processes mean together.
fn state(note: &Note) -> State {
    match (&note.ended, note.leader.lives()) {
        (Some(how), _) => State::Ended(how.clone()),
        (None, true) => State::Running,
        (None, false) => State::Unheld,
    }
}

#[cfg(test)]
mod tests;
