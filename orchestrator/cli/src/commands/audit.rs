//! `deadelus audit`: whether a log is what was decided, and who decided what. Each decision carries
//! the hash of the one before it, so whoever holds the bytes can verify them; no orchestrator and,
//! with an exported file, no server is needed. The last hash covers everything before it: kept
//! elsewhere, it proves later that nothing was rewritten.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use deadelus_core::{Event, TakeBackCause};
use deadelus_mesh::archive;
use deadelus_proto::{WorkflowId, pb::ExportedLog};
use prost::Message;
use serde::Serialize;

use crate::{
    args::{Audit, Output, Place},
    bulk::each,
    client::Client,
    error::CliError,
    exit::Exit,
    history::{Entry, History},
    term::{self, Term, hang},
    time,
};

/// As much as the stream of all logs holds; one log is far smaller.
const FILE_MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// What an audit comes to.
#[derive(Debug, PartialEq, Serialize)]
struct Audited {
    workflow: String,
    /// Whether every decision follows from the one before it.
    intact: bool,
    /// The first place where it does not, and why; empty while intact.
    breaks: String,
    decisions: usize,
    /// Decisions of an older version, which carry no hash.
    unlinked: usize,
    /// SHA-256 of the last decision.
    head: String,
    /// SHA-256 of the object that the log is archived in; empty while it is in its stream.
    archive: String,
    words: Vec<Word>,
}

/// What a person decided.
#[derive(Debug, PartialEq, Serialize)]
struct Word {
    at_unix_ms: i64,
    by: String,
    what: String,
    reason: String,
}

pub(crate) async fn run(place: &Place, args: &Audit) -> Result<Exit, CliError> {
    if let Some(file) = &args.file {
        return show(&audited(&from_file(file)?)?, args.output);
    }
    let id = args.id.as_deref().unwrap_or_default();
    let one = async |client: &Client, id: &WorkflowId| {
        let log = from_mesh(client, id).await?;
        if let Some(file) = &args.export {
            fs::write(file, log.encode_to_vec()).map_err(CliError::file("write", file))?;
        }
        show(&audited(&log)?, args.output)
    };
    each(place, id, one).await
}

async fn from_mesh(client: &Client, id: &WorkflowId) -> Result<ExportedLog, CliError> {
    let messages = client.log(id).await?;
    if messages.is_empty() {
        return Err(CliError::NoWorkflow(id.to_string()));
    }
    Ok(archive::exported(id, &messages))
}

fn from_file(path: &Path) -> Result<ExportedLog, CliError> {
    let mut bytes = vec![];
    File::open(path)
        .and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes))
        .map_err(CliError::file("read", path))?;
    let damaged = |e: prost::DecodeError| CliError::Damaged {
        path: path.to_owned(),
        problem: format!("it is no exported log: {e}"),
    };
    ExportedLog::decode(&*bytes).map_err(damaged)
}

/// The verdict on a log.
fn audited(log: &ExportedLog) -> Result<Audited, CliError> {
    let id = log.workflow_id.parse().map_err(|e| CliError::Usage(format!("{e}")))?;
    let mut history = History::new(id);
    for message in &log.decisions {
        history.read(message.sequence, &message.decision)?;
        if history.needs_reconcile() {
            break;
        }
    }
    let breaks = history.damage();
    Ok(Audited {
        workflow: log.workflow_id.clone(),
        intact: breaks.is_none(),
        breaks: breaks.unwrap_or_default(),
        decisions: history.decisions(),
        unlinked: history.unlinked(),
        head: history.head().map(|head| head.to_string()).unwrap_or_default(),
        archive: history.archive().map(|a| a.sha256.to_string()).unwrap_or_default(),
        words: history.entries().iter().filter_map(word).collect(),
    })
}

/// What a person said, if it was a person.
fn word(entry: &Entry) -> Option<Word> {
    let (by, what, reason) = match &entry.event {
        Event::Accepted { plan, submitted_by, forked_from: None, .. } => {
            (submitted_by, format!("started plan {}", plan.digest()), "")
        }
        Event::Accepted { plan, submitted_by, forked_from: Some(origin), .. } => {
            let (from, task) = (&origin.workflow, &origin.task);
            (submitted_by, format!("forked {from} from {task}, plan {}", plan.digest()), "")
        }
        Event::GateDecided { gate, approved, by, reason } => {
            let what = if *approved { "approved" } else { "rejected" };
            (by, format!("{what} gate {gate}"), reason.as_str())
        }
        Event::GateDelegated { gate, to, by, reason, .. } => {
            (by, format!("had {to} asked at gate {gate}"), reason.as_str())
        }
        Event::TaskSkipped { task, by, reason } => {
            (by, format!("left out {task}"), reason.as_str())
        }
        Event::TaskRetried { task, by, reason } => {
            (by, format!("had {task} tried again"), reason.as_str())
        }
        Event::Paused { by, reason } => (by, "paused it".to_owned(), reason.as_str()),
        Event::Resumed { by, reason } => (by, "resumed it".to_owned(), reason.as_str()),
        Event::TakeBackOrdered { cause, by, reason } => {
            let what = match cause {
                TakeBackCause::Cancel => "cancelled it",
                TakeBackCause::Undo => "had it undone",
                TakeBackCause::Failure => return None,
            };
            (by, what.to_owned(), reason.as_str())
        }
        Event::StuckRetried { by, reason } => {
            (by, "had the failed undos tried again".to_owned(), reason.as_str())
        }
        Event::StuckResolved { task, by, reason } => {
            (by, format!("said that {task} is taken back by hand"), reason.as_str())
        }
        Event::TaskInherited { .. }
        | Event::GateOpened { .. }
        | Event::TaskRequested { .. }
        | Event::UndoRecorded { .. }
        | Event::TaskDone { .. }
        | Event::TaskFailed { .. }
        | Event::TaskTimedOut { .. }
        | Event::SlotsAwaited { .. }
        | Event::RetryScheduled { .. }
        | Event::TaskHeld { .. }
        | Event::ScopeClosing { .. }
        | Event::ScopeClosed { .. }
        | Event::LateEffect { .. }
        | Event::Ended { .. } => return None,
    };
    let (by, reason, at_unix_ms) = (by.clone(), reason.to_owned(), entry.at_unix_ms);
    (!by.is_empty()).then_some(Word { at_unix_ms, by, what, reason })
}

