//! What the policies have decided since they were published, as `GET /internal/decisions` shows it.
//!
//! The account begins anew with other policies and with another mode: what it says is about one
//! bundle, counted in one way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::Mode;
use super::policies::Policies;

/// Refusals that are shown: the last ones, for people who look for a pattern.
const REFUSALS_SHOWN_MAX: usize = 50;

/// The account, behind one lock that is held for nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Decisions(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    about: Option<(Mode, Option<Arc<Policies>>)>,
    told: Told,
}

/// What is told.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Told {
    /// `report_only` or `enforce`; empty before the first decision.
    mode: &'static str,
    allowed_signed_in: u64,
    /// In `report_only`: would have been.
    refused_signed_in: u64,
    allowed_anonymous: u64,
    refused_anonymous: u64,
    last_refusals: VecDeque<Refusal>,
}

/// One request that was refused, or would have been.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refusal {
    pub(crate) request: String,
    /// Their address; none without a token that is believed.
    pub(crate) who: Option<String>,
    pub(crate) because: String,
}

impl Decisions {
    /// Adds one.
    pub(crate) fn add(
        &self,
        mode: Mode,
        policies: Option<&Arc<Policies>>,
        is_signed_in: bool,
        refusal: Option<Refusal>,
    ) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !account.is_about(mode, policies) {
            account.about = Some((mode, policies.cloned()));
            account.told = Told { mode: name(mode), ..Told::default() };
        }
        let told = &mut account.told;
        let count = match (is_signed_in, refusal.is_some()) {
            (true, false) => &mut told.allowed_signed_in,
            (true, true) => &mut told.refused_signed_in,
            (false, false) => &mut told.allowed_anonymous,
            (false, true) => &mut told.refused_anonymous,
        };
        *count += 1;
        told.last_refusals.extend(refusal);
        if told.last_refusals.len() > REFUSALS_SHOWN_MAX {
            told.last_refusals.pop_front();
        }
    }

    pub(crate) fn told(&self) -> Told {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).told.clone()
    }
}

impl Account {
    fn is_about(&self, mode: Mode, policies: Option<&Arc<Policies>>) -> bool {
        let Some((known, bundle)) = &self.about else { return false };
        let same = match (bundle, policies) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        *known == mode && same
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Report => "report_only",
        Mode::Enforce => "enforce",
    }
}
