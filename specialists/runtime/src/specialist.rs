//! A specialist: its name, what it can do, and the systems it is configured for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
};

use deadelus_proto::{
    Capability, CapabilityName, CheckKind, ErrorClass, Failure, SpecialistCard, SpecialistName,
    TargetCard, TargetName, Undo,
};
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{About, ChangeCapability, Context, Found, Measured, ReadCapability, schema::Schema};

/// What a process of the mesh offers. A capability that is not added here is not announced.
pub struct Specialist {
    name: SpecialistName,
    version: &'static str,
    pub(crate) capabilities: BTreeMap<CapabilityName, Offer>,
    targets: Vec<TargetCard>,
}

/// A capability and the code behind it, over JSON.
pub(crate) struct Offer {
    pub(crate) descriptor: Capability,
    pub(crate) work: Work,
    pub(crate) inputs: Schema,
    pub(crate) outputs: Schema,
}

/// The two kinds of work, with their types erased.
pub(crate) enum Work {
    Read(Box<dyn ErasedRead>),
    Change(Box<dyn ErasedChange>),
}

impl Specialist {
    /// A specialist that can do nothing yet.
    ///
    /// # Panics
    /// When `name` is no specialist's name: a mistake of the program, not of its user.
    #[expect(clippy::expect_used, reason = "the name is a literal of the program")]
    pub fn new(name: &'static str, version: &'static str) -> Self {
        let name = name.parse().expect("a specialist's name");
        Self { name, version, capabilities: BTreeMap::new(), targets: vec![] }
    }

    /// The same, offering something that only looks.
    #[must_use]
    pub fn read<C: ReadCapability>(self, capability: C) -> Self {
        let descriptor = self.describe::<C::Inputs, C::Outputs>(&capability.about());
        assert!(!descriptor.effect.changes(), "{} changes something", descriptor.name);
        self.offer(descriptor, Work::Read(Box::new(capability)))
    }

    /// The same, offering something that changes a target.
    #[must_use]
    pub fn change<C: ChangeCapability>(self, capability: C) -> Self {
        let mut descriptor = self.describe::<C::Inputs, C::Outputs>(&capability.about());
        descriptor.hazards = capability.hazards().to_vec();
        assert!(descriptor.effect.changes(), "{} changes nothing", descriptor.name);
        self.offer(descriptor, Work::Change(Box::new(capability)))
    }

    /// The same, configured for one more system. Facts are public; credentials are not facts.
    #[must_use]
    pub fn target(mut self, target: TargetCard) -> Self {
        self.targets.push(target);
        self
    }

    /// The same, these of its systems being production.
    ///
    /// # Errors
    /// Names the first that it is not configured for.
    pub(crate) fn production(mut self, names: &BTreeSet<TargetName>) -> Result<Self, TargetName> {
        for name in names {
            let target = self.targets.iter_mut().find(|target| target.name == *name);
            target.ok_or_else(|| name.clone())?.declare_production();
        }
        Ok(self)
    }

    /// `db`
    pub fn name(&self) -> &SpecialistName {
        &self.name
    }

    pub(crate) fn knows(&self, target: &TargetName) -> bool {
        self.targets.iter().any(|t| t.name == *target)
    }

    /// What it announces.
    pub fn card(&self) -> SpecialistCard {
        SpecialistCard {
            specialist: self.name.clone(),
            version: self.version.to_owned(),
            capabilities: self.capabilities.values().map(|o| o.descriptor.clone()).collect(),
            targets: self.targets.clone(),
        }
    }

    fn offer(mut self, descriptor: Capability, work: Work) -> Self {
        let inputs = Schema::new(&descriptor.inputs_schema);
        let outputs = Schema::new(&descriptor.outputs_schema);
        let name = descriptor.name.clone();
        self.capabilities.insert(name, Offer { descriptor, work, inputs, outputs });
        self
    }

