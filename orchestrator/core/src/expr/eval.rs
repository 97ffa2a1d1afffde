//! Evaluates a [`Node`]: total, ordered, and counted against a bound.

use std::{borrow::Cow, cell::Cell, cmp::Ordering};

use deadelus_proto::{Body, Done};
use serde_json::{Map, Value};

use super::{
    Facts,
    node::{Fact, Fold, Function, Node, Operator},
    number::{self, Num, arithmetic, fraction},
};
use crate::limits::EXPRESSION_STEPS_MAX;

type Result<'a> = std::result::Result<Cow<'a, Value>, String>;

/// The value of a whole expression.
pub(super) fn value(node: &Node, facts: &Facts<'_>) -> std::result::Result<Value, String> {
    let evaluation = Evaluation { facts, left: Cell::new(EXPRESSION_STEPS_MAX) };
    evaluation.owned(node, &mut Vec::new())
}

struct Evaluation<'a> {
    facts: &'a Facts<'a>,
    left: Cell<u64>,
}

type Locals<'a> = Vec<(&'a str, Cow<'a, Value>)>;

impl<'a> Evaluation<'a> {
    fn spend(&self, steps: u64) -> std::result::Result<(), String> {
        let left = self.left.get().checked_sub(steps);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or_else(|| format!("more than {EXPRESSION_STEPS_MAX} steps"))
    }

