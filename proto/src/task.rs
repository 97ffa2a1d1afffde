//! One task on its way to a specialist, and the parts every report is made of.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CapabilityName, Malformed, TargetName, TaskId, WorkflowId, pb};

/// The content type of capability inputs and outputs.
pub const JSON: &str = "application/json";

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9a-f]{64}$"))]
pub struct Sha256(String);

impl Sha256 {
    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the hash function's own output.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }
}

impl FromStr for Sha256 {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 64 || !text.bytes().all(digit) {
            let shown: String = text.chars().take(80).collect();
            return Err(Malformed::new("sha256", format!("{shown:?} is not 64 of 0-9 a-f")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> String {
        digest.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes in the object store, named by their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artefact {
    /// What they are.
    pub sha256: Sha256,
    /// `application/json`, `text/plain`.
    pub media_type: String,
    /// How many.
    pub size_bytes: u64,
    /// What a person calls them: `plans.json`.
    pub name: String,
}

impl TryFrom<pb::ArtefactRef> for Artefact {
    type Error = Malformed;

    fn try_from(artefact: pb::ArtefactRef) -> Result<Self, Malformed> {
        Ok(Self {
            sha256: artefact.sha256.parse()?,
            media_type: artefact.media_type,
            size_bytes: artefact.size_bytes,
            name: artefact.name,
        })
    }
}

impl From<Artefact> for pb::ArtefactRef {
    fn from(artefact: Artefact) -> Self {
        Self {
            sha256: artefact.sha256.into(),
            media_type: artefact.media_type,
            size_bytes: artefact.size_bytes,
            name: artefact.name,
        }
    }
}

/// A JSON value on the wire: here, or in the object store when it is large.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The value.
    Inline(Value),
    /// Where its bytes are.
    Stored(Artefact),
}

impl TryFrom<pb::Payload> for Body {
    type Error = Malformed;

    fn try_from(payload: pb::Payload) -> Result<Self, Malformed> {
        if payload.content_type != JSON {
            let kind: String = payload.content_type.chars().take(80).collect();
            return Err(Malformed::new("content_type", format!("{kind:?} is not {JSON}")));
        }
        match payload.body {
            Some(pb::payload::Body::Inline(bytes)) => Ok(Self::Inline(json("inline", &bytes)?)),
            Some(pb::payload::Body::Reference(artefact)) => Ok(Self::Stored(artefact.try_into()?)),
            None => Err(Malformed::missing("body")),
        }
    }
}

impl From<Body> for pb::Payload {
    fn from(body: Body) -> Self {
        let body = match body {
            Body::Inline(value) => pb::payload::Body::Inline(to_bytes(&value)),
            Body::Stored(artefact) => pb::payload::Body::Reference(artefact.into()),
        };
        Self { content_type: JSON.to_owned(), body: Some(body) }
    }
}

/// One measured criterion. What could not be measured did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `index_is_used`
    pub id: String,
    /// What was seen.
    pub measured: String,
    /// How it is compared: `==`, `<=`.
    pub op: String,
    /// With what.
    pub threshold: String,
    /// The verdict.
    pub pass: bool,
    /// In a sentence; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Artefact>,
}

impl Check {
    /// `measured == expected`.
    pub fn equal<T: fmt::Display + PartialEq>(id: &str, measured: T, expected: T) -> Self {
        let pass = measured == expected;
        Self::of(id, measured, "==", expected, pass)
    }

    /// `measured <= limit`.
    pub fn at_most<T: fmt::Display + PartialOrd>(id: &str, measured: T, limit: T) -> Self {
        let pass = measured <= limit;
        Self::of(id, measured, "<=", limit, pass)
    }

    /// `measured >= limit`.
    pub fn at_least<T: fmt::Display + PartialOrd>(id: &str, measured: T, limit: T) -> Self {
        let pass = measured >= limit;
        Self::of(id, measured, ">=", limit, pass)
    }

    /// A criterion that could not be measured: failed, with the reason.
    pub fn not_measured(id: &str, threshold: impl fmt::Display, reason: &str) -> Self {
        Self::of(id, "not measured", "==", threshold, false).note(reason)
    }

    /// The same with a sentence for the reader.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The same with what proves it.
    #[must_use]
    pub fn evidence(mut self, evidence: Artefact) -> Self {
        self.evidence = Some(evidence);
        self
    }

    fn of(
        id: &str,
        measured: impl fmt::Display,
        op: &str,
        threshold: impl fmt::Display,
        pass: bool,
    ) -> Self {
        Self {
            id: id.to_owned(),
            measured: measured.to_string(),
            op: op.to_owned(),
            threshold: threshold.to_string(),
            pass,
            note: String::new(),
            evidence: None,
        }
    }
}

impl TryFrom<pb::Check> for Check {
    type Error = Malformed;

    fn try_from(check: pb::Check) -> Result<Self, Malformed> {
        if check.id.is_empty() {
            return Err(Malformed::missing("check.id"));
        }
        Ok(Self {
            id: check.id,
            measured: check.measured,
            op: check.op,
            threshold: check.threshold,
            pass: check.pass,
            note: check.note,
            evidence: check.evidence.map(Artefact::try_from).transpose()?,
        })
    }
}

impl From<Check> for pb::Check {
    fn from(check: Check) -> Self {
        Self {
            id: check.id,
            measured: check.measured,
            op: check.op,
            threshold: check.threshold,
            pass: check.pass,
            note: check.note,
            evidence: check.evidence.map(Into::into),
        }
    }
}

/// How exactly a task is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoClass {
    /// R1: the fingerprint is the one taken before.
    Exact,
    /// R2: listed invariants hold, the residue is listed.
    Semantic,
}

impl UndoClass {
    pub(crate) fn from_pb(class: i32) -> Result<Self, Malformed> {
        match pb::UndoClass::try_from(class) {
            Ok(pb::UndoClass::Exact) => Ok(Self::Exact),
            Ok(pb::UndoClass::Semantic) => Ok(Self::Semantic),
            Ok(pb::UndoClass::Unspecified) | Err(_) => Err(Malformed::missing("undo_class")),
        }
    }