/// A broken log is a failure of the command.
fn show(audited: &Audited, output: Output) -> Result<Exit, CliError> {
    if output.is_json() {
        term::say_json(audited)?;
    } else {
        term::say(&text(audited, term::stdout()))?;
    }
    Ok(if audited.intact { Exit::Done } else { Exit::Failed })
}

fn text(audited: &Audited, term: Term) -> String {
    let mut out = String::new();
    for word in &audited.words {
        let reason = if word.reason.is_empty() { "" } else { ": " };
        let what = format!("{} {}{reason}{}", word.by, word.what, word.reason);
        out.push_str(&hang(&format!("{}  ", time::clock(word.at_unix_ms)), &what, term.width));
    }
    let id = &audited.workflow;
    if audited.intact {
        out.push_str(&format!("{id} is intact: {} decisions", audited.decisions));
    } else {
        out.push_str(&format!("{id} is broken after {} decisions: ", audited.decisions));
        out.push_str(&audited.breaks);
    }
    if audited.unlinked > 0 {
        out.push_str(&format!(", {} of them of a version that kept no hash", audited.unlinked));
    }
    if !audited.archive.is_empty() {
        out.push_str(&format!("\narchived as {}", audited.archive));
    }
    out.push_str(&format!("\nlast hash {}\n", audited.head));
    out
}

#[cfg(test)]
mod tests {
    use deadelus_proto::pb::ExportedDecision;

    use super::*;
    use crate::fixture;

    fn exported() -> ExportedLog {
        let story = fixture::to_the_end();
        let decisions = story.log().iter().map(|(sequence, bytes)| ExportedDecision {
            sequence: *sequence,
            decision: bytes.clone().into(),
        });
        ExportedLog { workflow_id: "wf-1".into(), decisions: decisions.collect() }
    }

    #[test]
    fn an_untouched_log_is_intact_and_says_who_decided() {
        let audited = audited(&exported()).unwrap();
        assert!(audited.intact && audited.unlinked == 0, "{audited:?}");
        let words: Vec<String> =
            audited.words.iter().map(|w| format!("{} {}: {}", w.by, w.what, w.reason)).collect();
        assert!(words[0].starts_with("ada started plan "), "{words:?}");
        assert_eq!(words[1], "ada approved gate plan: looked at it");
        let shown = text(&audited, Term::plain(80));
        assert!(shown.contains("wf-1 is intact"), "{shown}");
    }

    #[test]
    fn a_log_of_a_version_that_kept_no_hash_is_read_and_says_so() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
        for (file, linked) in [("0.1.0-done.log", false), ("0.1.0+1-done.log", true)] {
            let audited = audited(&from_file(&golden.join(file)).unwrap()).unwrap();
            let unlinked = if linked { 0 } else { audited.decisions - 1 };
            assert!(audited.intact && audited.decisions > 10, "{file}: {audited:?}");
            assert_eq!(audited.unlinked, unlinked, "{file}");
        }
        assert!(matches!(from_file(&golden.join("README.md")), Err(CliError::Damaged { .. })));
    }

    #[test]
    fn whatever_is_changed_is_found_at_the_first_place() {
        use deadelus_proto::pb;
        let log = exported();
        for at in 0..log.decisions.len() - 1 {
            let mut changed = log.clone();
            let bytes = changed.decisions[at].decision.clone();
            let mut decision = pb::Decision::decode(bytes).unwrap();
            decision.owner = "somebody else".into();
            changed.decisions[at].decision = decision.encode_to_vec().into();
            let audited = audited(&changed).unwrap();
            let next = log.decisions[at + 1].sequence;
            assert!(!audited.intact, "{at}");
            assert!(audited.breaks.contains(&format!("message {next} ")), "{}", audited.breaks);
        }
        let mut cut = log.clone();
        cut.decisions.remove(2);
        assert!(!audited(&cut).unwrap().intact);
    }
}
