//! The parameters of one request, read by name and type. What nobody reads is refused.

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// A parsed form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    pub(crate) fn new(form: Map<String, Value>) -> Self {
        Self(form)
    }

    /// Refuses what is not in the list. `expand` is accepted and changes nothing.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let stranger = self.0.keys().find(|k| *k != "expand" && !known.contains(&k.as_str()));
        stranger.map_or(Ok(()), |name| Err(Refusal::unknown(name)))
    }

    /// Text, if it is there; empty text is text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::invalid(name, format!("Invalid string: {name}"))),
        }
    }

    /// Text that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| {
            text.parse().map_err(|_| Refusal::invalid(name, format!("Invalid integer: {text}")))
        };
        self.text(name)?.map(read).transpose()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let read = |text: &str| {
            text.parse().map_err(|_| Refusal::invalid(name, format!("Invalid boolean: {text}")))
        };
        self.text(name)?.map(read).transpose()
    }

    /// What stands in brackets behind a name: `recurring[interval]`, `items[0]`.
    pub(crate) fn inner(&self, name: &str) -> Result<Option<Params>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Object(inner)) => Ok(Some(Self(inner.clone()))),
            Some(_) => Err(Refusal::invalid(name, format!("Invalid object: {name}"))),
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let texts = |list: Params| {
            let texts = list.0.values().filter_map(Value::as_str).map(str::to_owned);
            texts.collect()
        };
        Ok(self.inner(name)?.map(texts))
    }

    /// `metadata` over what was there: an empty value takes its key away.
    pub(crate) fn metadata(&self, before: &Value) -> Result<Value, Refusal> {
        let mut merged = before.as_object().cloned().unwrap_or_default();
        for (key, value) in self.inner("metadata")?.unwrap_or_default().0 {
            if value == "" {
                merged.remove(&key);
            } else {
                merged.insert(key, value);
            }
        }
        Ok(Value::Object(merged))
    }
}
