//! Doing one task: looking, or changing with the way back made durable first.
//!
//! The order of a change stands in [`change`], top to bottom, and nowhere else: prepare, write the
//! intent, tell the orchestrator the way back, perform, measure, write the outcome.

#[cfg(test)]
mod tests;

use deadelus_proto::{Aftermath, Body, Check, Direction, Done, ErrorClass, Failure, Undo};
use serde_json::Value;

use crate::{
    Context, Found, Measured, fingerprint,
    ledger::{Entry, Go, Held, Ledger, Overtaken, Standing},
    report::{Reporter, not_to_begin},
    specialist::{ErasedChange, ErasedRead, Specialist, Work},
};

/// Others who write an entry at the same moment; each of them is one more worker with the same task.
const WRITERS_MAX: usize = 4;

/// What a change needs besides its context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) specialist: &'a Specialist,
    pub(crate) ledger: &'a Ledger,
    pub(crate) reporter: &'a Reporter,
    /// Deliveries of the assignment so far.
    pub(crate) deliveries: u64,
    /// When this one was begun, in milliseconds since the epoch.
    pub(crate) begun_unix_ms: i64,
    /// Whether anybody waits for this attempt, as far as is known.
    pub(crate) is_wanted: bool,
}

impl Desk<'_> {
    /// This go at it.
    pub(crate) fn go(&self) -> Go {
        let instance = self.reporter.instance.clone();
        Go { instance, begun_unix_ms: self.begun_unix_ms }
    }

    /// Names an intent: what is forgotten and begun anew is another.
    fn intent(&self, cx: &Context) -> String {
        format!("{}#{} {}", self.reporter.instance, cx.key().attempt, self.begun_unix_ms)
    }
}

/// Looks; stops at once when the orchestrator says so.
pub(crate) async fn read(
    desk: Desk<'_>,
    work: &dyn ErasedRead,
    cx: &Context,
    inputs: &Value,
) -> Result<Done, Failure> {
    if !desk.is_wanted {
        return Err(not_to_begin());
    }
    tokio::select! {
        measured = work.perform(cx, inputs) => settle(measured?, false),
        () = cx.until_cancelled() => {
            Err(Failure::new(ErrorClass::Denied, "cancelled before it was done"))
        }
    }
}

/// Changes something, once, however often it is asked. What was done, and by whom.
pub(crate) async fn change(
    desk: Desk<'_>,
    work: &dyn ErasedChange,
    cx: &Context,
    inputs: &Value,
) -> Result<(Done, Go), Failure> {
    let key = ledger_key(desk, cx);
    let held = match intend(desk, work, cx, inputs, &key).await? {
        Intent::Finished(done, by) => {
            return Ok((Done { reconciled: true, ..done }, by.unwrap_or_else(|| desk.go())));
        }
        Intent::New(held) => {
            if let Err(failure) = record_undo(desk, cx, held.entry.undo.as_ref()).await {
                forget(desk, &key, &held).await;
                return Err(failure);
            }
            held
        }
        Intent::Begun(held) => {
            record_undo(desk, cx, held.entry.undo.as_ref()).await.map_err(unsure)?;
            if let Some(done) = reconcile(work, cx, inputs, &held.entry).await.map_err(unsure)? {
                return finish(desk, &key, held, done).await.map_err(unsure);
            }
            held
        }
    };
    let (held, result) = match work.perform(cx, inputs, &held.entry.before).await {
        Ok(measured) if measured.checks.iter().all(|c| c.pass) => (held, settle(measured, false)),
        Ok(measured) => {
            let (held, failure) = take_back(desk, cx, &key, held, measured).await;
            (held, Err(failure))
        }
        Err(failure) => (held, Err(failure)),
    };
    match result {
        Ok(done) => finish(desk, &key, held, done).await.map_err(unsure),
        Err(failure) => {
            match failure.aftermath {
                Aftermath::Untouched | Aftermath::TakenBack => forget(desk, &key, &held).await,
                Aftermath::Unknown | Aftermath::Partial => {}
            }
            Err(failure)
        }
    }
}

