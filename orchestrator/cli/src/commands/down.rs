//! `deadelus down`: who was stopped, and how.

use std::time::Duration;

use crate::{
    args::{Down, Place},
    error::CliError,
    exit::Exit,
    home::Home,
    supervise::down::{self, How, Stopped},
    table::table,
    term::{self, Term, Tone},
};

pub(crate) fn run(place: &Place, args: &Down) -> Result<Exit, CliError> {
    let home = Home::at(&place.home)?;
    let stopped = down::down(&home, Duration::from_secs(args.grace))?;
    let remains = stopped.iter().any(|s| s.how == How::Remains);
    if args.purge && !remains {
        home.purge()?;
    }
    if args.output.is_json() {
        term::say_json(&stopped)?;
    } else if stopped.is_empty() {
        term::say_line(&format!("nothing runs in {}", home.path().display()))?;
    } else {
        term::say(&show(term::stdout(), &stopped))?;
    }
    Ok(if remains { Exit::Failed } else { Exit::Done })
}

fn show(term: Term, stopped: &[Stopped]) -> String {
    let rows = stopped.iter().map(|s| {
        let (tone, how) = match s.how {
            How::Drained => (Tone::Good, "stopped"),
            How::Killed => (Tone::Warn, "killed: it took longer than --grace"),
            How::WasGone => (Tone::Dim, "had ended before"),
            How::Remains => (Tone::Bad, "does not end: look at it with ps"),
        };
        let pid = s.pid.to_string();
        vec![(Tone::Strong, s.name.clone()), (Tone::Plain, pid), (tone, how.to_owned())]
    });
    table(term, &["process", "pid", "outcome"], rows.collect())
}
