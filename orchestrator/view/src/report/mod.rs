//! What a workflow came to, as a person would forward it. Pure: a history in, values out; how they
//! are written stands in the files beside this one.

mod criteria;
mod deviations;
mod document;
mod facts;
mod figures;
mod html;
mod markdown;
mod plan;
mod text;
mod waterfall;

use std::collections::BTreeMap;

use deadelus_core::{Ending, Status, Workflow};
use deadelus_mesh::objects;
use deadelus_proto::Sha256;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Client, ViewError,
    history::History,
    plan_view,
    standing::status,
    term::Term,
    timeline::{self, Try},
};
pub use criteria::Criterion;
pub use facts::stored;
pub use figures::Figure;
pub use plan::{Crew, Phase, Risk, Step, WayBack};

/// Outputs that travelled by reference, fetched.
pub type Stored = BTreeMap<Sha256, Value>;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub workflow: String,
    pub title: String,
    /// In the person's words.
    pub request: String,
    pub target: String,
    /// `done`, `undone`, `stuck`, `running`, …
    pub status: String,
    /// Whether it has ended.
    pub is_over: bool,
    /// The outcome in a sentence, held to the criteria of the plan once it is over.
    pub outcome: String,
    /// What the plan wanted to reach, and whether it is.
    pub criteria: Vec<Criterion>,
    pub started_unix_ms: i64,
    pub updated_unix_ms: i64,
    pub submitted_by: String,
    /// Who approved the plan; empty when nobody had to.
    pub approved_by: String,
    pub plan_digest: String,
    /// Before and after, where something was measured.
    pub figures: Vec<Figure>,
    /// Changes that stand.
    pub kept: Vec<Change>,
    /// Changes that were tried and are taken back, or are to be.
    pub taken_back: Vec<Change>,
    /// Each diagnosis, in order.
    pub found: Vec<Diagnosis>,
    /// The budget's verdict.
    pub budget: Option<Budget>,
    /// Tasks that failed and changed nothing.
    pub failed: Vec<Failed>,
    pub checks: Vec<Checked>,
    pub artefacts: Vec<Evidence>,
    /// What taking back left behind.
    pub residue: Vec<String>,
    /// Where what happened is not what was approved.
    pub deviations: Vec<String>,
    /// Retries, lost workers, timeouts, late effects.
    pub incidents: Vec<String>,
    /// Every task of the plan.
    pub tasks: Vec<Step>,
    /// Who had a part in it.
    pub specialists: Vec<Crew>,
    /// Its phases, in order.
    pub phases: Vec<Phase>,
    /// What might have gone wrong.
    pub risks: Vec<Risk>,
    /// The way back of every change.
    pub ways_back: Vec<WayBack>,
    /// Every try, at doing and at taking back, in order.
    pub tries: Vec<Try>,
    /// The command that takes back what stands; empty when nothing stands.
    pub undo: String,
    /// Of the trace that covers the whole workflow; may be empty.
    pub trace_id: String,
}

/// One thing that was changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub task: String,
    pub title: String,
    /// `db.create_index`
    pub does: String,
    /// What exactly: the statement, the revision.
    pub what: String,
    /// Why it was taken back; empty for what is kept.
    pub reason: String,
    /// How it can be, or was, taken back.
    pub way_back: String,
    /// Whether it is certain that it does not stand any more.
    pub is_gone: bool,
}

/// What a diagnosis found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    pub task: String,
    /// Whether it describes what is now: nothing that stands came after it.
    pub is_current: bool,
    pub causes: Vec<Cause>,
}

/// One cause of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub cause: String,
    /// Of the time, 0 to 1.
    pub share: f64,
    pub evidence: String,
    pub advice: String,
}

/// What became of the budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    pub met: bool,
    /// In a sentence.
    pub verdict: String,
}

/// A task that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failed {
    pub task: String,
    pub title: String,
    pub message: String,
}

/// One criterion that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    pub task: String,
    pub check: String,
    pub measured: String,
    /// `<= 50`
    pub wanted: String,
    pub pass: bool,
    pub note: String,
    /// The SHA-256 of what proves it.
    pub evidence: Option<String>,
}

/// Bytes that prove something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    pub task: String,
    pub name: String,
    pub sha256: String,
    pub size_bytes: u64,
}

impl Report {
    /// The report of a workflow, with the outputs that were too large for its log.
    ///
    /// # Errors
    /// When one of them cannot be had, and [`ViewError::Log`] when nothing was accepted.
    pub async fn fetch(client: &Client, history: &History) -> Result<Self, ViewError> {
        let mut outputs = Stored::new();
        for artefact in stored(history.accepted()?) {
            let bytes = objects::get(&client.mesh, &artefact).await?;
            let value = serde_json::from_slice(&bytes);
            outputs.insert(artefact.sha256, value.map_err(ViewError::nats("read an artefact"))?);
        }
        Self::of(history, &outputs).ok_or_else(|| ViewError::NoWorkflow(history.id().to_string()))
    }

