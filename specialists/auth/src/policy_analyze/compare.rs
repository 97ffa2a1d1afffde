//! One kind of request after the other: by proof where the policies themselves are one, else by
//! asking.

use std::collections::BTreeSet;

use cedar_policy::{
    ActionConstraint, Effect, Entities, Policy, PolicyId, PolicySet, PrincipalConstraint, Request,
    RequestEnv, ResourceConstraint, Schema,
};
use deadelus_runtime::{Failure, canonical, invalid};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    constants::Constants,
    shape::Shapes,
    world::{self, World},
};
use crate::cedar::{Ask, Bundle, Decision};

/// Kinds of request of one schema: far more than any API has.
const KINDS_MAX: usize = 5_000;
/// Worlds of made-up entities, each asked by every kind of request that is not proved.
const WORLDS_MAX: u64 = 32;
/// Contexts for each principal and resource of a world: chance varies them from world to world.
const CONTEXTS_MAX: usize = 2;

/// What "not proved" rests on, in a sentence.
pub(crate) const BOUND: &str = "bounded, no proof: 32 worlds of up to 4 entities a type, every \
     principal with every resource and 2 contexts, values from the constants of both policy sets; \
     and the given entities";

/// How new policies stand to old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Relation {
    /// Every request is decided as before.
    Equal,
    /// Some may be denied that were allowed, none the other way round.
    NotWider,
    /// Some are allowed that were denied.
    Wider,
}

/// What was found about one kind of request.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Compared {
    /// `User, Action::"readOrder", Order`
    pub(super) kind: String,
    action: String,
    pub(super) relation: Relation,
    /// By the policies themselves, or by an example; else by asking, as far as that went.
    pub(super) proved: bool,
    /// How many requests were asked.
    asked: usize,
    pub(super) counterexample: Option<Counterexample>,
    /// Whether the example, read back from its JSON, is denied before and allowed now.
    pub(super) holds: Option<bool>,
}

/// A request that is decided otherwise, and the entities it is about.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Counterexample {
    /// Who wants what.
    pub(crate) request: Ask,
    /// As Cedar's JSON has them.
    entities: Value,
}

impl Compared {
    /// Whether it allows more, and its action is not among these.
    pub(super) fn wider_than(&self, listed: &[String]) -> bool {
        self.relation == Relation::Wider && !listed.contains(&self.action)
    }
}

/// Every kind of request of the schema.
pub(super) fn all(old: &Bundle, new: &Bundle, shapes: &Shapes) -> Result<Vec<Compared>, Failure> {
    let schema = new.schema.as_ref().ok_or_else(|| invalid("a schema is needed"))?;
    let mut kinds: Vec<RequestEnv> = schema.request_envs().collect();
    kinds.sort();
    if !(1..=KINDS_MAX).contains(&kinds.len()) {
        return Err(invalid(format!("schema: {} kinds of request: 1 to {KINDS_MAX}", kinds.len())));
    }
    let constants = Constants::of([&old.policies, &new.policies]);
    let mut worlds = vec![World::given(&new.entities, shapes, &constants)];
    for seed in 0..WORLDS_MAX {
        worlds.push(World::made(shapes, &constants, schema, seed)?);
    }
    let (old, new) = (Applying::of(&old.policies, schema), Applying::of(&new.policies, schema));
    let lab = Lab { schema, shapes, worlds: &worlds };
    let one = |kind: &RequestEnv| one(kind, &old.to(kind), &new.to(kind), &lab);
    Ok(kinds.iter().map(one).collect())
}

/// One side, as one kind of request sees it.
struct Side<'a> {
    /// All of it.
    set: &'a PolicySet,
    /// Policies that cannot apply: they decide nothing.
    idle: Vec<&'a PolicyId>,
    permits: BTreeSet<&'a str>,
    bans: BTreeSet<&'a str>,
    /// Whether one of the permits asks for nothing.
    is_open: bool,
}

impl Side<'_> {
    /// Whether it allows every request of the kind: then nothing can be allowed anew.
    fn allows_all(&self) -> bool {
        self.is_open && self.bans.is_empty()
    }

    /// Only what can apply: it decides as all of it does, and in a fraction of the time.
    fn applying(&self) -> PolicySet {
        let mut set = self.set.clone();
        for id in &self.idle {
            // A template's link, where it is no policy of its own.
            if set.remove_static((*id).clone()).is_err() && set.unlink((*id).clone()).is_err() {
                return self.set.clone();
            }
        }
        set
    }
}

/// One side: what each policy says, and which kinds of request it can apply to.
struct Applying<'a> {
    set: &'a PolicySet,
    policies: Vec<Told>,
}

/// One policy.
struct Told {
    id: PolicyId,
    effect: Effect,
    meaning: String,
    asks_for_nothing: bool,
    kinds: BTreeSet<RequestEnv>,
}

impl<'a> Applying<'a> {
    fn of(set: &'a PolicySet, schema: &Schema) -> Self {
        let told = |policy: &Policy| Told {
            id: policy.id().clone(),
            effect: policy.effect(),
            meaning: meaning(policy),
            asks_for_nothing: asks_for_nothing(policy),
            kinds: policy.get_valid_request_envs(schema).collect(),
        };
        Self { set, policies: set.policies().map(told).collect() }
    }

