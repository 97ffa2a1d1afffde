//! Who a specialist is and what it offers, as plans are checked against it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    CapabilityName, Malformed, SpecialistName, TargetName, pb,
    task::{UndoClass, json, to_bytes},
};

/// What doing it means for the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Same in, same out; touches nothing.
    Pure,
    /// Looks at a component.
    Read,
    /// Has an exact undo.
    Reversible,
    /// Has a semantic undo; the residue is listed.
    Compensatable,
    /// No way back: a gate comes before it.
    Pivot,
}

impl Effect {
    /// Whether there is something to take back, or to be unable to.
    pub fn changes(self) -> bool {
        match self {
            Self::Pure | Self::Read => false,
            Self::Reversible | Self::Compensatable | Self::Pivot => true,
        }
    }
}

/// Why a person is asked before it is done, whatever the plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hazard {
    /// It destroys something; its undo brings back what can be brought back.
    Destructive,
    /// It moves money.
    Money,
}

/// What doing it twice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// Twice is once.
    Natural,
    /// Once per workflow/task.
    Keyed,
}

/// A criterion that a capability measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckKind {
    /// `index_is_valid`
    pub id: String,
    /// In a sentence.
    pub what: String,
}

/// One capability's descriptor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// `db.migrate`
    pub name: CapabilityName,
    /// In a team's words: `DB Admin`.
    pub role: String,
    /// Of the capability's contract: `1`.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the inputs.
    pub inputs_schema: Value,
    /// JSON Schema of the outputs.
    pub outputs_schema: Value,
    /// What doing it means for the world.
    pub effect: Effect,
    /// What doing it twice means.
    pub idempotency: Idempotency,
    /// What it measures.
    pub checks: Vec<CheckKind>,
    /// What takes it back, and how exactly.
    pub undo: Option<(CapabilityName, UndoClass)>,
    /// Start to close.
    pub timeout: Duration,
    /// Resources it holds; `{target}` stands for the target's name.
    pub locks: Vec<String>,
    /// Why a person is asked before it is done, whatever the plan says.
    pub hazards: Vec<Hazard>,
}

/// What may be known of a target outside its specialist: never a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetCard {
    /// `shop`
    pub name: TargetName,
    /// Plain facts that plans may use: `engine` = `postgresql`.
    pub facts: BTreeMap<String, String>,
}

/// The fact that says what a target is for.
const ENVIRONMENT: &str = "environment";
const PRODUCTION: &str = "production";

impl TargetCard {
    /// Whether its specialist says that it is production: `environment` = `production`.
    pub fn is_production(&self) -> bool {
        self.facts.get(ENVIRONMENT).is_some_and(|environment| environment == PRODUCTION)
    }

    /// Says that it is.
    pub fn declare_production(&mut self) {
        self.facts.insert(ENVIRONMENT.to_owned(), PRODUCTION.to_owned());
    }
}

/// A specialist's card in the CARDS bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecialistCard {
    /// `db`
    pub specialist: SpecialistName,
    /// Of the program.
    pub version: String,
    /// What it offers; a capability that is not built is not here.
    pub capabilities: Vec<Capability>,
    /// The systems it is configured for.
    pub targets: Vec<TargetCard>,
}

impl TryFrom<pb::SpecialistCard> for SpecialistCard {
    type Error = Malformed;

    fn try_from(card: pb::SpecialistCard) -> Result<Self, Malformed> {
        Ok(Self {
            specialist: card.specialist.parse().map_err(|e| Malformed::new("specialist", e))?,
            version: card.version,
            capabilities: card
                .capabilities
                .into_iter()
                .map(Capability::try_from)
                .collect::<Result<_, _>>()?,
            targets: card
                .targets
                .into_iter()
                .map(|t| {
                    let name = t.name.parse().map_err(|e| Malformed::new("target", e))?;
                    Ok(TargetCard { name, facts: t.facts.into_iter().collect() })
                })
                .collect::<Result<_, Malformed>>()?,
        })
    }
}

impl From<SpecialistCard> for pb::SpecialistCard {
    fn from(card: SpecialistCard) -> Self {
        Self {
            specialist: card.specialist.into(),
            version: card.version,
            capabilities: card.capabilities.into_iter().map(Into::into).collect(),
            targets: card
                .targets
                .into_iter()
                .map(|t| pb::TargetCard {
                    name: t.name.into(),
                    facts: t.facts.into_iter().collect(),
                })
                .collect(),
        }
    }
}

impl TryFrom<pb::CapabilityDescriptor> for Capability {
    type Error = Malformed;

