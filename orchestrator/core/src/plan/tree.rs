//! Reads YAML and JSON into one kind of tree, within bounds and without duplicate keys.
//!
//! Both parsers would let the last of two equal keys win, and YAML's aliases let a few lines stand
//! for gigabytes. Here a second key is an error, and every value and every character is counted as it
//! is made.

use std::{cell::Cell, fmt};

use deadelus_proto::limits::PLAN_MAX_BYTES;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::{PLAN_DEPTH_MAX, PLAN_VALUES_MAX, YAML_BRACKETS_MAX};

/// The tree of a JSON text.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Tree { left: &Left::default(), depth: 0 }.deserialize(&mut reader);
    value.and_then(|v| reader.end().map(|()| v)).map_err(|e| e.to_string())
}

/// The tree of a YAML text.
pub(crate) fn yaml(text: &str) -> Result<Value, String> {
    if brackets(text) > YAML_BRACKETS_MAX {
        return Err(format!("more than {YAML_BRACKETS_MAX} brackets are open at once"));
    }
    Tree { left: &Left::default(), depth: 0 }
        .deserialize(serde_yaml_ng::Deserializer::from_str(text))
        .map_err(|e| e.to_string())
}

/// How many brackets are open at once, at most, wherever they stand.
fn brackets(text: &str) -> usize {
    let mut open = 0_usize;
    let most = text.bytes().map(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open
    });
    most.max().unwrap_or_default()
}

/// What a file may still make.
struct Left {
    values: Cell<usize>,
    /// Of texts and keys. A plan with more is too long to travel, however short its file.
    bytes: Cell<usize>,
}

impl Default for Left {
    fn default() -> Self {
        Self { values: Cell::new(PLAN_VALUES_MAX), bytes: Cell::new(PLAN_MAX_BYTES) }
    }
}

impl Left {
    fn value<E: Error>(&self) -> Result<(), E> {
        let left = self.values.get().checked_sub(1);
        let too_many = || E::custom(format!("more than {PLAN_VALUES_MAX} values"));
        self.values.set(left.ok_or_else(too_many)?);
        Ok(())
    }

    fn text<E: Error>(&self, text: &str) -> Result<(), E> {
        let left = self.bytes.get().checked_sub(text.len());
        let too_many = || E::custom(format!("more than {PLAN_MAX_BYTES} bytes of text"));
        self.bytes.set(left.ok_or_else(too_many)?);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Tree<'a> {
    left: &'a Left,
    depth: usize,
}

impl Tree<'_> {
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.depth == PLAN_DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {PLAN_DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.left.value()?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    /// What an empty file is to a YAML parser.
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        self.left.text(v)?;
        Ok(v.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(below)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.left.text(&key)?;
            if object.contains_key(&key) {
                let key = crate::shown(&key);
                return Err(A::Error::custom(format!("the key {key:?} stands here twice")));
            }
            object.insert(key, map.next_value_seed(below)?);
        }
        Ok(Value::Object(object))
    }
}
