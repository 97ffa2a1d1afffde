//! `deadelus watch`: follows a workflow until it ends or waits for a person, then reports.
//!
//! The log is what is shown; what travels on core NATS (progress, and the log's own messages on
//! their way into the stream) only says when to look and what a task is doing.

use std::{pin::pin, time::Duration};

use deadelus_core::{Wait, Workflow};
use deadelus_proto::{WorkflowId, pb};
use futures_util::StreamExt;
use prost::Message;
use tokio::time::{MissedTickBehavior, interval};

use super::{report, show};
use crate::{
    args::Output,
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    screen::{self, Progress},
    term::{self, Term},
    time,
    ways_out::ways_out,
};

/// How often elapsed times move.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// A wake-up may be lost; the log is looked at this often anyway.
const LOOK_EVERY_REDRAWS: u32 = 8;

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    follow(client, id, output).await
}

/// Follows and, at the end, reports. With JSON only the report is printed.
pub(crate) async fn follow(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let term = term::stdout();
    let mut view = View::new(term, output.is_json());
    let history = match watch(client, id, &mut view).await? {
        Some(history) => history,
        None => {
            view.close()?;
            term::note(&format!(
                "{id} goes on without you\n  follow it again: deadelus watch {id}\n  stop it and \
                 take back what it did: deadelus cancel {id}"
            ));
            return Ok(Exit::Waiting);
        }
    };
    view.close()?;
    let exit = show::exit_of(&history);
    match exit {
        Exit::Waiting => waiting(&history)?,
        Exit::Stuck => {
            term::note(&format!("{id} is stuck: see `deadelus why {id}`"));
            history.workflow().map(ways_out).unwrap_or_default().iter().for_each(|w| note(w));
        }
        Exit::Done
        | Exit::Failed
        | Exit::Usage
        | Exit::Undone
        | Exit::Cancelled
        | Exit::NoPlan
        | Exit::NotFound
        | Exit::Unreachable
        | Exit::NeedsAnswers => {}
    }
    if exit != Exit::Waiting {
        report::at_the_end(client, &history, output).await?;
    }
    Ok(exit)
}

/// Until it ends or waits for a person; `None` when the person left.
async fn watch(
    client: &Client,
    id: &WorkflowId,
    view: &mut View,
) -> Result<Option<History>, CliError> {
    let listen = |subject: String| client.mesh.client.subscribe(subject);
    let failed = || CliError::nats("listen to the workflow");
    let mut wakes = listen(client.log_subject(id)).await.map_err(failed())?;
    let mut live = listen(client.mesh.subjects.live_of(id)).await.map_err(failed())?;
    let mut history = client.history(id).await?;
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut ticks = interval(REDRAW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count: u32 = 0;
    loop {
        view.show(&history)?;
        if over(&history) {
            return Ok(Some(history));
        }
        tokio::select! {
            _ = &mut interrupted => return Ok(None),
            _ = wakes.next() => drop(client.extend(&mut history).await?),
            message = live.next() => view.heard(message),
            _ = ticks.tick() => {
                count = count.wrapping_add(1);
                if count.is_multiple_of(LOOK_EVERY_REDRAWS) {
                    client.extend(&mut history).await?;
                }
            }
        }
    }
}

/// Ended, stuck, damaged, or nothing but a person can move it.
fn over(history: &History) -> bool {
    let waits = |w: &Workflow| {
        let why = w.why();
        !why.is_empty() && why.iter().all(Wait::is_for_a_person)
    };
    show::exit_of(history) != Exit::Waiting || history.workflow().is_some_and(waits)
}

fn waiting(history: &History) -> Result<(), CliError> {
    let Some(workflow) = history.workflow() else { return Ok(()) };
    for (gate, state) in workflow.open_gates() {
        term::say_line(&format!("gate {gate} waits for a person: {}", state.reason))?;
    }
    if let Some(pause) = workflow.pause() {
        term::say_line(&format!("paused: {}", pause.reason))?;
    }
    ways_out(workflow).iter().try_for_each(|way| term::say_line(&format!("  {way}")))
}

fn note(way: &str) {
    term::note(&format!("  {way}"));
}

/// What stands on the screen.
struct View {
    term: Term,
    silent: bool,
    progress: Progress,
    /// Lines drawn that the next picture goes over.
    drawn: usize,
    /// Entries already told, where nothing is drawn again.
    told: usize,
}

impl View {
    fn new(term: Term, silent: bool) -> Self {
        Self { term, silent, progress: Progress::new(), drawn: 0, told: 0 }
    }

    fn show(&mut self, history: &History) -> Result<(), CliError> {
        let Some(workflow) = history.workflow() else { return Ok(()) };
        if self.silent {
            return Ok(());
        }
        if !self.term.live {
            return self.tell(history, workflow);
        }
        let now = time::now_unix_ms();
        let lines = screen::frame(history, workflow, &self.progress, now, self.term);
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        let clear = "\x1b[K\n";
        let picture: String = lines.iter().map(|line| format!("{line}{clear}")).collect();
        self.drawn = lines.len();
        term::say(&format!("{up}{picture}\x1b[J"))
    }

    fn tell(&mut self, history: &History, workflow: &Workflow) -> Result<(), CliError> {
        let new = &history.entries()[self.told.min(history.entries().len())..];
        for line in new.iter().filter_map(|entry| screen::plain(entry, workflow)) {
            term::say_line(&line)?;
        }
        self.told = history.entries().len();
        Ok(())
    }

    /// A task's word on itself. What cannot be read is of no importance here.
    fn heard(&mut self, message: Option<async_nats::Message>) {
        let progress = message.and_then(|m| pb::Progress::decode(m.payload).ok());
        let Some(progress) = progress else { return };
        let Ok(task) = progress.task_id.parse() else { return };
        let share = progress.fraction;
        let text = if (0.0..=1.0).contains(&share) {
            format!("{:>3.0} %  {}", share * 100.0, progress.message)
        } else {
            progress.message
        };
        self.progress.insert(task, text);
    }

    fn close(&mut self) -> Result<(), CliError> {
        self.drawn = 0;
        if self.silent { Ok(()) } else { term::say("\n") }
    }
}
