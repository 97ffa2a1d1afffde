//! Stopping what was started here, those who work first and the fabric last.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{fleet, process::KILLED_WITHIN};
use crate::{
    error::CliError,
    home::{Home, Started},
};

/// What became of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stopped {
    /// `db-2`
    pub(crate) name: String,
    /// Its number.
    pub(crate) pid: i32,
    /// How.
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// It finished what it had in hand.
    Drained,
    /// It took longer than it was given.
    Killed,
    /// It had ended before.
    WasGone,
    /// It does not end: the kernel holds it.
    Remains,
}

/// Stops everything, each wave within `grace`.
///
/// # Errors
/// [`CliError::Busy`], or a state folder that cannot be read.
pub(crate) fn down(home: &Home, grace: Duration) -> Result<Vec<Stopped>, CliError> {
    if !home.path().exists() {
        return Ok(vec![]);
    }
    home.create()?;
    let _guard = home.lock()?;
    let mut all = home.started()?;
    all.sort_by_key(|s| fleet::stop_wave(&s.name));
    let mut stopped = vec![];
    for wave in all.chunk_by(|a, b| fleet::stop_wave(&a.name) == fleet::stop_wave(&b.name)) {
        stopped.extend(stop_wave(wave, grace));
    }
    for one in stopped.iter().filter(|s| s.how != How::Remains) {
        home.forget(&one.name)?;
    }
    Ok(stopped)
}

fn stop_wave(wave: &[Started], grace: Duration) -> Vec<Stopped> {
    let alive: Vec<bool> = wave.iter().map(|s| s.identity.is_alive()).collect();
    wave.iter().for_each(|s| s.identity.terminate());
    let deadline = Instant::now() + grace;
    let stopped = wave.iter().zip(alive).map(|(started, alive)| {
        let left = deadline.saturating_duration_since(Instant::now());
        let how = match alive {
            false => How::WasGone,
            true if started.identity.wait(left) => How::Drained,
            true => kill(started),
        };
        Stopped { name: started.name.clone(), pid: started.identity.pid, how }
    });
    stopped.collect()
}

fn kill(started: &Started) -> How {
    started.identity.kill();
    if started.identity.wait(KILLED_WITHIN) { How::Killed } else { How::Remains }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::supervise::process::Identity;

    fn run(home: &Home, name: &str, script: &str) -> Child {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        home.remember(&Started { name: name.to_owned(), program: "sh".into(), identity }).unwrap();
        child
    }

    #[test]
    fn all_are_stopped_the_stubborn_ones_killed() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        home.create().unwrap();
        let ready = folder.path().join("ready");
        let stubborn =
            format!("trap '' TERM; touch {}; while :; do sleep 1; done", ready.display());
        let mut children = [run(&home, "nats", "exec sleep 60"), run(&home, "db", &stubborn)];
        while !ready.exists() {
            std::thread::yield_now();
        }
        let stopped = down(&home, Duration::from_millis(300)).unwrap();
        let how: Vec<_> = stopped.iter().map(|s| (s.name.as_str(), s.how)).collect();
        assert_eq!(how, [("db", How::Killed), ("nats", How::Drained)]);
        assert!(home.started().unwrap().is_empty());
        children.iter_mut().for_each(|c| drop(c.wait()));
        assert!(down(&home, Duration::ZERO).unwrap().is_empty(), "stopping twice is stopping once");
    }
}
