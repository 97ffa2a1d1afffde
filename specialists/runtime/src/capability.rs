//! The contract of a capability.
//!
//! Two traits, because the difference is what matters: what only looks can be dropped and repeated
//! at will; what changes something must be able to say how it is taken back *before* it begins, and
//! must be able to look at the component and say how far an earlier attempt got.

use std::{future::Future, time::Duration};

use deadelus_proto::{Artefact, Check, Effect, Failure, Hazard, Idempotency, Undo, UndoClass};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::Context;

/// What people and plans are told about a capability.
#[derive(Debug, Clone)]
pub struct About {
    /// The verb after the specialist's name: `create_index`.
    pub verb: &'static str,
    /// In a team's words: `DB Admin`.
    pub role: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What doing it means for the world.
    pub effect: Effect,
    /// What doing it twice means.
    pub idempotency: Idempotency,
    /// `(id, what it says)` of every check it measures.
    pub checks: &'static [(&'static str, &'static str)],
    /// What takes it back; none for what changes nothing, and for a pivot.
    pub undo: Option<UndoPromise>,
    /// Start to close.
    pub timeout: Duration,
    /// Resources it holds; `{target}` stands for the target's name: `db:{target}`.
    pub locks: &'static [&'static str],
}

/// What an undo is promised to be, before any particular one is recorded.
#[derive(Debug, Clone)]
pub struct UndoPromise {
    /// The verb of the capability, of the same specialist: `drop_index`.
    pub verb: &'static str,
    /// How exactly it takes back.
    pub class: UndoClass,
}

/// Results with what was measured about them.
#[derive(Debug, Clone)]
pub struct Measured<O> {
    /// For the tasks that follow and the report.
    pub outputs: O,
    /// Never empty. If one fails, a change is taken back and the task fails with `check_failed`.
    pub checks: Vec<Check>,
    /// Evidence and results, stored through [`Context::keep`].
    pub artefacts: Vec<Artefact>,
    /// What an undo could not take back; empty for everything that goes forward.
    pub residue: Vec<String>,
}

impl<O> Measured<O> {
    /// Results and their checks; artefacts and residue are added where there are any.
    pub fn new(outputs: O, checks: Vec<Check>) -> Self {
        Self { outputs, checks, artefacts: vec![], residue: vec![] }
    }

    /// The same with evidence.
    #[must_use]
    pub fn artefacts(mut self, artefacts: Vec<Artefact>) -> Self {
        self.artefacts = artefacts;
        self
    }

    /// The same with what could not be taken back.
    #[must_use]
    pub fn residue(mut self, residue: Vec<String>) -> Self {
        self.residue = residue;
        self
    }
}

/// A capability that looks and changes nothing (`pure`, `read`). Cancelling drops its future.
pub trait ReadCapability: Send + Sync + 'static {
    /// Parsed from the task's inputs; `#[serde(deny_unknown_fields)]`.
    type Inputs: DeserializeOwned + JsonSchema + Send + Sync;
    /// What the tasks that follow may refer to: a JSON object under 128 KiB.
    type Outputs: Serialize + JsonSchema + Send;

    /// What people and plans are told.
    fn about(&self) -> About;

    /// Looks.
    fn perform(
        &self,
        cx: &Context,
        inputs: Self::Inputs,
    ) -> impl Future<Output = Result<Measured<Self::Outputs>, Failure>> + Send;
}

/// What a change knows before it begins.
#[derive(Debug, Clone)]
pub struct Prepared<B> {
    /// What was seen before the effect, kept for [`ChangeCapability::perform`] and `reconcile`.
    pub before: B,
    /// The way back; must be right whether or not the effect happened. None for a pivot, and for a
    /// capability that serves as an undo and has no way forward again.
    pub undo: Option<Undo>,
}

/// How far an earlier attempt got, as the component itself shows.
#[derive(Debug, Clone)]
pub enum Found<O> {
    /// Nothing of it is there.
    NotBegun,
    /// Some of it is there: `perform` carries on or starts over, whichever is right.
    Partly,
    /// All of it is there, measured now.
    Done(Measured<O>),
}

/// A capability that changes something (`reversible`, `compensatable`, `pivot`).
///
/// The runtime calls `prepare`, makes its answer durable, then `perform`; after a crash or an
/// unknown outcome it calls `reconcile` with the durable `before`, and `perform` again unless the
/// work is done. Cancelling is cooperative: see [`Context::cancelled`].
pub trait ChangeCapability: Send + Sync + 'static {
    /// Parsed from the task's inputs; `#[serde(deny_unknown_fields)]`.
    type Inputs: DeserializeOwned + JsonSchema + Send + Sync;
    /// What the tasks that follow may refer to: a JSON object under 128 KiB.
    type Outputs: Serialize + JsonSchema + Send;
    /// What must be remembered from before the effect: the fingerprint, the old definition.
    type Before: Serialize + DeserializeOwned + Send + Sync;

    /// What people and plans are told.
    fn about(&self) -> About;

    /// Why a person is asked before it is done, whatever the plan says.
    fn hazards(&self) -> &'static [Hazard] {
        &[]
    }

    /// Looks, refuses what must be refused, says how the effect will be taken back. Touches nothing.
    fn prepare(
        &self,
        cx: &Context,
        inputs: &Self::Inputs,
    ) -> impl Future<Output = Result<Prepared<Self::Before>, Failure>> + Send;

    /// Does it and measures the checks. When it fails after the effect may have begun, the
    /// failure's aftermath must say so.
    fn perform(
        &self,
        cx: &Context,
        inputs: &Self::Inputs,
        before: &Self::Before,
    ) -> impl Future<Output = Result<Measured<Self::Outputs>, Failure>> + Send;

    /// Looks at the component and says how far an earlier attempt got. Touches nothing.
    fn reconcile(
        &self,
        cx: &Context,
        inputs: &Self::Inputs,
        before: &Self::Before,
    ) -> impl Future<Output = Result<Found<Self::Outputs>, Failure>> + Send;
}
