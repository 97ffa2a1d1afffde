//! `security.waive`: accepts a finding for a time, with a reason and a name. Taken back by
//! [`crate::Unwaive`].

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    target::Targets,
    unwaive, waiver_file,
    waivers::{Day, Lines, Waiver},
};

/// One small file is replaced.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever accepts something for longer has decided and forgotten: half a year.
const UNTIL_MAX_DAYS: i64 = 180;
/// A reason is a sentence, not a document.
const REASON_MAX_CHARS: usize = 500;
/// A person's or a team's name.
const BY_MAX_CHARS: usize = 100;

/// What is accepted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// As a scan tells it: sixteen hexadecimal digits.
    pub fingerprint: String,
    /// Why it is acceptable, for whoever reads it in half a year.
    pub reason: String,
    /// Who accepts it.
    pub by: String,
    /// The last day it counts, at most 180 days from now: `2026-01-31`.
    pub until: Day,
    /// The line it stood at, from 1, to bring one back exactly; also one that has ended. Else the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_line: Option<usize>,
}

/// What is accepted now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Of the finding.
    pub fingerprint: String,
    /// The last day it counts.
    pub until: Day,
    /// SHA-256 of the file of waivers.
    pub file_sha256: String,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// SHA-256 of the file without this waiver.
    pub(crate) others_sha256: String,
}

/// `security.waive`
#[derive(Debug, Clone)]
pub struct Waive {
    targets: Targets,
}

impl Waive {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for Waive {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "waive",
            role: crate::ROLE,
            summary: "Accepts a finding until a day, with a reason and a name.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("waiver_is_written", "the file has it, once"),
                ("only_this_changed", "without it the file is what it was before"),
            ],
            undo: Some(UndoPromise { verb: "unwaive", class: UndoClass::Exact }),
            timeout: TIMEOUT,
            locks: &["security-waivers:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        acceptable(inputs, Day::today())?;
        let lines = waiver_file::read(self.targets.of(cx)?.waivers()?)?;
        let same = lines.waivers().find(|(_, other)| other.fingerprint == inputs.fingerprint);
        if let Some((_, other)) = same.filter(|(_, other)| other.until >= Day::today()) {
            let Waiver { fingerprint, by, until, reason } = other;
            let text = format!("{fingerprint} is waived by {by} until {until}: {reason}");
            return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                .help("take it back with security.unwaive before it is accepted anew"));
        }
        let undo = unwaive::Inputs {
            fingerprint: inputs.fingerprint.clone(),
            until: Some(inputs.until),
            missing_ok: true,
        };
        let undo = Undo::exact("security.unwaive", &undo);
        let before = Before { others_sha256: lines.fingerprint() };
        Ok(Prepared { before, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let path = self.targets.of(cx)?.waivers()?;
        let lines = waiver_file::read(path)?;
        if place(&lines, inputs).is_none() {
            if lines.fingerprint() != before.others_sha256 {
                let text = format!("waivers {}: somebody else changed the file", path.display());
                return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                    .help("try again: nothing was changed"));
            }
            let at = inputs.at_line.map_or(0, |line| line.saturating_sub(1));
            waiver_file::replace(path, &lines.with(at, &waiver(inputs)))?;
        }
        Ok(measured(&waiver_file::read(path)?, inputs, before))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let lines = waiver_file::read(self.targets.of(cx)?.waivers()?)?;
        Ok(match place(&lines, inputs) {
            None => Found::NotBegun,
            Some(_) => Found::Done(measured(&lines, inputs, before)),
        })
    }
}

fn acceptable(inputs: &Inputs, today: Day) -> Result<(), Failure> {
    let Inputs { fingerprint, reason, by, until, at_line } = inputs;
    let digits = fingerprint.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let last = today.after(UNTIL_MAX_DAYS);
    let wrong = if !digits || fingerprint.len() != crate::finding::FINGERPRINT_DIGITS {
        format!("fingerprint: {fingerprint:?} is none; a scan tells it with each finding")
    } else if !is_line(reason, REASON_MAX_CHARS) {
        format!("reason: one line of 1 to {REASON_MAX_CHARS} characters")
    } else if !is_line(by, BY_MAX_CHARS) {
        format!("by: one line of 1 to {BY_MAX_CHARS} characters")
    } else if at_line.is_none() && !(today..=last).contains(until) {
        format!("until: {until} is not between today and {last}")
    } else {
        return Ok(());
    };
    Err(Failure::new(ErrorClass::InvalidInput, wrong))
}

fn is_line(text: &str, max_chars: usize) -> bool {
    !text.trim().is_empty() && !text.contains(['\n', '\r']) && text.chars().count() <= max_chars
}

fn waiver(inputs: &Inputs) -> Waiver {
    let Inputs { fingerprint, reason, by, until, at_line: _ } = inputs.clone();
    Waiver { fingerprint, reason, by, until }
}

fn place(lines: &Lines, inputs: &Inputs) -> Option<usize> {
    let wanted = waiver(inputs);
    lines.waivers().find(|(_, waiver)| *waiver == wanted).map(|(place, _)| place)
}

fn measured(lines: &Lines, inputs: &Inputs, before: &Before) -> Measured<Outputs> {
    let wanted = waiver(inputs);
    let times = lines.waivers().filter(|(_, waiver)| *waiver == wanted).count();
    let others = place(lines, inputs).map_or(lines.clone(), |place| lines.without(place));
    let checks = vec![
        Check::equal("waiver_is_written", times, 1),
        Check::equal("only_this_changed", others.fingerprint(), before.others_sha256.clone()),
    ];
    let outputs = Outputs {
        fingerprint: inputs.fingerprint.clone(),
        until: inputs.until,
        file_sha256: lines.fingerprint(),
    };
    Measured::new(outputs, checks)
}

#[cfg(test)]
mod tests;
