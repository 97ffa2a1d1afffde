//! Arithmetic and order of JSON values: nothing wraps, nothing panics, nothing becomes infinite.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::node::Operator;

/// A JSON number: whole where it fits 64 bits, a fraction otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    pub(super) fn of(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        number.as_i64().map(Self::Int).or_else(|| number.as_f64().map(Self::Float))
    }

    fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "what mixing with a fraction means")]
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }
}

/// `a op b` for the five operations of arithmetic.
pub(super) fn arithmetic(operator: Operator, a: Num, b: Num) -> Result<Value, String> {
    let zero = matches!(b, Num::Int(0)) || b.float() == 0.0;
    if zero && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err("division by zero".into());
    }
    let (Num::Int(x), Num::Int(y)) = (a, b) else {
        return fraction(float_arithmetic(operator, a.float(), b.float()));
    };
    let result = match operator {
        Operator::Add => x.checked_add(y),
        Operator::Subtract => x.checked_sub(y),
        Operator::Multiply => x.checked_mul(y),
        Operator::Divide => x.checked_div(y),
        Operator::Remainder => x.checked_rem(y),
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::AtMost
        | Operator::Greater
        | Operator::AtLeast
        | Operator::In => None,
    };
    result.map(Value::from).ok_or_else(|| "a whole number overflows".into())
}

/// A finite fraction as a value.
pub(super) fn fraction(f: f64) -> Result<Value, String> {
    Number::from_f64(f).map(Value::Number).ok_or_else(|| "a number is not finite".into())
}

/// Numbers by size, texts by their characters; nothing else has an order.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => Num::of(a)?.compare(Num::of(b)?),
    }
}

/// As CEL: 1 equals 1.0, and values of different types are merely different.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| equal(a, b)))
        }
        _ => match (Num::of(a), Num::of(b)) {
            (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
            _ => a == b,
        },
    }
}

fn float_arithmetic(operator: Operator, x: f64, y: f64) -> f64 {
    match operator {
        Operator::Add => x + y,
        Operator::Subtract => x - y,
        Operator::Multiply => x * y,
        Operator::Divide => x / y,
        Operator::Remainder => x % y,
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::AtMost
        | Operator::Greater
        | Operator::AtLeast
        | Operator::In => f64::NAN,
    }
}
