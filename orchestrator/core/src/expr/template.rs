//! Inputs with expressions in them: `{ table: "${ tasks.advise.outputs.table }" }`.
//!
//! A text that is nothing but `${ … }` becomes the value with its type; inside other text the value
//! is written out. `$${` stands for `${`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Expression, Facts, Names, eval::text_of};

/// A JSON value in which some texts are expressions.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Plain(Value),
    Value(Expression),
    Text(Vec<Piece>),
    List(Vec<Node>),
    Object(BTreeMap<String, Node>),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Plain(String),
    Value(Expression),
}

impl Template {
    /// Reads every expression in a value.
    ///
    /// # Errors
    /// Every expression that cannot be read: its JSON pointer and a sentence.
    pub fn read(value: &Value) -> Result<Self, Vec<(String, String)>> {
        let mut wrong = Vec::new();
        let node = read(value, "", &mut wrong);
        if wrong.is_empty() { Ok(Self(node)) } else { Err(wrong) }
    }

    /// How many expressions a value has at most, without reading one.
    pub(crate) fn expressions_at_most(value: &Value) -> usize {
        match value {
            Value::String(text) => text.matches("${").count(),
            Value::Array(items) => items.iter().map(Self::expressions_at_most).sum(),
            Value::Object(map) => map.values().map(Self::expressions_at_most).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    /// The names its expressions read.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        for expression in self.expressions() {
            let found = expression.names();
            names.tasks.extend(found.tasks);
            names.params.extend(found.params);
        }
        names
    }

    /// Whether one of its expressions has no value where the task was never done.
    pub(crate) fn insists_on(&self, task: &str) -> bool {
        self.expressions().into_iter().any(|e| e.insists_on(task))
    }

    /// The value with every expression evaluated.
    ///
    /// # Errors
    /// A sentence about the first expression that has no value.
    pub fn fill(&self, facts: &Facts<'_>) -> Result<Value, String> {
        fill(&self.0, facts)
    }

    fn expressions(&self) -> Vec<&Expression> {
        let mut found = Vec::new();
        let mut open = vec![&self.0];
        while let Some(node) = open.pop() {
            match node {
                Node::Plain(_) => {}
                Node::Value(expression) => found.push(expression),
                Node::Text(pieces) => found.extend(pieces.iter().filter_map(|p| match p {
                    Piece::Plain(_) => None,
                    Piece::Value(expression) => Some(expression),
                })),
                Node::List(nodes) => open.extend(nodes),
                Node::Object(nodes) => open.extend(nodes.values()),
            }
        }
        found
    }
}

/// Whether a text has an expression in it.
pub(crate) fn is_dynamic(text: &str) -> bool {
    text.replace("$${", "").contains("${")
}

fn read(value: &Value, at: &str, wrong: &mut Vec<(String, String)>) -> Node {
    match value {
        Value::String(text) => match read_text(text) {
            Ok(node) => node,
            Err(problem) => {
                wrong.push((at.to_owned(), problem));
                Node::Plain(Value::Null)
            }
        },
        Value::Array(items) => {
            let items = items.iter().enumerate();
            Node::List(items.map(|(n, item)| read(item, &format!("{at}/{n}"), wrong)).collect())
        }
        Value::Object(map) => {
            let entries = map.iter();
            let read =
                |(k, v): (&String, &Value)| (k.clone(), read(v, &format!("{at}/{k}"), wrong));
            Node::Object(entries.map(read).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Plain(value.clone()),
    }
}

fn read_text(text: &str) -> Result<Node, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = &from[2..];
            continue;
        }
        plain.push_str(before);
        let end = end_of(&from[2..]).ok_or_else(|| {
            format!(
                "\"${{\" is not closed in {:?}; write \"$${{\" for the text",
                crate::shown(text)
            )
        })?;
        if !plain.is_empty() {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Value(Expression::parse(from[2..2 + end].trim())?));
        rest = &from[2 + end + 1..];
    }
    plain.push_str(rest);
    if pieces.is_empty() {
        return Ok(Node::Plain(plain.into()));
    }
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    match <[Piece; 1]>::try_from(pieces) {
        Ok([Piece::Value(whole)]) => Ok(Node::Value(whole)),
        Ok(one) => Ok(Node::Text(one.into())),
        Err(pieces) => Ok(Node::Text(pieces)),
    }
}

/// Where the brace closes that was opened before `text`; braces in quotes do not count.
fn end_of(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            (None, _) => {}
        }
    }
    None
}

fn fill(node: &Node, facts: &Facts<'_>) -> Result<Value, String> {
    match node {
        Node::Plain(value) => Ok(value.clone()),
        Node::Value(expression) => expression.evaluate(facts),
        Node::Text(pieces) => {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Plain(plain) => text.push_str(plain),
                    Piece::Value(expression) => {
                        text.push_str(&text_of(&expression.evaluate(facts)?));
                    }
                }
            }
            Ok(text.into())
        }
        Node::List(nodes) => nodes.iter().map(|n| fill(n, facts)).collect(),
        Node::Object(nodes) => {
            nodes.iter().map(|(k, n)| Ok((k.clone(), fill(n, facts)?))).collect()
        }
    }
}
