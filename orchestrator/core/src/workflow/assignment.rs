//! What a specialist is asked, resolved from the state alone.

use deadelus_proto::{
    Assignment, Body, Direction, ErrorClass, Failure, TaskKey, limits::INPUTS_MAX_BYTES,
};
use serde_json::Value;

use super::{Progress, Workflow};
use crate::expr::{Facts, Names, TaskFacts};

/// Nobody waits for this attempt, so there is nothing to assign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not in flight")]
pub struct NotInFlight(pub TaskKey);

impl Workflow {
    /// The assignment of an attempt that is in flight: the same on every replica and every time.
    ///
    /// # Errors
    /// [`NotInFlight`] when the attempt has been answered or given up.
    pub fn assignment(&self, key: &TaskKey) -> Result<Assignment, NotInFlight> {
        let stale = || NotInFlight(key.clone());
        let at = self.plan.position(&key.task).ok_or_else(stale)?;
        let (spec, task) = (&self.plan.tasks()[at], &self.tasks[at]);
        let asked = |(direction, number, _): &(_, _, _)| {
            *direction == key.direction && *number == key.attempt
        };
        let (.., in_flight) = task.in_flight().find(asked).ok_or_else(stale)?;
        let (capability, inputs) = match (key.direction, &task.undo) {
            (Direction::Do, _) => (&spec.does, self.inputs(at).map_err(|_| stale())?),
            (Direction::Undo, Some(undo)) => (&undo.capability, undo.inputs.clone()),
            (Direction::Undo, None) => return Err(stale()),
        };
        Ok(Assignment {
            key: key.clone(),
            capability: capability.clone(),
            target: spec.target.clone(),
            inputs: Body::Inline(inputs),
            deadline_unix_ms: in_flight.deadline_unix_ms,
            plan_digest: self.plan.digest().clone(),
            again: false,
        })
    }

    /// The inputs of a task whose needs have settled.
    pub(crate) fn inputs(&self, at: usize) -> Result<Value, Failure> {
        let template = &self.plan.tasks()[at].inputs;
        let invalid = |e: String| Failure::new(ErrorClass::InvalidInput, e);
        let inputs = template.fill(&self.facts(at, &template.names())).map_err(invalid)?;
        let size = inputs.to_string().len();
        if size > INPUTS_MAX_BYTES {
            let what = format!("the inputs have {size} bytes; at most {INPUTS_MAX_BYTES}");
            return Err(invalid(what));
        }
        Ok(inputs)
    }

    /// Whether a task runs once its needs have settled; if not, the reason.
    pub(crate) fn runs(&self, at: usize) -> Result<Result<(), String>, Failure> {
        let spec = &self.plan.tasks()[at];
        let Some(when) = &spec.when else {
            let in_order = |at: usize| self.is_done(at) || self.tasks[at].is_left_out();
            let missing = spec.needs.iter().find(|need| !in_order(**need));
            return Ok(missing.map_or(Ok(()), |need| {
                Err(format!(
                    "it needs {}, which is {}",
                    self.plan.tasks()[*need].id,
                    self.fact(*need)
                ))
            }));
        };
        match when.holds(&self.facts(at, &when.names())) {
            Ok(true) => Ok(Ok(())),
            Ok(false) => Ok(Err(format!("not the case: {}", when.text()))),
            Err(e) => Err(Failure::new(ErrorClass::InvalidInput, e)),
        }
    }

    fn facts(&self, at: usize, names: &Names) -> Facts<'_> {
        let plan = self.plan.plan();
        let known = names.tasks.iter().filter_map(|name| {
            let at = self.plan.position(&name.parse().ok()?)?;
            let (spec, task) = (&self.plan.tasks()[at], &self.tasks[at]);
            Some((&spec.id, TaskFacts { status: self.fact(at), done: task.done() }))
        });
        Facts {
            params: &plan.params,
            request: &plan.request,
            target: self.plan.tasks()[at].target.as_str(),
            tasks: known.collect(),
        }
    }

    /// The status of a settled task as plans see it. It never changes again, so that the same
    /// assignment comes out at every time.
    fn fact(&self, at: usize) -> &'static str {
        match self.tasks[at].progress {
            Progress::Done(_) if self.is_done(at) => "done",
            Progress::Done(_) => "undone",
            Progress::Failed(_) => "failed",
            Progress::Skipped(_) => "skipped",
            Progress::Waiting | Progress::Doing(_) | Progress::Again { .. } | Progress::Held(_) => {
                "waiting"
            }
        }
    }
}