    fn eval(&self, node: &'a Node, locals: &mut Locals<'a>) -> Result<'a> {
        self.spend(1)?;
        match node {
            Node::Literal(value) => Ok(Cow::Borrowed(value)),
            Node::Param(name) => {
                let value = self.facts.params.get(name);
                value.map(Cow::Borrowed).ok_or_else(|| format!("no parameter {name:?}"))
            }
            Node::Request => Ok(Cow::Owned(self.facts.request.into())),
            Node::Target => Ok(Cow::Owned(self.facts.target.into())),
            Node::Task(id, fact) => self.fact(id, *fact),
            Node::Local(name) => self.local(name, locals),
            Node::Field(of, name) => field(self.eval(of, locals)?, name),
            Node::Has(of, name) => {
                let of = self.eval(of, locals)?;
                let object = of.as_object().ok_or_else(|| mismatch("has()", &of))?;
                Ok(Cow::Owned(object.get(name).is_some().into()))
            }
            Node::Index(of, index) => {
                let of = self.eval(of, locals)?;
                at(of, &*self.eval(index, locals)?)
            }
            Node::List(nodes) => {
                let items = nodes.iter().map(|n| self.owned(n, locals));
                Ok(Cow::Owned(Value::Array(items.collect::<std::result::Result<_, _>>()?)))
            }
            Node::Object(entries) => self.object(entries, locals),
            Node::Not(of) => Ok(Cow::Owned((!self.boolean(of, locals)?).into())),
            Node::Negate(of) => {
                let of = self.eval(of, locals)?;
                let number = Num::of(&of).ok_or_else(|| mismatch("-", &of))?;
                arithmetic(Operator::Subtract, Num::Int(0), number).map(Cow::Owned)
            }
            Node::And(a, b) => self.either(a, b, false, locals),
            Node::Or(a, b) => self.either(a, b, true, locals),
            Node::If(parts) => {
                let [test, yes, no] = &**parts;
                let chosen = if self.boolean(test, locals)? { yes } else { no };
                self.eval(chosen, locals)
            }
            Node::Binary(operator, a, b) => self.binary(*operator, a, b, locals),
            Node::Call(function, nodes) => self.call(*function, nodes, locals),
            Node::Each { fold, over, variable, body } => {
                let items = self.items(over, locals)?;
                self.each(*fold, items, variable, body, locals)
            }
        }
    }

    fn owned(&self, node: &'a Node, locals: &mut Locals<'a>) -> std::result::Result<Value, String> {
        let value = self.eval(node, locals)?;
        self.spend(weight(&value))?;
        Ok(value.into_owned())
    }

    fn boolean(
        &self,
        node: &'a Node,
        locals: &mut Locals<'a>,
    ) -> std::result::Result<bool, String> {
        let value = self.eval(node, locals)?;
        value.as_bool().ok_or_else(|| mismatch("a condition", &value))
    }

    /// `&&` and `||`: as in CEL an error on one side does not matter once the other side decides.
    fn either(&self, a: &'a Node, b: &'a Node, decides: bool, l: &mut Locals<'a>) -> Result<'a> {
        let left = self.boolean(a, l);
        if left == Ok(decides) {
            return Ok(Cow::Owned(decides.into()));
        }
        let right = self.boolean(b, l)?;
        if right != decides {
            left?;
        }
        Ok(Cow::Owned(right.into()))
    }

    fn local(&self, name: &str, locals: &Locals<'a>) -> Result<'a> {
        let found = locals.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| value);
        let value = found.ok_or_else(|| format!("no variable {name:?}"))?;
        if let Cow::Owned(value) = value {
            self.spend(weight(value))?;
        }
        Ok(value.clone())
    }

    fn fact(&self, id: &str, fact: Fact) -> Result<'a> {
        let found = self.facts.tasks.iter().find(|(task, _)| task.as_str() == id);
        let (_, task) = found.ok_or_else(|| format!("nothing is known of task {id:?}"))?;
        match (fact, task.done) {
            (Fact::Status, _) => Ok(Cow::Owned(task.status.into())),
            (Fact::Outputs, Some(Done { outputs: Body::Inline(value), .. })) => {
                Ok(Cow::Borrowed(value))
            }
            (Fact::Outputs, Some(Done { outputs: Body::Stored(artefact), .. })) => json(artefact),
            (Fact::Outputs, None) => Ok(Cow::Owned(Value::Object(Map::new()))),
            (Fact::Checks, Some(done)) => json(&done.checks),
            (Fact::Artefacts, Some(done)) => json(&done.artefacts),
            (Fact::Checks | Fact::Artefacts, None) => Ok(Cow::Owned(Value::Array(Vec::new()))),
        }
    }

    fn object(&self, entries: &'a [(Node, Node)], locals: &mut Locals<'a>) -> Result<'a> {
        let mut object = Map::new();
        for (key, value) in entries {
            let key = self.eval(key, locals)?;
            let key = key.as_str().ok_or_else(|| mismatch("the key of an object", &key))?;
            if object.contains_key(key) {
                return Err(format!("the key {:?} stands in an object twice", crate::shown(key)));
            }
            object.insert(key.to_owned(), self.owned(value, locals)?);
        }
        Ok(Cow::Owned(Value::Object(object)))
    }

    fn binary(&self, op: Operator, a: &'a Node, b: &'a Node, l: &mut Locals<'a>) -> Result<'a> {
        let (a, b) = (self.eval(a, l)?, self.eval(b, l)?);
        let ordered = |wanted: fn(Ordering) -> bool| {
            let order = number::compare(&a, &b);
            order.map(wanted).ok_or_else(|| mismatches("compare", &a, &b)).map(Value::Bool)
        };
        let result = match op {
            Operator::Equal | Operator::NotEqual => {
                self.spend(weight(&a).min(weight(&b)))?;
                Value::Bool(number::equal(&a, &b) == (op == Operator::Equal))
            }
            Operator::Less => ordered(Ordering::is_lt)?,
            Operator::AtMost => ordered(Ordering::is_le)?,
            Operator::Greater => ordered(Ordering::is_gt)?,
            Operator::AtLeast => ordered(Ordering::is_ge)?,
            Operator::In => self.contains(&b, &a)?.into(),
            Operator::Add => {
                self.spend(weight(&a) + weight(&b))?;
                add(a, b)?
            }
            Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                let numbers = Num::of(&a).zip(Num::of(&b));
                let (x, y) = numbers.ok_or_else(|| mismatches("calculate with", &a, &b))?;
                arithmetic(op, x, y)?
            }
        };
        Ok(Cow::Owned(result))
    }

    fn contains(&self, of: &Value, what: &Value) -> std::result::Result<bool, String> {
        match of {
            Value::Array(items) => {
                self.spend(weight(of))?;
                Ok(items.iter().any(|item| number::equal(item, what)))
            }
            Value::Object(object) => Ok(what.as_str().is_some_and(|key| object.contains_key(key))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Err(mismatch("in", of))
            }
        }
    }

    fn call(&self, function: Function, nodes: &'a [Node], locals: &mut Locals<'a>) -> Result<'a> {
        let mut values = Vec::new();
        for node in nodes {
            let value = self.eval(node, locals)?;
            self.spend(weight(&value))?;
            values.push(value);
        }
        let text = |n: usize| values.get(n).and_then(|v| v.as_str());
        let both = text(0).zip(text(1));
        let first = values.first().map_or(&Value::Null, |v| &**v);
        let result = match function {
            Function::StartsWith => both.map(|(a, b)| a.starts_with(b).into()),
            Function::EndsWith => both.map(|(a, b)| a.ends_with(b).into()),
            Function::Contains => both.map(|(a, b)| a.contains(b).into()),
            Function::Size => size(first).map(Value::from),
            Function::Int => Some(to_int(first)?),
            Function::Double => Some(to_double(first)?),
            Function::String => Some(text_of(first).into()),
        };
        result.map(Cow::Owned).ok_or_else(|| mismatch("a function", first))
    }

    fn items(
        &self,
        over: &'a Node,
        locals: &mut Locals<'a>,
    ) -> std::result::Result<Vec<Cow<'a, Value>>, String> {
        let over = self.eval(over, locals)?;
        let items: Vec<_> = match over {
            Cow::Borrowed(value) => parts(value, Cow::Borrowed),
            Cow::Owned(ref value) => {
                self.spend(weight(value))?;
                parts(value, |item| Cow::Owned(item.clone()))
            }
        }
        .ok_or_else(|| mismatch("a list", &over))?;
        self.spend(items.len() as u64)?;
        Ok(items)
    }

    fn each(
        &self,
        fold: Fold,
        items: Vec<Cow<'a, Value>>,
        variable: &'a str,
        body: &'a Node,
        locals: &mut Locals<'a>,
    ) -> Result<'a> {
        let mut kept = Vec::new();
        let mut holding = 0_usize;
        let mut failed = None;
        let of = items.len();
        for item in items {
            locals.push((variable, item));
            let outcome = match fold {
                Fold::Map => self.owned(body, locals).map(|v| kept.push(v)).map(|()| false),
                Fold::All | Fold::Exists | Fold::ExistsOne | Fold::Filter => {
                    self.boolean(body, locals)
                }
            };
            let item = locals.pop();
            match (fold, outcome) {
                (Fold::All, Ok(false)) => return Ok(Cow::Owned(false.into())),
                (Fold::Exists, Ok(true)) => return Ok(Cow::Owned(true.into())),
                (Fold::All | Fold::Exists, Err(e)) => failed = Some(e),
                (_, Err(e)) => return Err(e),
                (Fold::Filter, Ok(true)) => {
                    if let Some((_, item)) = item {
                        self.spend(weight(&item))?;
                        kept.push(item.into_owned());
                    }
                }
                (_, Ok(true)) => holding += 1,
                (_, Ok(false)) => {}
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        Ok(Cow::Owned(match fold {
            Fold::All => (holding == of).into(),
            Fold::Exists => false.into(),
            Fold::ExistsOne => (holding == 1).into(),
            Fold::Filter | Fold::Map => Value::Array(kept),
        }))
    }
}

