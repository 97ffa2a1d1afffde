//! The types of a schema, as far as values of them can be made.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{SchemaFragment, schema_str_to_json_with_resolved_types};
use deadelus_runtime::Text;
use serde_json::{Map, Value};

/// Types within types that are followed; deeper ones are left out.
const DEPTH_MAX: usize = 8;

/// What entities and contexts look like.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// By type: `Shop::User`.
    pub(super) entities: BTreeMap<String, Entity>,
    /// By action: `Action::"readOrder"`.
    pub(super) contexts: BTreeMap<String, Fields>,
}

/// One type of entity.
#[derive(Debug)]
pub(super) struct Entity {
    /// Types that it can be in.
    pub(super) parents: Vec<String>,
    pub(super) fields: Fields,
    /// The only ids there are; none when there may be any.
    pub(super) only: Option<Vec<String>>,
}

/// By name: the type, and whether it is always there.
pub(super) type Fields = BTreeMap<String, (Type, bool)>;

/// What a value can be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Text,
    Number,
    Truth,
    Entity(String),
    Set(Box<Type>),
    Record(Fields),
    /// `ipaddr`, `decimal`, `datetime`, `duration`
    Extension(String),
}

impl Shapes {
    /// Reads a schema, Cedar's text or its JSON.
    ///
    /// # Errors
    /// What Cedar says about it.
    pub(super) fn of(schema: &Text) -> Result<Self, String> {
        let cedar = if schema.is_json() {
            let fragment =
                SchemaFragment::from_json_str(&schema.text).map_err(|e| e.to_string())?;
            fragment.to_cedarschema().map_err(|e| e.to_string())?
        } else {
            schema.text.clone()
        };
        let (json, _) =
            schema_str_to_json_with_resolved_types(&cedar).map_err(|e| e.to_string())?;
        let mut shapes = Self::default();
        for (namespace, value) in json.as_object().into_iter().flatten() {
            Reader { namespace, commons: value.get("commonTypes"), all: &json }
                .read(value, &mut shapes);
        }
        Ok(shapes)
    }

    /// Whether entities of one type can be in those of another, directly or through others.
    pub(super) fn can_be_in(&self, kind: &str, above: &str) -> bool {
        let (mut open, mut seen) = (vec![kind], BTreeSet::new());
        while let Some(kind) = open.pop() {
            let parents = self.entities.get(kind).into_iter().flat_map(|entity| &entity.parents);
            for parent in parents {
                if parent == above {
                    return true;
                }
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        false
    }
}

/// One namespace of a schema's JSON.
struct Reader<'a> {
    namespace: &'a str,
    commons: Option<&'a Value>,
    all: &'a Value,
}

impl Reader<'_> {
    fn read(&self, value: &Value, shapes: &mut Shapes) {
        for (name, entity) in object(value.get("entityTypes")) {
            let parents = entity.get("memberOfTypes").and_then(Value::as_array);
            let parents = parents.into_iter().flatten().filter_map(Value::as_str);
            let only = entity
                .get("enum")
                .and_then(Value::as_array)
                .map(|ids| ids.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            let entity = Entity {
                parents: parents.map(|parent| self.entity(parent)).collect(),
                fields: self.fields(entity.get("shape"), 0),
                only,
            };
            shapes.entities.insert(self.full(name), entity);
        }
        for (id, action) in object(value.get("actions")) {
            let context = action.get("appliesTo").and_then(|applies| applies.get("context"));
            let name = format!("{}::{:?}", self.full("Action"), id);
            shapes.contexts.insert(name, self.fields(context, 0));
        }
    }

    fn fields(&self, record: Option<&Value>, depth: usize) -> Fields {
        match record.and_then(|record| self.kind(record, depth)) {
            Some(Type::Record(fields)) => fields,
            Some(_) | None => Fields::new(),
        }
    }

    /// None for what is not known, or too deep.
    fn kind(&self, value: &Value, depth: usize) -> Option<Type> {
        if depth > DEPTH_MAX {
            return None;
        }
        let named = || value.get("name").and_then(Value::as_str);
        let word = value.get("type").and_then(Value::as_str)?;
        match word {
            "Entity" => Some(Type::Entity(self.entity(named()?))),
            "Extension" => Some(Type::Extension(named()?.to_owned())),
            "Set" => Some(Type::Set(Box::new(self.kind(value.get("element")?, depth + 1)?))),
            "Record" => Some(Type::Record(self.record(value.get("attributes"), depth))),
            "EntityOrCommon" => self.named(named()?, depth),
            word => self.named(word, depth),
        }
    }

    fn record(&self, attributes: Option<&Value>, depth: usize) -> Fields {
        let field = |(name, value): (&String, &Value)| {
            let required = value.get("required").and_then(Value::as_bool).unwrap_or(true);
            Some((name.clone(), (self.kind(value, depth + 1)?, required)))
        };
        object(attributes).filter_map(field).collect()
    }

    fn named(&self, name: &str, depth: usize) -> Option<Type> {
        match name.trim_start_matches("__cedar::") {
            "String" => return Some(Type::Text),
            "Long" => return Some(Type::Number),
            "Boolean" | "Bool" => return Some(Type::Truth),
            "ipaddr" | "decimal" | "datetime" | "duration" => {
                return Some(Type::Extension(name.trim_start_matches("__cedar::").to_owned()));
            }
            _ => {}
        }
        let (space, bare) = name.rsplit_once("::").unwrap_or((self.namespace, name));
        let elsewhere = self.all.get(space).and_then(|space| space.get("commonTypes"));
        let common = [self.commons, elsewhere].into_iter().flatten().find_map(|c| c.get(bare));
        match common {
            Some(common) => self.kind(common, depth + 1),
            None => Some(Type::Entity(self.entity(name))),
        }
    }

    /// An entity type by its whole name, wherever it is.
    fn entity(&self, name: &str) -> String {
        let here = |space: &str| {
            let types = self.all.get(space).and_then(|space| space.get("entityTypes"));
            types.is_some_and(|types| types.get(name).is_some())
        };
        if name.contains("::") || !here(self.namespace) { name.to_owned() } else { self.full(name) }
    }

    fn full(&self, name: &str) -> String {
        if self.namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{}::{name}", self.namespace)
        }
    }
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}
