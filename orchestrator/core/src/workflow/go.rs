//! What was heard of everybody who had a go at a task.
//!
//! An assignment that is delivered again is another go at the same attempt, by the same worker or by
//! another, and the one before may only be slow. Each may land, so each is heard for itself: what one
//! of them said is never taken for what another did.

use deadelus_proto::Aftermath;

use crate::event::Told;

/// One worker's go at one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Go {
    attempt: u32,
    instance: String,
    begun_unix_ms: i64,
    /// It said that its effect was about to begin.
    pub(crate) announced: bool,
    /// It is known to have taken effect.
    pub(crate) landed: bool,
    /// It failed, and left this behind.
    pub(crate) failed: Option<Aftermath>,
}

/// All of them, in the order in which they were first heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heard(Vec<Go>);

impl Go {
    /// Whether it has said all there is to say of its effect.
    pub(crate) fn is_over(&self) -> bool {
        self.landed || self.failed.is_some_and(|left| left != Aftermath::Unknown)
    }

    /// A worker works on an attempt once at a time, so it is told by when it began. Logs written
    /// before version 0.2 do not say who announced or landed late: there, it was anybody.
    fn is(&self, attempt: u32, told: &Told) -> bool {
        let same = self.instance == told.instance && self.begun_unix_ms == told.begun_unix_ms;
        let nameless = self.instance.is_empty() || told.instance.is_empty();
        self.attempt == attempt && (same || nameless)
    }
}

impl Heard {
    /// The go of whoever speaks, if it was heard before.
    pub(crate) fn of(&self, attempt: u32, told: &Told) -> Option<&Go> {
        self.0.iter().find(|go| go.is(attempt, told))
    }

    /// The go of whoever speaks.
    pub(crate) fn by(&mut self, attempt: u32, told: &Told) -> &mut Go {
        let at = self.0.iter().position(|go| go.is(attempt, told)).unwrap_or_else(|| {
            // Nearly every task is one go.
            self.0.reserve_exact(1);
            self.0.push(Go {
                attempt,
                instance: told.instance.clone(),
                begun_unix_ms: told.begun_unix_ms,
                announced: false,
                landed: false,
                failed: None,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Whether anybody said that the effect of this attempt was about to begin, or that it has.
    pub(crate) fn has_begun(&self, attempt: u32) -> bool {
        self.0.iter().any(|go| go.attempt == attempt && (go.announced || go.landed))
    }

    /// Whether anybody is known to have taken effect.
    pub(crate) fn anybody_landed(&self) -> bool {
        self.0.iter().any(|go| go.landed)
    }
}