    fn try_from(d: pb::CapabilityDescriptor) -> Result<Self, Malformed> {
        let name = |field, text: &str| {
            text.parse::<CapabilityName>().map_err(|e| Malformed::new(field, e))
        };
        let undo = if d.undo.is_empty() {
            None
        } else {
            Some((name("undo", &d.undo)?, UndoClass::from_pb(d.undo_class)?))
        };
        let timeout_ms =
            u64::try_from(d.timeout_ms).map_err(|_| Malformed::new("timeout_ms", "is negative"))?;
        Ok(Self {
            name: name("name", &d.name)?,
            role: d.role,
            version: d.version,
            summary: d.summary,
            inputs_schema: json("inputs_schema_json", d.inputs_schema_json.as_bytes())?,
            outputs_schema: json("outputs_schema_json", d.outputs_schema_json.as_bytes())?,
            effect: effect_from_pb(d.effect)?,
            idempotency: idempotency_from_pb(d.idempotency)?,
            checks: d.checks.into_iter().map(|c| CheckKind { id: c.id, what: c.what }).collect(),
            undo,
            timeout: Duration::from_millis(timeout_ms),
            locks: d.locks,
            hazards: d.hazards.into_iter().map(hazard_from_pb).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Capability> for pb::CapabilityDescriptor {
    fn from(c: Capability) -> Self {
        let text = |v: &Value| String::from_utf8_lossy(&to_bytes(v)).into_owned();
        Self {
            name: c.name.to_string(),
            role: c.role,
            version: c.version,
            summary: c.summary,
            inputs_schema_json: text(&c.inputs_schema),
            outputs_schema_json: text(&c.outputs_schema),
            effect: effect_to_pb(c.effect).into(),
            idempotency: match c.idempotency {
                Idempotency::Natural => pb::Idempotency::Natural.into(),
                Idempotency::Keyed => pb::Idempotency::Keyed.into(),
            },
            checks: c
                .checks
                .into_iter()
                .map(|c| pb::CheckDescriptor { id: c.id, what: c.what })
                .collect(),
            undo: c.undo.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default(),
            undo_class: c.undo.map_or(0, |(_, class)| class.to_pb().into()),
            timeout_ms: i64::try_from(c.timeout.as_millis()).unwrap_or(i64::MAX),
            locks: c.locks,
            hazards: c.hazards.into_iter().map(|hazard| hazard_to_pb(hazard).into()).collect(),
        }
    }
}

fn effect_from_pb(effect: i32) -> Result<Effect, Malformed> {
    match pb::Effect::try_from(effect) {
        Ok(pb::Effect::Pure) => Ok(Effect::Pure),
        Ok(pb::Effect::Read) => Ok(Effect::Read),
        Ok(pb::Effect::Reversible) => Ok(Effect::Reversible),
        Ok(pb::Effect::Compensatable) => Ok(Effect::Compensatable),
        Ok(pb::Effect::Pivot) => Ok(Effect::Pivot),
        Ok(pb::Effect::Unspecified) | Err(_) => Err(Malformed::missing("effect")),
    }
}

fn effect_to_pb(effect: Effect) -> pb::Effect {
    match effect {
        Effect::Pure => pb::Effect::Pure,
        Effect::Read => pb::Effect::Read,
        Effect::Reversible => pb::Effect::Reversible,
        Effect::Compensatable => pb::Effect::Compensatable,
        Effect::Pivot => pb::Effect::Pivot,
    }
}

fn hazard_from_pb(hazard: i32) -> Result<Hazard, Malformed> {
    match pb::Hazard::try_from(hazard) {
        Ok(pb::Hazard::Destructive) => Ok(Hazard::Destructive),
        Ok(pb::Hazard::Money) => Ok(Hazard::Money),
        Ok(pb::Hazard::Unspecified) | Err(_) => {
            Err(Malformed::new("hazards", format!("unknown value {hazard}")))
        }
    }
}

fn hazard_to_pb(hazard: Hazard) -> pb::Hazard {
    match hazard {
        Hazard::Destructive => pb::Hazard::Destructive,
        Hazard::Money => pb::Hazard::Money,
    }
}

fn idempotency_from_pb(idempotency: i32) -> Result<Idempotency, Malformed> {
    match pb::Idempotency::try_from(idempotency) {
        Ok(pb::Idempotency::Natural) => Ok(Idempotency::Natural),
        Ok(pb::Idempotency::Keyed) => Ok(Idempotency::Keyed),
        Ok(pb::Idempotency::Unspecified) | Err(_) => Err(Malformed::missing("idempotency")),
    }
}
