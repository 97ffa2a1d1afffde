//! A child process with a group of its own, a deadline, and an output that is kept within bounds.
//!
//! Nothing of it outlives the call: the group is killed when its leader ends, at the deadline, and
//! when the future is dropped. What leaves the group on purpose (`setsid`) is out of reach.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver, process::Command};

/// Of an output its beginning is kept, where builds fail.
const HEAD_MAX_BYTES: usize = 4 * 1024 * 1024;

/// And its end, where tests do.
const TAIL_MAX_BYTES: usize = 4 * 1024 * 1024;

/// One read from the pipe: as much as a pipe of Linux holds.
const READ_BYTES: usize = 64 * 1024;

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None when it was killed at its deadline.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: Output,
}

/// Runs a command to its end, or kills it and all its children.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) async fn run(mut command: Command, limit: Duration) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    // It holds the writing end: without this the output would never end.
    drop(command);
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let mut reader = Receiver::from_file(File::from(OwnedFd::from(reader)))?;
    let mut output = Output::default();
    let work = async {
        let leader = async {
            let ended = group.until_leader_ended().await;
            group.kill();
            ended
        };
        let (ended, drained) = tokio::join!(leader, output.drain(&mut reader));
        ended.and(drained)
    };
    let in_time = match tokio::time::timeout(limit, work).await {
        Ok(worked) => worked.map(|()| true)?,
        Err(_) => false,
    };
    group.kill();
    // From here on the number may belong to somebody else.
    group.0 = None;
    let status = child.wait().await?;
    Ok(Ended { status: in_time.then_some(status), output })
}

/// The leader's process group; killed when it goes out of scope.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    /// Waits without taking the leader's status: until that is taken its number stays its own.
    async fn until_leader_ended(&self) -> io::Result<()> {
        let Some(leader) = self.0 else { return Ok(()) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let wait = move || waitid(WaitId::Pid(leader), options);
        tokio::task::spawn_blocking(wait).await.map_err(io::Error::other)??;
        Ok(())
    }

    fn kill(&self) {
        if let Some(leader) = self.0 {
            // It may be empty already.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The beginning and the end of what was written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped_bytes: usize,
}

impl Output {
    /// As text; where something is missing it says how much.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.dropped_bytes > 0 {
            text.push_str(&format!("\n… {} bytes are left out …\n", self.dropped_bytes));
        }
        let (first, second) = self.tail.as_slices();
        text.push_str(&String::from_utf8_lossy(&[first, second].concat()));
        text
    }

    async fn drain(&mut self, reader: &mut Receiver) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match reader.read(&mut buffer).await? {
                0 => return Ok(()),
                read => self.push(&buffer[..read]),
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_MAX_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(TAIL_MAX_BYTES);
        self.tail.drain(..over);
        self.dropped_bytes += over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough that only a defect reaches it.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// Whether a process of this number still runs; a zombie does not.
    fn runs(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
    }

    async fn until_gone(pid: &str) {
        let gone = async {
            while runs(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
    }

    #[tokio::test]
    async fn both_streams_come_in_their_order() {
        let ended = run(shell("echo a; echo b >&2; echo c; exit 3"), PATIENCE).await.unwrap();
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert_eq!(ended.output.text(), "a\nb\nc\n");
    }

    #[tokio::test]
    async fn nothing_outlives_its_leader_nor_the_deadline() {
        let ended = run(shell("sleep 600 & echo $!"), PATIENCE).await.unwrap();
        assert!(ended.status.unwrap().success());
        until_gone(ended.output.text().trim()).await;
        let short = Duration::from_millis(300);
        let ended = run(shell("sleep 600 & echo $!; wait"), short).await.unwrap();
        assert!(ended.status.is_none());
        until_gone(ended.output.text().trim()).await;
    }

    #[tokio::test]
    async fn dropping_it_kills_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let task = tokio::spawn(run(shell(&script), PATIENCE));
        let written = async {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        until_gone(std::fs::read_to_string(&file).unwrap().trim()).await;
    }

    #[test]
    fn the_middle_of_a_flood_is_left_out() {
        let mut output = Output::default();
        output.push(&vec![b'a'; HEAD_MAX_BYTES + TAIL_MAX_BYTES]);
        output.push(b"end");
        let text = output.text();
        assert!(text.contains("… 3 bytes are left out …") && text.ends_with("aend"));
    }
}