/// Writes the outcome. Who has done it well has it, whoever took it up meanwhile: from then on nobody
/// takes it back on their own.
async fn finish(
    desk: Desk<'_>,
    key: &str,
    mut held: Held,
    done: Done,
) -> Result<(Done, Go), Failure> {
    let done = Done { undo: held.entry.undo.clone(), ..done };
    for _ in 0..WRITERS_MAX {
        let (told, finished_by) = (Some(done.clone().into()), Some(desk.go()));
        let entry = Entry { done: told, finished_by, ..held.entry.clone() };
        if desk.ledger.write(key, entry, held.revision).await?.is_some() {
            return Ok((done, desk.go()));
        }
        match Overtaken::of(desk.ledger.read(key).await?, &held.entry) {
            Overtaken::AtIt(now) => held = now,
            Overtaken::Finished(done) => {
                return Ok((Done { reconciled: true, ..done }, desk.go()));
            }
            Overtaken::TakenBack => {
                let text = format!("done, but another worker has taken {key} back meanwhile");
                return Err(Failure::new(ErrorClass::UnknownOutcome, text));
            }
        }
    }
    Err(unsteady(key))
}

/// What came of the effect is what is reported. Where the ledger does not forget the intent, the next
/// attempt finds that it has not begun.
async fn forget(desk: Desk<'_>, key: &str, held: &Held) {
    if let Err(failure) = desk.ledger.forget(key, held).await {
        tracing::warn!(key, %failure, "the effect ledger still has an intent that came to nothing");
    }
}

/// A failure from where an effect may stand already, by this worker or one before: that the ledger or
/// the component does not answer now says nothing of it.
pub(crate) fn unsure(failure: Failure) -> Failure {
    match failure.aftermath {
        Aftermath::Untouched => Failure { aftermath: Aftermath::Unknown, ..failure },
        Aftermath::TakenBack | Aftermath::Unknown | Aftermath::Partial => failure,
    }
}

/// An effect has one key for all its attempts. An undo has one for each: what it takes back may have
/// landed after the last undo was done.
fn ledger_key(desk: Desk<'_>, cx: &Context) -> String {
    let key = format!("{}.{}", desk.specialist.name(), cx.key().effect_key());
    match cx.key().direction {
        Direction::Do => key,
        Direction::Undo => format!("{key}.{}", cx.key().attempt),
    }
}

/// Where a change starts from.
enum Intent {
    New(Held),
    Begun(Held),
    Finished(Done, Option<Go>),
}

/// Makes the intent durable, or finds the one that is.
async fn intend(
    desk: Desk<'_>,
    work: &dyn ErasedChange,
    cx: &Context,
    inputs: &Value,
    key: &str,
) -> Result<Intent, Failure> {
    let digest = fingerprint(inputs);
    // Again: a replica that was a moment faster leaves an entry to go by.
    for _ in 0..WRITERS_MAX {
        match Standing::of(desk.ledger.read(key).await.map_err(unsure)?, &digest) {
            Standing::Finished(done, by) => return Ok(Intent::Finished(done, by)),
            Standing::Begun(Held { entry, revision }) => {
                let entry = Entry { taking_back: false, ..entry };
                let taken_up = desk.ledger.write(key, entry, revision).await.map_err(unsure)?;
                if let Some(held) = taken_up {
                    return Ok(Intent::Begun(held));
                }
            }
            Standing::Conflict => return Err(conflict(key)),
            Standing::Fresh if !desk.is_wanted => return Err(not_to_begin()),
            Standing::Fresh => {
                let (before, undo) = work.prepare(cx, inputs).await?;
                let (inputs, intent) = (digest.clone(), desk.intent(cx));
                let (done, finished_by, taking_back) = (None, None, false);
                let entry = Entry { inputs, undo, before, done, intent, taking_back, finished_by };
                if let Some(held) = desk.ledger.begin(key, entry).await? {
                    return Ok(Intent::New(held));
                }
            }
        }
    }
    Err(unsure(unsteady(key)))
}

async fn record_undo(desk: Desk<'_>, cx: &Context, undo: Option<&Undo>) -> Result<(), Failure> {
    match (cx.key().direction, undo) {
        // An undo is itself the way back; there is nothing to record.
        (Direction::Undo, _) | (Direction::Do, None) => Ok(()),
        (Direction::Do, Some(undo)) => {
            desk.reporter.announce(cx.key(), desk.deliveries, &desk.go(), undo.clone()).await
        }
    }
}

async fn reconcile(
    work: &dyn ErasedChange,
    cx: &Context,
    inputs: &Value,
    entry: &Entry,
) -> Result<Option<Done>, Failure> {
    match work.reconcile(cx, inputs, &entry.before).await? {
        Found::NotBegun => {
            cx.progress("an earlier attempt had not begun: doing it now", None).await;
            Ok(None)
        }
        Found::Partly => {
            cx.progress("an earlier attempt got part of the way: carrying on", None).await;
            Ok(None)
        }
        // Done but not good enough goes through `perform` again, which measures and takes back.
        Found::Done(measured) if !measured.checks.iter().all(|c| c.pass) => Ok(None),
        Found::Done(measured) => settle(measured, true).map(Some),
    }
}