/// What a value costs to copy or compare: one for itself and one for every eight characters.
fn weight(value: &Value) -> u64 {
    1 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(s) => s.len() as u64 / 8,
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(k, v)| k.len() as u64 / 8 + weight(v)).sum(),
    }
}

fn json<'a>(value: &impl serde::Serialize) -> Result<'a> {
    serde_json::to_value(value).map(Cow::Owned).map_err(|e| e.to_string())
}

/// The items of a list or the keys of an object.
fn parts<'v, 'a>(
    value: &'v Value,
    item: impl Fn(&'v Value) -> Cow<'a, Value>,
) -> Option<Vec<Cow<'a, Value>>> {
    match value {
        Value::Array(items) => Some(items.iter().map(item).collect()),
        Value::Object(map) => Some(map.keys().map(|k| Cow::Owned(k.as_str().into())).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn field<'a>(of: Cow<'a, Value>, name: &str) -> Result<'a> {
    let absent = || format!("no key {name:?} in {}", kind(&of));
    match &of {
        Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed),
        Cow::Owned(value) => value.get(name).cloned().map(Cow::Owned),
    }
    .ok_or_else(absent)
}

fn at<'a>(of: Cow<'a, Value>, index: &Value) -> Result<'a> {
    if let Some(key) = index.as_str() {
        return field(of, key);
    }
    let position = index.as_u64().and_then(|i| usize::try_from(i).ok());
    let absent = || format!("no item {index} in {}", kind(&of));
    let position = position.ok_or_else(absent)?;
    match &of {
        Cow::Borrowed(value) => value.get(position).map(Cow::Borrowed),
        Cow::Owned(value) => value.get(position).cloned().map(Cow::Owned),
    }
    .ok_or_else(absent)
}

fn add(a: Cow<'_, Value>, b: Cow<'_, Value>) -> std::result::Result<Value, String> {
    match (a.into_owned(), b.into_owned()) {
        (Value::String(a), Value::String(b)) => Ok((a + &b).into()),
        (Value::Array(mut a), Value::Array(b)) => {
            a.extend(b);
            Ok(Value::Array(a))
        }
        (a, b) => {
            let numbers = Num::of(&a).zip(Num::of(&b));
            let (x, y) = numbers.ok_or_else(|| mismatches("add", &a, &b))?;
            arithmetic(Operator::Add, x, y)
        }
    }
}

fn size(value: &Value) -> Option<u64> {
    match value {
        Value::String(s) => Some(s.chars().count() as u64),
        Value::Array(items) => Some(items.len() as u64),
        Value::Object(map) => Some(map.len() as u64),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn to_int(value: &Value) -> std::result::Result<Value, String> {
    let parsed = match (Num::of(value), value.as_str()) {
        (Some(Num::Int(i)), _) => Some(i),
        #[expect(clippy::cast_possible_truncation, reason = "inside the bounds it only truncates")]
        (Some(Num::Float(f)), _) => (f.abs() < 9.2e18).then_some(f as i64),
        (None, Some(text)) => text.parse().ok(),
        (None, None) => None,
    };
    parsed.map(Value::from).ok_or_else(|| mismatch("int()", value))
}

fn to_double(value: &Value) -> std::result::Result<Value, String> {
    let parsed = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    fraction(parsed.ok_or_else(|| mismatch("double()", value))?)
}

/// A value inside a text: texts as they are, everything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn mismatch(what: &str, value: &Value) -> String {
    format!("{} does not fit {what}", kind(value))
}

fn mismatches(what: &str, a: &Value, b: &Value) -> String {
    format!("cannot {what} {} and {}", kind(a), kind(b))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(s) => format!("{:?}", crate::shown(s)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}
