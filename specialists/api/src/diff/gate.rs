//! Which breaking changes a plan may carry: those a person waived, by id and place, until a day.

use deadelus_runtime::{ErrorClass, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Change, lifecycle, rules};

/// A breaking change that somebody answers for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Of the change: `request-property-removed`.
    pub id: String,
    /// The operation it is waived for: `POST /orders`; every one where it is not given.
    #[serde(default)]
    pub operation: Option<String>,
    /// The JSON pointer it is waived for, as the change names it; every one where it is not given.
    #[serde(default)]
    pub pointer: Option<String>,
    /// Why callers will not mind. Stands in the report.
    pub reason: String,
    /// The last day it holds: `2031-12-31`.
    pub expires: String,
}

/// A list of changes after the waivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict<'a> {
    /// Breaking, and nobody answers for it.
    pub(super) open: Vec<&'a Change>,
    /// Breaking, and waived.
    pub(super) waived: Vec<&'a Change>,
    /// The places of waivers, from 0, that are out of time or that nothing needs.
    pub(super) idle: Vec<usize>,
}

/// Refuses waivers that can never apply.
pub(super) fn check(waivers: &[Waiver]) -> Result<(), Failure> {
    let invalid = |text: String| Err(Failure::new(ErrorClass::InvalidInput, text));
    for Waiver { id, reason, expires, .. } in waivers {
        if rules::of(id).is_none() {
            return invalid(format!("waivers: there is no change {id:?}"));
        }
        if lifecycle::day(expires).is_none() {
            return invalid(format!("waivers: {id}: expires {expires:?} is no date"));
        }
        if reason.trim().is_empty() {
            return invalid(format!("waivers: {id}: it has no reason"));
        }
    }
    Ok(())
}

/// Judges changes on a day.
pub(super) fn judge<'a>(changes: &'a [Change], waivers: &[Waiver], today: i64) -> Verdict<'a> {
    let holds = |waiver: &Waiver| lifecycle::day(&waiver.expires).is_some_and(|day| today <= day);
    let covers = |waiver: &Waiver, change: &Change| {
        let same = |wanted: &Option<String>, found: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        waiver.id == change.id
            && holds(waiver)
            && same(&waiver.operation, &change.operation)
            && same(&waiver.pointer, &change.pointer)
    };
    let breaking = changes.iter().filter(|change| change.breaking);
    let (waived, open): (Vec<_>, Vec<_>) =
        breaking.partition(|change| waivers.iter().any(|waiver| covers(waiver, change)));
    let used = |waiver: &Waiver| waived.iter().any(|change| covers(waiver, change));
    let idle = (0..waivers.len()).filter(|place| !used(&waivers[*place])).collect();
    Verdict { open, waived, idle }
}
