//! `read-junk <reader> < bytes`: reads bytes as a worker thread of the mesh would, and says in one
//! line what came of it. The tests run it with little memory and little processor time: what
//! overflows a stack or fills a memory takes this process with it and no other.

use std::{io::Read as _, process::ExitCode, thread};

use deadelus_junk::{COMPLAINT_MAX_CHARS, READERS, reader};

/// What a worker thread of the runtime has.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// No reader, or a complaint that nobody could read.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(reader) = reader(&name) else {
        say(&format!("no reader {name:?}; there are {:?}", READERS.map(|r| r.name)));
        return ExitCode::from(WRONG);
    };
    let mut bytes = vec![];
    if let Err(error) = std::io::stdin().read_to_end(&mut bytes) {
        say(&error.to_string());
        return ExitCode::from(WRONG);
    }
    let work = move || (reader.read)(&bytes);
    let read =
        thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map(thread::JoinHandle::join);
    match read {
        Ok(Ok(Ok(()))) => say("read"),
        Ok(Ok(Err(complaint))) if complaint.chars().count() <= COMPLAINT_MAX_CHARS => {
            say(&format!("refused: {complaint}"));
        }
        Ok(Ok(Err(complaint))) => {
            say(&format!("a complaint of {} characters", complaint.chars().count()));
            return ExitCode::from(WRONG);
        }
        // It has said so itself.
        Ok(Err(_)) | Err(_) => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "this is what it is run for")]
fn say(text: &str) {
    println!("{text}");
}