    #[expect(clippy::expect_used, reason = "verbs are literals of the program")]
    fn describe<I: JsonSchema, O: JsonSchema>(&self, about: &About) -> Capability {
        let named = |verb: &str| -> CapabilityName {
            format!("{}.{verb}", self.name).parse().expect("a capability's name")
        };
        Capability {
            name: named(about.verb),
            role: about.role.to_owned(),
            version: "1".to_owned(),
            summary: about.summary.to_owned(),
            inputs_schema: schema_for!(I).to_value(),
            outputs_schema: schema_for!(O).to_value(),
            effect: about.effect,
            idempotency: about.idempotency,
            checks: about
                .checks
                .iter()
                .map(|(id, what)| CheckKind { id: (*id).to_owned(), what: (*what).to_owned() })
                .collect(),
            undo: about.undo.as_ref().map(|undo| (named(undo.verb), undo.class)),
            timeout: about.timeout,
            locks: about.locks.iter().map(|lock| (*lock).to_owned()).collect(),
            hazards: vec![],
        }
    }
}

impl fmt::Debug for Specialist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Specialist")
            .field("name", &self.name)
            .field("capabilities", &self.capabilities.keys())
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// [`ReadCapability`] over JSON.
pub(crate) trait ErasedRead: Send + Sync {
    fn perform<'a>(&'a self, cx: &'a Context, inputs: &'a Value) -> Boxed<'a, Measured<Value>>;
}

/// [`ChangeCapability`] over JSON.
pub(crate) trait ErasedChange: Send + Sync {
    fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        inputs: &'a Value,
    ) -> Boxed<'a, (Value, Option<Undo>)>;
    fn perform<'a>(
        &'a self,
        cx: &'a Context,
        inputs: &'a Value,
        before: &'a Value,
    ) -> Boxed<'a, Measured<Value>>;
    fn reconcile<'a>(
        &'a self,
        cx: &'a Context,
        inputs: &'a Value,
        before: &'a Value,
    ) -> Boxed<'a, Found<Value>>;
}

impl<C: ReadCapability> ErasedRead for C {
    fn perform<'a>(&'a self, cx: &'a Context, inputs: &'a Value) -> Boxed<'a, Measured<Value>> {
        Box::pin(async move {
            let inputs = parse("inputs", inputs)?;
            erase(ReadCapability::perform(self, cx, inputs).await?)
        })
    }
}

impl<C: ChangeCapability> ErasedChange for C {
    fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        inputs: &'a Value,
    ) -> Boxed<'a, (Value, Option<Undo>)> {
        Box::pin(async move {
            let inputs = parse("inputs", inputs)?;
            let prepared = ChangeCapability::prepare(self, cx, &inputs).await?;
            Ok((to_json("before", &prepared.before)?, prepared.undo))
        })
    }

    fn perform<'a>(
        &'a self,
        cx: &'a Context,
        inputs: &'a Value,
        before: &'a Value,
    ) -> Boxed<'a, Measured<Value>> {
        Box::pin(async move {
            let (inputs, before) = (parse("inputs", inputs)?, parse("before", before)?);
            erase(ChangeCapability::perform(self, cx, &inputs, &before).await?)
        })
    }

    fn reconcile<'a>(
        &'a self,
        cx: &'a Context,
        inputs: &'a Value,
        before: &'a Value,
    ) -> Boxed<'a, Found<Value>> {
        Box::pin(async move {
            let (inputs, before) = (parse("inputs", inputs)?, parse("before", before)?);
            Ok(match ChangeCapability::reconcile(self, cx, &inputs, &before).await? {
                Found::NotBegun => Found::NotBegun,
                Found::Partly => Found::Partly,
                Found::Done(measured) => Found::Done(erase(measured)?),
            })
        })
    }
}

fn parse<T: DeserializeOwned>(what: &str, value: &Value) -> Result<T, Failure> {
    T::deserialize(value)
        .map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("{what}: {e}")))
}

fn to_json<T: Serialize>(what: &str, value: &T) -> Result<Value, Failure> {
    serde_json::to_value(value)
        .map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("{what} is not JSON: {e}")))
}

fn erase<O: Serialize>(measured: Measured<O>) -> Result<Measured<Value>, Failure> {
    let Measured { outputs, checks, artefacts, residue } = measured;
    Ok(Measured { outputs: to_json("outputs", &outputs)?, checks, artefacts, residue })
}