    pub(crate) fn to_pb(self) -> pb::UndoClass {
        match self {
            Self::Exact => pb::UndoClass::Exact,
            Self::Semantic => pb::UndoClass::Semantic,
        }
    }
}

/// How a task is taken back; durable before its effect begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Who does it; always of the same specialist.
    pub capability: CapabilityName,
    /// With what: a JSON object.
    pub inputs: Value,
    /// How exactly.
    pub class: UndoClass,
    /// What it cannot take back, known beforehand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residue: Vec<String>,
}

impl Undo {
    /// The way back by a capability, `db.revert`, that brings everything back.
    ///
    /// # Panics
    /// When `capability` is no capability's name, or `inputs` have no JSON: both are the caller's own.
    #[expect(clippy::expect_used, reason = "a name that the caller wrote as a literal")]
    pub fn exact(capability: &str, inputs: &impl Serialize) -> Self {
        Self {
            capability: capability.parse().expect("a capability's name"),
            inputs: json!(inputs),
            class: UndoClass::Exact,
            residue: vec![],
        }
    }

    /// The same, where this stays: then what matters is back, and not everything.
    #[must_use]
    pub fn leaving(self, residue: Vec<String>) -> Self {
        let class = if residue.is_empty() { self.class } else { UndoClass::Semantic };
        Self { class, residue, ..self }
    }
}

impl TryFrom<pb::Undo> for Undo {
    type Error = Malformed;

    fn try_from(undo: pb::Undo) -> Result<Self, Malformed> {
        Ok(Self {
            capability: undo
                .capability
                .parse()
                .map_err(|e| Malformed::new("undo.capability", e))?,
            inputs: json("undo.inputs_json", &undo.inputs_json)?,
            class: UndoClass::from_pb(undo.undo_class)?,
            residue: undo.residue,
        })
    }
}

impl From<Undo> for pb::Undo {
    fn from(undo: Undo) -> Self {
        Self {
            capability: undo.capability.to_string(),
            inputs_json: to_bytes(&undo.inputs),
            undo_class: undo.class.to_pb().into(),
            residue: undo.residue,
        }
    }
}

/// Whether a task is being done or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Forward.
    Do,
    /// Back.
    Undo,
}

impl Direction {
    /// `do` or `undo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
        }
    }

    /// From the wire.
    ///
    /// # Errors
    /// [`Malformed`] when it is neither.
    pub fn from_pb(direction: i32) -> Result<Self, Malformed> {
        match pb::Direction::try_from(direction) {
            Ok(pb::Direction::Do) => Ok(Self::Do),
            Ok(pb::Direction::Undo) => Ok(Self::Undo),
            Ok(pb::Direction::Unspecified) | Err(_) => Err(Malformed::missing("direction")),
        }
    }

    /// For the wire.
    pub fn to_pb(self) -> pb::Direction {
        match self {
            Self::Do => pb::Direction::Do,
            Self::Undo => pb::Direction::Undo,
        }
    }
}

/// One attempt at doing or undoing one task: what an assignment and its reports have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Which task.
    pub task: TaskId,
    /// There or back.
    pub direction: Direction,
    /// From 1.
    pub attempt: u32,
}

impl TaskKey {
    /// Parses what the messages carry.
    ///
    /// # Errors
    /// [`Malformed`] naming the field.
    pub fn from_pb(
        workflow: &str,
        task: &str,
        direction: i32,
        attempt: u32,
    ) -> Result<Self, Malformed> {
        if attempt == 0 {
            return Err(Malformed::new("attempt", "counts from 1"));
        }
        Ok(Self {
            workflow: workflow.parse().map_err(|e| Malformed::new("workflow_id", e))?,
            task: task.parse().map_err(|e| Malformed::new("task_id", e))?,
            direction: Direction::from_pb(direction)?,
            attempt,
        })
    }

