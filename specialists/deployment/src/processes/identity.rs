//! Which process it was: a number and a birth. A number alone belongs to somebody else tomorrow.

use std::fs;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// The leader of a group of processes, not to be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leader {
    pid: i32,
    /// Boot and clock tick, in the system's own words.
    born: String,
}

impl Leader {
    /// This process; it leads the group of what it starts.
    pub(crate) fn me() -> Option<Self> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        birth(pid).map(|born| Self { pid, born })
    }

    /// Whether it still runs. One that only waits to be looked at by its parent does not.
    pub(crate) fn lives(&self) -> bool {
        birth(self.pid).is_some_and(|born| born == self.born)
    }

    /// Whether it or anybody of its group still runs. A number is not given again while a group
    /// bears it, so a group without its leader is still the same group.
    pub(crate) fn group_lives(&self) -> bool {
        match birth(self.pid) {
            Some(born) => born == self.born,
            None => self.group().is_some_and(|group| {
                rustix::process::test_kill_process_group(group).is_ok() && has_members(self.pid)
            }),
        }
    }

    /// Tells the whole group, if it is still the same. That it has just ended is what was wanted.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if self.group_lives()
            && let Some(group) = self.group()
        {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Ends the leader and leaves its group behind, as an accident would.
    #[cfg(test)]
    pub(crate) fn kill_alone(&self) {
        rustix::process::kill_process(self.group().unwrap(), Signal::KILL).unwrap();
    }

    fn group(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

/// `/proc` is asked: the supervisor is for Linux, where a birth can be read without a race.
fn birth(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    fields(&stat).and_then(|f| f.born).map(|tick| format!("{} {tick}", boot.trim()))
}

/// Whether anybody in the group is more than a name in the table of processes.
fn has_members(group: i32) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    entries.flatten().any(|entry| {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { return false };
        fields(&stat).is_some_and(|f| f.group == Some(group) && f.born.is_some())
    })
}

struct Fields<'a> {
    group: Option<i32>,
    /// None for one that is dead and only not yet looked at.
    born: Option<&'a str>,
}

/// Fields 3, 5 and 22 of `/proc/PID/stat`. The name in field 2 may itself hold blanks and
/// parentheses.
fn fields(stat: &str) -> Option<Fields<'_>> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let dead = matches!(*fields.first()?, "Z" | "X");
    let group = fields.get(2).and_then(|group| group.parse().ok());
    Some(Fields { group, born: if dead { None } else { fields.get(19).copied() } })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt as _, process::Command};

    use super::*;
    use crate::testing::until_now;

    fn leader(pid: u32) -> Leader {
        let pid = i32::try_from(pid).unwrap();
        Leader { pid, born: birth(pid).unwrap() }
    }

    #[test]
    fn a_process_is_found_again_and_a_recycled_number_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let found = leader(child.id());
        assert!(found.lives() && found.group_lives());
        let mut earlier = found.clone();
        earlier.born.push('0');
        assert!(!earlier.lives() && !earlier.group_lives());
        earlier.signal_group(Signal::KILL);
        assert!(child.try_wait().unwrap().is_none(), "somebody else's process was killed");
        found.signal_group(Signal::KILL);
        // Nobody has looked at it yet: that counts as ended.
        until_now(|| !found.lives() && !found.group_lives());
        child.wait().unwrap();
    }

    #[test]
    fn who_is_left_behind_by_the_leader_is_still_found() {
        let script = "sleep 60 & exec sleep 60";
        let mut child = Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap();
        let found = leader(child.id());
        until_now(|| {
            let name = fs::read_to_string(format!("/proc/{}/comm", found.pid));
            name.is_ok_and(|name| name.trim() == "sleep")
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!found.lives() && found.group_lives());
        found.signal_group(Signal::KILL);
        until_now(|| !found.group_lives());
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "42 (a) b (c) S 1 7 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21";
        let read = fields(stat).unwrap();
        assert_eq!((read.group, read.born), (Some(7), Some("777")));
        assert!(fields(&stat.replace(" S ", " Z ")).unwrap().born.is_none());
    }
}