    fn to(&self, kind: &RequestEnv) -> Side<'_> {
        let (fit, idle): (Vec<_>, Vec<_>) =
            self.policies.iter().partition(|told| told.kinds.contains(kind));
        let of = |effect: Effect| {
            fit.iter().filter(|told| told.effect == effect).map(|told| &told.meaning[..]).collect()
        };
        Side {
            set: self.set,
            idle: idle.into_iter().map(|told| &told.id).collect(),
            is_open: fit.iter().any(|told| told.effect == Effect::Permit && told.asks_for_nothing),
            permits: of(Effect::Permit),
            bans: of(Effect::Forbid),
        }
    }
}

/// A policy without its name and its notes: equal for policies that decide alike.
fn meaning(policy: &Policy) -> String {
    let links = policy.template_links().into_iter().flatten();
    let mut links: Vec<_> = links.map(|(slot, entity)| format!("{slot}={entity}")).collect();
    links.sort();
    let mut json = policy.to_json().unwrap_or_else(|_| policy.to_string().into());
    if let Some(json) = json.as_object_mut() {
        json.remove("annotations");
    }
    format!("{}{}", canonical::text(&json), links.concat())
}

/// `permit(principal, action, resource);`
fn asks_for_nothing(policy: &Policy) -> bool {
    let all = policy.principal_constraint() == PrincipalConstraint::Any
        && policy.action_constraint() == ActionConstraint::Any
        && policy.resource_constraint() == ResourceConstraint::Any;
    all && !policy.has_non_scope_constraint()
}

/// What asking needs.
struct Lab<'a> {
    schema: &'a Schema,
    shapes: &'a Shapes,
    worlds: &'a [World],
}

fn one(kind: &RequestEnv, old: &Side<'_>, new: &Side<'_>, lab: &Lab<'_>) -> Compared {
    let mut compared = Compared {
        kind: format!("{}, {}, {}", kind.principal(), kind.action(), kind.resource()),
        action: kind.action().to_string(),
        relation: Relation::NotWider,
        proved: true,
        asked: 0,
        counterexample: None,
        holds: None,
    };
    // Allowed is what some permit allows and no ban forbids: with fewer permits and more bans
    // nothing is newly allowed, and neither is it where everything was.
    let is_less = new.permits.is_subset(&old.permits) && new.bans.is_superset(&old.bans);
    if is_less || old.allows_all() {
        if new.permits == old.permits && new.bans == old.bans {
            compared.relation = Relation::Equal;
        }
        return compared;
    }
    compared.proved = false;
    let (before, after) = (old.applying(), new.applying());
    for world in lab.worlds {
        for (request, ask) in requests(kind, world, lab) {
            compared.asked += 1;
            if decide(&request, &after, &world.entities) == Decision::Allow
                && decide(&request, &before, &world.entities) == Decision::Deny
            {
                let example = Counterexample { request: ask, entities: world.json.clone() };
                compared.relation = Relation::Wider;
                compared.proved = true;
                compared.holds = Some(holds(&example, old, new, lab.schema));
                compared.counterexample = Some(example);
                return compared;
            }
        }
    }
    compared
}

fn requests<'a>(
    kind: &'a RequestEnv,
    world: &'a World,
    lab: &'a Lab<'_>,
) -> impl Iterator<Item = (Request, Ask)> + 'a {
    let ids = |name: String| world.ids.get(&name).map_or(&[][..], Vec::as_slice);
    let contexts = lab.shapes.contexts.get(&kind.action().to_string());
    let (principals, resources) =
        (ids(kind.principal().to_string()), ids(kind.resource().to_string()));
    let pairs = principals.iter().flat_map(move |p| resources.iter().map(move |r| (p, r)));
    let mut values = world.values();
    pairs.flat_map(move |(principal, resource)| {
        let count = if contexts.is_some_and(|shape| !shape.is_empty()) { CONTEXTS_MAX } else { 1 };
        let asks: Vec<(Request, Ask)> = (0..count)
            .filter_map(|_| {
                let ask = Ask {
                    principal: world::uid(principal),
                    action: kind.action().to_string(),
                    resource: world::uid(resource),
                    context: contexts.map(|shape| values.record(shape)).unwrap_or_default(),
                };
                Some((request(&ask, lab.schema)?, ask))
            })
            .collect();
        asks
    })
}

/// None for what does not fit the schema, such as an address that is none.
fn request(ask: &Ask, schema: &Schema) -> Option<Request> {
    let action = ask.action.parse().ok()?;
    let context = Value::Object(ask.context.clone());
    let context = cedar_policy::Context::from_json_value(context, Some((schema, &action))).ok()?;
    let (principal, resource) = (ask.principal.parse().ok()?, ask.resource.parse().ok()?);
    Request::new(principal, action, resource, context, Some(schema)).ok()
}

fn decide(request: &Request, policies: &PolicySet, entities: &Entities) -> Decision {
    match cedar_policy::Authorizer::new().is_authorized(request, policies, entities).decision() {
        cedar_policy::Decision::Allow => Decision::Allow,
        cedar_policy::Decision::Deny => Decision::Deny,
    }
}

/// Read back from its JSON, and decided by all policies.
fn holds(example: &Counterexample, old: &Side<'_>, new: &Side<'_>, schema: &Schema) -> bool {
    let entities = Entities::from_json_value(example.entities.clone(), Some(schema)).ok();
    entities.zip(request(&example.request, schema)).is_some_and(|(entities, request)| {
        decide(&request, old.set, &entities) == Decision::Deny
            && decide(&request, new.set, &entities) == Decision::Allow
    })
}