    /// Whether both name the same task of the same workflow, there or back, whichever attempt.
    pub fn is_same_task(&self, other: &Self) -> bool {
        self.workflow == other.workflow && self.task == other.task
    }

    /// The idempotency key: never the attempt.
    pub fn effect_key(&self) -> String {
        format!("{}.{}.{}", self.workflow, self.task, self.direction.as_str())
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.effect_key(), self.attempt)
    }
}

/// A task on its way to a specialist.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Which attempt of what.
    pub key: TaskKey,
    /// What is to be done.
    pub capability: CapabilityName,
    /// To which system.
    pub target: TargetName,
    /// With what.
    pub inputs: Body,
    /// When the orchestrator gives this attempt up, in milliseconds since the epoch.
    pub deadline_unix_ms: i64,
    /// Of the plan a person approved.
    pub plan_digest: Sha256,
    /// It was sent before, as far as anybody knows: another worker may have had it.
    pub again: bool,
}

impl TryFrom<pb::TaskAssignment> for Assignment {
    type Error = Malformed;

    fn try_from(a: pb::TaskAssignment) -> Result<Self, Malformed> {
        Ok(Self {
            key: TaskKey::from_pb(&a.workflow_id, &a.task_id, a.direction, a.attempt)?,
            capability: a.capability.parse().map_err(|e| Malformed::new("capability", e))?,
            target: a.target.parse().map_err(|e| Malformed::new("target", e))?,
            inputs: a.inputs.ok_or_else(|| Malformed::missing("inputs"))?.try_into()?,
            deadline_unix_ms: a.deadline_unix_ms,
            plan_digest: a.plan_digest.parse()?,
            again: a.again,
        })
    }
}

impl From<Assignment> for pb::TaskAssignment {
    fn from(a: Assignment) -> Self {
        Self {
            workflow_id: a.key.workflow.into(),
            task_id: a.key.task.into(),
            direction: a.key.direction.to_pb().into(),
            attempt: a.key.attempt,
            capability: a.capability.to_string(),
            target: a.target.into(),
            inputs: Some(a.inputs.into()),
            deadline_unix_ms: a.deadline_unix_ms,
            plan_digest: a.plan_digest.into(),
            again: a.again,
        }
    }
}

/// Work that is done, with what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// A JSON object, valid against the capability's output schema.
    pub outputs: Body,
    /// Never empty, all passed.
    pub checks: Vec<Check>,
    /// Evidence and results.
    pub artefacts: Vec<Artefact>,
    /// What its undo could not take back.
    pub residue: Vec<String>,
    /// It was found done by an earlier delivery, and was not done again.
    pub reconciled: bool,
    /// The way back, as it was recorded before the effect, said again: reports may overtake each
    /// other.
    pub undo: Option<Undo>,
}

impl TryFrom<pb::Done> for Done {
    type Error = Malformed;

    fn try_from(done: pb::Done) -> Result<Self, Malformed> {
        let checks = checks_from_pb(done.checks)?;
        if checks.is_empty() {
            return Err(Malformed::new(
                "checks",
                "nothing was measured: an empty list is never green",
            ));
        }
        if let Some(failed) = checks.iter().find(|c| !c.pass) {
            return Err(Malformed::new("checks", format!("done, but {} failed", failed.id)));
        }
        Ok(Self {
            outputs: done.outputs.ok_or_else(|| Malformed::missing("outputs"))?.try_into()?,
            checks,
            artefacts: artefacts_from_pb(done.artefacts)?,
            residue: done.residue,
            reconciled: done.reconciled,
            undo: done.undo.map(Undo::try_from).transpose()?,
        })
    }
}

impl From<Done> for pb::Done {
    fn from(done: Done) -> Self {
        Self {
            outputs: Some(done.outputs.into()),
            checks: checks_to_pb(done.checks),
            artefacts: artefacts_to_pb(done.artefacts),
            residue: done.residue,
            reconciled: done.reconciled,
            undo: done.undo.map(Into::into),
        }
    }
}

/// JSON bytes of a field.
///
/// # Errors
/// [`Malformed`] naming the field when they are not JSON.
pub fn json(field: &'static str, bytes: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(bytes).map_err(|e| Malformed::new(field, e))
}

/// A JSON value as bytes; a `Value` always has them.
pub fn to_bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

pub(crate) fn checks_from_pb(checks: Vec<pb::Check>) -> Result<Vec<Check>, Malformed> {
    checks.into_iter().map(Check::try_from).collect()
}

pub(crate) fn checks_to_pb(checks: Vec<Check>) -> Vec<pb::Check> {
    checks.into_iter().map(Into::into).collect()
}

pub(crate) fn artefacts_from_pb(list: Vec<pb::ArtefactRef>) -> Result<Vec<Artefact>, Malformed> {
    list.into_iter().map(Artefact::try_from).collect()
}

pub(crate) fn artefacts_to_pb(list: Vec<Artefact>) -> Vec<pb::ArtefactRef> {
    list.into_iter().map(Into::into).collect()
}
