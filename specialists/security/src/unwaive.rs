//! `security.unwaive`: an accepted finding counts again. The way back of [`crate::Waive`], and the
//! other way round.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    target::Targets,
    waive, waiver_file,
    waivers::{Day, Lines},
};

/// One small file is replaced.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which waiver.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Of the finding.
    pub fingerprint: String,
    /// The one that counts until this day; the first of the file when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
    /// That there is none is a success: what a way back needs to be right whether or not the way
    /// forth was taken.
    #[serde(default)]
    pub missing_ok: bool,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Of the finding that counts again.
    pub fingerprint: String,
    /// Whether there was a waiver.
    pub removed: bool,
    /// SHA-256 of the file of waivers; that of nothing when there is none.
    pub file_sha256: String,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// SHA-256 of the file without the waiver.
    others_sha256: String,
    /// Whether it was there.
    present: bool,
}

/// `security.unwaive`
#[derive(Debug, Clone)]
pub struct Unwaive {
    targets: Targets,
}

impl Unwaive {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for Unwaive {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "unwaive",
            role: crate::ROLE,
            summary: "Makes an accepted finding count again.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("waiver_is_gone", "the file does not have it"),
                ("only_this_changed", "every other line is as it was"),
            ],
            undo: Some(UndoPromise { verb: "waive", class: UndoClass::Exact }),
            timeout: TIMEOUT,
            locks: &["security-waivers:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let lines = waiver_file::read(self.targets.of(cx)?.waivers()?)?;
        let Some((place, waiver)) = find(&lines, inputs) else {
            if inputs.missing_ok {
                let before = Before { others_sha256: lines.fingerprint(), present: false };
                return Ok(Prepared { before, undo: None });
            }
            let text = format!("there is no waiver for {}", inputs.fingerprint);
            return Err(Failure::new(ErrorClass::InvalidInput, text)
                .help("the file of waivers lists what is accepted"));
        };
        let undo = waive::Inputs {
            fingerprint: waiver.fingerprint,
            reason: waiver.reason,
            by: waiver.by,
            until: waiver.until,
            at_line: Some(place + 1),
        };
        let undo = Undo::exact("security.waive", &undo);
        let others_sha256 = lines.without(place).fingerprint();
        Ok(Prepared { before: Before { others_sha256, present: true }, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let path = self.targets.of(cx)?.waivers()?;
        let lines = waiver_file::read(path)?;
        let wanted = find(&lines, inputs).map(|(place, _)| lines.without(place));
        if let Some(wanted) = wanted {
            if wanted.fingerprint() != before.others_sha256 {
                let text = format!("waivers {}: somebody else changed the file", path.display());
                return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                    .help("try again: nothing was changed"));
            }
            waiver_file::replace(path, &wanted)?;
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
        Ok(match find(&lines, inputs) {
            Some(_) => Found::NotBegun,
            None => Found::Done(measured(&lines, inputs, before)),
        })
    }
}

fn find(lines: &Lines, inputs: &Inputs) -> Option<(usize, crate::waivers::Waiver)> {
    lines.waivers().find(|(_, waiver)| {
        waiver.fingerprint == inputs.fingerprint
            && inputs.until.is_none_or(|until| until == waiver.until)
    })
}

fn measured(lines: &Lines, inputs: &Inputs, before: &Before) -> Measured<Outputs> {
    let gone = if find(lines, inputs).is_none() { "gone" } else { "there" };
    let checks = vec![
        Check::equal("waiver_is_gone", gone, "gone"),
        Check::equal("only_this_changed", lines.fingerprint(), before.others_sha256.clone()),
    ];
    let outputs = Outputs {
        fingerprint: inputs.fingerprint.clone(),
        removed: before.present,
        file_sha256: lines.fingerprint(),
    };
    Measured::new(outputs, checks)
}
