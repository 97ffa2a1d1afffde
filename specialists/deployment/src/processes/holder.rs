//! The holder of one process: a program of its own that outlives the specialist.
//!
//! It leads the process's group, writes down who they are before the process begins, keeps the
//! process's output within its bound, and notes how it ended. It never restarts anything, and it
//! does not end before its process: told to stop, it leaves that to the process, which is told too.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, PipeReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
};

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    identity::Leader,
    note::{Files, Instance, Note},
};

/// First word of the command line by which the specialist's own program becomes a holder.
pub(crate) const HOLD: &str = "hold";

/// What a pipe holds on Linux: more is never there at once.
const COPIED_AT_ONCE_BYTES: usize = 64 * 1024;

/// Holds one process of a deployment; started by the specialist, not by a person.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    folder: PathBuf,
    /// JSON: name and address.
    #[arg(long, value_parser = instance)]
    instance: Instance,
    #[arg(long)]
    log_max_bytes: u64,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

fn instance(text: &str) -> Result<Instance, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// The life of a holder. `words` are the command line behind [`HOLD`].
pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = Arguments::parse_from([OsString::from(HOLD)].into_iter().chain(words));
    match hold(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&arguments, &error);
            ExitCode::FAILURE
        }
    }
}

fn hold(arguments: &Arguments) -> anyhow::Result<()> {
    let files = Files::of(&arguments.folder, &arguments.instance.name);
    let lock = File::options().create(true).truncate(false).write(true).open(&files.lock)?;
    lock.try_lock().context("somebody else holds a process of this name")?;
    ignore_being_told_to_stop()?;
    let leader = Leader::me().context("/proc does not tell who this process is")?;
    let mut note = Note { instance: arguments.instance.clone(), leader, ended: None };
    note.write(&files.note)?;
    let (output, input) = io::pipe()?;
    let (program, words) = arguments.command.split_first().context("there is no command")?;
    let started = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        .spawn();
    let (ended, copying) = match started {
        Err(e) => (format!("{}: {e}", Path::new(program).display()), None),
        Ok(mut child) => {
            let log = Log::open(&files, arguments.log_max_bytes)?;
            let copying = thread::spawn(move || log.copy(output));
            (child.wait()?.to_string(), Some(copying))
        }
    };
    note.ended = Some(ended);
    note.write(&files.note)?;
    // Until the last of the group has closed its end; that may be after the process itself.
    copying.map(thread::JoinHandle::join);
    Ok(())
}

/// The group is told to stop as a whole; the holder stays until its process has ended.
fn ignore_being_told_to_stop() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = runtime.block_on(async {
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal)
    });
    for signal in signals {
        drop(signal?);
    }
    // A handler that is there once stays there: what comes is taken and not acted on.
    Ok(())
}

fn complain(arguments: &Arguments, error: &anyhow::Error) {
    let files = Files::of(&arguments.folder, &arguments.instance.name);
    let log = File::options().create(true).append(true).open(files.log);
    // Nobody else reads what a holder says.
    let _ = log.and_then(|mut log| writeln!(log, "holder: {error:#}"));
}

/// Output on its way to a file of half the bound, and its predecessor of the other half.
#[derive(Debug)]
struct Log {
    files: Files,
    file: File,
    written: u64,
    half: u64,
}

impl Log {
    fn open(files: &Files, max_bytes: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(&files.log)?;
        let written = file.metadata()?.len();
        Ok(Self { files: files.clone(), file, written, half: (max_bytes / 2).max(1) })
    }

    fn copy(mut self, mut output: PipeReader) {
        let mut buffer = vec![0; COPIED_AT_ONCE_BYTES];
        loop {
            match output.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                // With a full disk the output is lost, and the process goes on.
                Ok(read) => drop(self.write(&buffer[..read])),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.written >= self.half {
                fs::rename(&self.files.log, &self.files.log_before)?;
                self.file = File::options().create(true).append(true).open(&self.files.log)?;
                self.written = 0;
            }
            let room = usize::try_from(self.half - self.written).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.file.write_all(now)?;
            self.written += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_end_and_never_grows_beyond_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path(), "v1-0");
        let mut log = Log::open(&files, 100).unwrap();
        let said: String = (0..60).map(|n| format!("line {n}\n")).collect();
        for part in said.as_bytes().chunks(7) {
            log.write(part).unwrap();
            let size = |p: &Path| fs::metadata(p).map_or(0, |m| m.len());
            assert!(size(&files.log) + size(&files.log_before) <= 100);
        }
        let kept = fs::read_to_string(&files.log_before).unwrap()
            + &fs::read_to_string(&files.log).unwrap();
        assert!(said.ends_with(&kept) && kept.len() > 50, "{kept}");
        // A holder that comes after goes on where this one stopped.
        let again = Log::open(&files, 100).unwrap();
        assert_eq!(again.written, fs::metadata(&files.log).unwrap().len());
    }
}