    /// The report of a workflow as far as its log goes; `None` when nothing was accepted.
    pub fn of(history: &History, stored: &Stored) -> Option<Self> {
        let workflow = history.workflow()?;
        let plan = workflow.plan();
        let (kept, taken_back) = facts::changes(history, workflow, stored);
        let figures = figures::figures(history, workflow, stored);
        let budget = facts::budget(history, workflow);
        let criteria = criteria::judged(history, workflow);
        let tries = timeline::tries(history);
        let approved = workflow.gates().get(&deadelus_core::Gate::Plan);
        let approved = approved.and_then(|gate| gate.decision.as_ref()).filter(|d| d.0);
        let stands = !kept.is_empty() && workflow.ended().is_some();
        Some(Self {
            workflow: workflow.id().to_string(),
            title: plan.plan().title.clone(),
            request: plan.plan().request.clone(),
            target: plan.plan().target.clone().unwrap_or_default(),
            status: status(history, workflow),
            is_over: workflow.ended().is_some(),
            outcome: validated(
                outcome(history, workflow, &kept, budget.as_ref(), &figures),
                workflow,
                &criteria,
            ),
            started_unix_ms: workflow.accepted_unix_ms(),
            updated_unix_ms: workflow.last_unix_ms(),
            submitted_by: workflow.submitted_by().to_owned(),
            approved_by: approved.map(|(_, by, _)| by.clone()).unwrap_or_default(),
            plan_digest: plan.digest().to_string(),
            found: facts::found(workflow, (&kept, &taken_back), stored),
            failed: facts::failed(workflow),
            checks: facts::checks(workflow),
            artefacts: facts::artefacts(workflow),
            residue: facts::residue(workflow),
            deviations: deviations::deviations(history, workflow),
            incidents: facts::incidents(history),
            tasks: plan::steps(workflow, &tries),
            specialists: plan::crews(workflow, &tries),
            phases: plan::phases(history, workflow),
            risks: plan::risks(workflow),
            ways_back: plan::ways_back(workflow),
            tries,
            criteria,
            undo: if stands { format!("deadelus undo {}", workflow.id()) } else { String::new() },
            trace_id: facts::trace_id(workflow.traceparent()),
            figures,
            kept,
            taken_back,
            budget,
        })
    }

    /// For a terminal.
    pub fn text(&self, term: Term) -> String {
        text::write(&document::of(self), term)
    }

    /// For a ticket or a pull request.
    pub fn markdown(&self) -> String {
        markdown::write(&document::of(self))
    }

    /// One file for a browser, with nothing to load.
    pub fn html(&self) -> String {
        html::write(&document::of(self))
    }
}

/// What came of it, held to the criteria that it was approved for.
fn validated(outcome: String, workflow: &Workflow, criteria: &[Criterion]) -> String {
    let held = criteria::in_words(criteria);
    if workflow.ended().is_none() || held.is_empty() {
        return outcome;
    }
    let stop = if outcome.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{outcome}{stop} {held}")
}

/// One sentence for those who read nothing else.
fn outcome(
    history: &History,
    workflow: &Workflow,
    kept: &[Change],
    budget: Option<&Budget>,
    figures: &[Figure],
) -> String {
    if history.needs_reconcile() {
        return format!("The log is damaged: {}", history.alarms().join("; "));
    }
    let reason = workflow.ended().map(|(_, reason)| reason).unwrap_or_default();
    match workflow.status() {
        Status::Approval => "It waits for the approval of its plan; nothing has begun.".to_owned(),
        Status::Running => "It is still under way.".to_owned(),
        Status::Paused => {
            let why = workflow.pause().map(|pause| pause.reason.as_str()).unwrap_or_default();
            format!("It is paused; a person decides how it goes on. Why: {why}")
        }
        Status::TakingBack => "It is being taken back.".to_owned(),
        Status::Stuck => "An undo failed; a person is needed.".to_owned(),
        Status::Ended(Ending::Undone) => {
            format!("Everything it did is taken back. Why: {reason}")
        }
        Status::Ended(Ending::Cancelled) => {
            format!("It was cancelled, and everything it did is taken back. Why: {reason}")
        }
        Status::Ended(Ending::Rejected) => {
            format!("It was rejected before it began. Why: {reason}")
        }
        Status::Ended(Ending::Done) => done(kept, budget, figures),
    }
}

fn done(kept: &[Change], budget: Option<&Budget>, figures: &[Figure]) -> String {
    let changes = match kept.len() {
        0 if budget.is_some_and(|budget| budget.met) => {
            "Nothing was changed: it needs no change.".to_owned()
        }
        0 => "Nothing was changed: no change was proved to help.".to_owned(),
        1 => format!("One change is kept: {}.", kept[0].what.trim_end_matches(['.', ';'])),
        n => format!("{n} changes are kept."),
    };
    let headline = figures.iter().find(|f| f.is_headline && f.after.is_some());
    let effect = headline.map(|f| format!(" {}.", f.in_words())).unwrap_or_default();
    let verdict = match budget {
        Some(budget) if budget.met => " The budget is met.",
        Some(_) => " It is not proved that the budget is met.",
        None => "",
    };
    format!("{changes}{effect}{verdict}")
}

/// How a kept change can be taken back.
fn way_back(spec: &deadelus_core::plan::CheckedTask) -> String {
    plan_view::way_back(spec)
}

#[cfg(test)]
mod tests;
