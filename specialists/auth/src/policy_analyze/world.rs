//! Entities that fit a schema, by chance, the same for the same seed.

use std::{collections::BTreeMap, net::IpAddr};

use cedar_policy::{Entities, Schema};
use deadelus_runtime::{Failure, invalid};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{
    constants::Constants,
    shape::{Entity, Fields, Shapes, Type},
};

/// Entities of one type: as many as it takes to be the same, another, the named and a stranger.
const ENTITIES_MAX: usize = 4;
/// Members of a set.
const MEMBERS_MAX: usize = 3;

/// `(type, id)`
pub(super) type Uid = (String, String);

/// Entities, and what else is needed to ask about them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) entities: Entities,
    /// The same as Cedar's JSON has them.
    pub(super) json: Value,
    /// By type.
    pub(super) ids: BTreeMap<String, Vec<Uid>>,
    texts: Vec<String>,
    numbers: Vec<i64>,
    seed: u64,
}

/// Values of a world's pool.
pub(super) struct Values<'a> {
    world: Pool<'a>,
    rng: Rng,
}

/// What values are chosen from.
#[derive(Clone, Copy)]
struct Pool<'a> {
    ids: &'a BTreeMap<String, Vec<Uid>>,
    texts: &'a [String],
    numbers: &'a [i64],
}

impl World {
    /// The entities that a task was given.
    pub(super) fn given(entities: &Entities, shapes: &Shapes, constants: &Constants) -> Self {
        let mut ids: BTreeMap<String, Vec<Uid>> = BTreeMap::new();
        for entity in entities.iter() {
            let uid = entity.uid();
            let kind = uid.type_name().to_string();
            let ids = ids.entry(kind.clone()).or_default();
            if shapes.entities.contains_key(&kind) && ids.len() < ENTITIES_MAX * ENTITIES_MAX {
                ids.push((kind, uid.id().unescaped().to_owned()));
            }
        }
        let json = entities.to_json_value().unwrap_or_else(|_| json!([]));
        Self { entities: entities.clone(), json, ids, ..Self::empty(constants, 0) }
    }

    /// Made-up ones.
    ///
    /// # Errors
    /// `invalid_input` when the schema takes none that this can make.
    pub(super) fn made(
        shapes: &Shapes,
        constants: &Constants,
        schema: &Schema,
        seed: u64,
    ) -> Result<Self, Failure> {
        let ids: BTreeMap<String, Vec<Uid>> = shapes
            .entities
            .iter()
            .map(|(kind, entity)| (kind.clone(), ids(kind, entity, constants)))
            .collect();
        let mut world = Self { ids, ..Self::empty(constants, seed) };
        let mut values = world.values();
        let mut made = vec![];
        for (kind, entity) in &shapes.entities {
            for (place, (_, id)) in world.ids[kind].iter().enumerate() {
                made.push(json!({
                    "uid": { "type": kind, "id": id },
                    "attrs": values.record(&entity.fields),
                    "parents": values.parents(shapes, kind, place),
                }));
            }
        }
        world.json = Value::Array(made);
        world.entities = Entities::from_json_value(world.json.clone(), Some(schema))
            .map_err(|e| invalid(format!("no entities could be made for this schema: {e}")))?;
        Ok(world)
    }

    /// Values for contexts, the same every time.
    pub(super) fn values(&self) -> Values<'_> {
        let world = Pool { ids: &self.ids, texts: &self.texts, numbers: &self.numbers };
        Values { world, rng: Rng::with_seed(self.seed) }
    }

    fn empty(constants: &Constants, seed: u64) -> Self {
        Self {
            entities: Entities::empty(),
            json: json!([]),
            ids: BTreeMap::new(),
            texts: constants.texts.clone(),
            numbers: constants.numbers.clone(),
            seed,
        }
    }
}

impl Values<'_> {
    /// An object of these fields; those that may be left out are, now and then.
    pub(super) fn record(&mut self, fields: &Fields) -> Map<String, Value> {
        let mut record = Map::new();
        for (name, (kind, required)) in fields {
            if (*required || self.rng.u8(..) < 180)
                && let Some(value) = self.value(kind)
            {
                record.insert(name.clone(), value);
            }
        }
        record
    }

    /// None where there is nothing to choose from.
    fn value(&mut self, kind: &Type) -> Option<Value> {
        Some(match kind {
            Type::Text => self.rng.choice(self.world.texts)?.as_str().into(),
            Type::Number => (*self.rng.choice(self.world.numbers)?).into(),
            Type::Truth => self.rng.bool().into(),
            Type::Entity(name) => {
                let (kind, id) = self.rng.choice(self.world.ids.get(name)?)?;
                json!({ "__entity": { "type": kind, "id": id } })
            }
            Type::Set(element) => {
                let members = self.rng.usize(0..=MEMBERS_MAX);
                (0..members).filter_map(|_| self.value(element)).collect()
            }
            Type::Record(fields) => Value::Object(self.record(fields)),
            Type::Extension(name) => self.extension(name)?,
        })
    }

    fn extension(&mut self, name: &str) -> Option<Value> {
        type Fits = fn(&str) -> bool;
        let (function, samples, fits): (_, [&str; 2], Fits) = match name {
            "ipaddr" => ("ip", ["10.0.0.1", "192.0.2.1"], |text| {
                text.split('/').next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok())
            }),
            "decimal" => ("decimal", ["0.0", "1.5"], |text| {
                text.contains('.') && text.parse::<f64>().is_ok()
            }),
            "datetime" => ("datetime", ["2024-01-01", "2034-01-01"], |text| {
                text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-'
            }),
            "duration" => ("duration", ["0s", "1h"], |text| {
                text.starts_with(|c: char| c.is_ascii_digit())
                    && text.ends_with(['d', 'h', 'm', 's'])
            }),
            _ => return None,
        };
        let known = self.world.texts.iter().map(String::as_str).filter(|text| fits(text));
        let choices: Vec<&str> = known.chain(samples).collect();
        let arg = self.rng.choice(choices)?;
        Some(json!({ "__extn": { "fn": function, "arg": arg } }))
    }

    /// Some of those that it can be in; never so that one is in itself.
    fn parents(&mut self, shapes: &Shapes, kind: &str, place: usize) -> Vec<Value> {
        let mut parents = vec![];
        for parent in &shapes.entities[kind].parents {
            // Where each can be in the other, only the order of their names is a way up.
            if parent != kind && shapes.can_be_in(parent, kind) && parent.as_str() < kind {
                continue;
            }
            let first = if parent == kind { place + 1 } else { 0 };
            for (kind, id) in self.world.ids.get(parent).into_iter().flatten().skip(first) {
                if self.rng.bool() {
                    parents.push(json!({ "type": kind, "id": id }));
                }
            }
        }
        parents
    }
}

/// As Cedar writes it.
pub(super) fn uid((kind, id): &Uid) -> String {
    format!("{kind}::{id:?}")
}

fn ids(kind: &str, entity: &Entity, constants: &Constants) -> Vec<Uid> {
    let of = |id: &String| (kind.to_owned(), id.clone());
    if let Some(only) = &entity.only {
        return only.iter().take(ENTITIES_MAX).map(of).collect();
    }
    let named = constants.entities.get(kind).into_iter().flatten();
    let strangers = ["new1".to_owned(), "new2".to_owned()];
    named.take(ENTITIES_MAX - strangers.len()).chain(&strangers).map(of).collect()
}