/// The change is there but not good enough: undo it here and now, and say what was measured. Not where
/// another worker has taken it up meanwhile: then it is no longer this one's to take back.
async fn take_back(
    desk: Desk<'_>,
    cx: &Context,
    key: &str,
    held: Held,
    measured: Measured<Value>,
) -> (Held, Failure) {
    let failed: Vec<String> = measured.checks.iter().filter(|c| !c.pass).map(in_words).collect();
    let said = failed.join("; ");
    let with = |failure: Failure| failure.checks(measured.checks).artefacts(measured.artefacts);
    let held = match (&held.entry.undo, cx.key().direction) {
        (Some(_), Direction::Do) => {
            let entry = Entry { taking_back: true, ..held.entry.clone() };
            match desk.ledger.write(key, entry, held.revision).await {
                Ok(Some(held)) => held,
                Ok(None) => {
                    let text = format!("{said}; left there: another worker has taken it up");
                    return (held, with(Failure::new(ErrorClass::UnknownOutcome, text)));
                }
                Err(failure) => return (held, with(unsure(failure))),
            }
        }
        (None, Direction::Do) | (_, Direction::Undo) => held,
    };
    let failure = match (&held.entry.undo, cx.key().direction) {
        (_, Direction::Undo) => Failure::new(ErrorClass::UndoFailed, said),
        (None, Direction::Do) => {
            let mut failure = Failure::new(ErrorClass::CheckFailed, said);
            failure.aftermath = Aftermath::Partial;
            failure
        }
        (Some(undo), Direction::Do) => match run_undo(desk, cx, undo).await {
            Ok(()) => Failure::new(ErrorClass::CheckFailed, said),
            Err(undo) => {
                Failure::new(ErrorClass::UndoFailed, format!("{said}; and taking it back: {undo}"))
            }
        },
    };
    (held, with(failure))
}

async fn run_undo(desk: Desk<'_>, cx: &Context, undo: &Undo) -> Result<(), Failure> {
    let offer = desk.specialist.capabilities.get(&undo.capability).ok_or_else(|| {
        let text = format!("{} is not offered here", undo.capability);
        Failure::new(ErrorClass::UndoFailed, text)
    })?;
    let Work::Change(work) = &offer.work else {
        let text = format!("{} changes nothing", undo.capability);
        return Err(Failure::new(ErrorClass::UndoFailed, text));
    };
    let (before, _) = work.prepare(cx, &undo.inputs).await?;
    let measured = work.perform(cx, &undo.inputs, &before).await?;
    match measured.checks.iter().find(|c| !c.pass) {
        None => Ok(()),
        Some(check) => Err(Failure::new(ErrorClass::UndoFailed, in_words(check))),
    }
}

/// Results become `Done` only with at least one check, all passed.
fn settle(measured: Measured<Value>, reconciled: bool) -> Result<Done, Failure> {
    let Measured { outputs, checks, artefacts, residue } = measured;
    if checks.is_empty() {
        let text = "nothing was measured: an empty list of checks is never green";
        return Err(Failure::new(ErrorClass::CheckFailed, text));
    }
    let failed: Vec<String> = checks.iter().filter(|c| !c.pass).map(in_words).collect();
    if !failed.is_empty() {
        let mut failure = Failure::new(ErrorClass::CheckFailed, failed.join("; "));
        failure.aftermath = Aftermath::Untouched;
        return Err(failure.checks(checks).artefacts(artefacts));
    }
    let outputs = Body::Inline(outputs);
    Ok(Done { outputs, checks, artefacts, residue, reconciled, undo: None })
}

fn in_words(check: &Check) -> String {
    let Check { id, measured, op, threshold, note, .. } = check;
    if note.is_empty() {
        format!("{id}: {measured}, wanted {op} {threshold}")
    } else {
        format!("{id}: {measured}, wanted {op} {threshold} ({note})")
    }
}

fn unsteady(key: &str) -> Failure {
    Failure::new(ErrorClass::Unavailable, format!("the effect ledger has no steady {key}"))
}

fn conflict(key: &str) -> Failure {
    let text = format!("{key} was already used with other inputs");
    Failure::new(ErrorClass::Conflict, text).help("submit the changed plan as a new workflow")
}
