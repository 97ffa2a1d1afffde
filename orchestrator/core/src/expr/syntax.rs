//! From text to [`Node`]: CEL's parser, then everything we do not evaluate is refused by name.

use std::sync::LazyLock;

use cel::{
    Env, IdedExpr,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SelectExpr},
};
use serde_json::{Number, Value};

use super::node::{Fact, Fold, Function, Node, Operator};
use crate::limits::{EXPRESSION_BRACKETS_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_MAX_CHARS};

pub(super) fn parse(text: &str) -> Result<Node, String> {
    if text.chars().count() > EXPRESSION_MAX_CHARS {
        return Err(format!("an expression has at most {EXPRESSION_MAX_CHARS} characters"));
    }
    let parser = CEL.parser().max_recursion_depth(EXPRESSION_BRACKETS_MAX);
    let tree = parser.parse(text).map_err(|errors| {
        let first = errors.errors.first().map_or("unreadable", |e| e.msg.as_str());
        format!("{} in {:?}", in_words(first), crate::shown(text))
    })?;
    Reader { locals: Vec::new() }.node(&tree, 0)
}

/// An environment without macros: has(), map() and their like stay calls, which we read.
static CEL: LazyLock<Env> = LazyLock::new(|| Env::default().with_optional_support(false));

/// What the parser has against a text, for the person who wrote it.
fn in_words(complaint: &str) -> String {
    if complaint.contains("Recursion limit") {
        return format!("more than {EXPRESSION_BRACKETS_MAX} brackets or choices in each other");
    }
    crate::cut(complaint, 200)
}

struct Reader {
    locals: Vec<String>,
}

impl Reader {
    fn node(&mut self, tree: &IdedExpr, depth: usize) -> Result<Node, String> {
        if depth == EXPRESSION_DEPTH_MAX {
            return Err(format!("an expression has at most {EXPRESSION_DEPTH_MAX} levels"));
        }
        match &tree.expr {
            Expr::Literal(literal) => literal_value(literal).map(Node::Literal),
            Expr::Ident(name) => self.identifier(name),
            Expr::Select(select) => self.select(select, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) => Ok(Node::List(self.nodes(&list.elements, depth)?)),
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("an entry of an object is key: value".into());
                    };
                    let key = self.node(&entry.key, depth + 1)?;
                    entries.push((key, self.node(&entry.value, depth + 1)?));
                }
                Ok(Node::Object(entries))
            }
            Expr::Struct(message) => {
                Err(format!("there are no messages: {}{{}}", crate::shown(&message.type_name)))
            }
            Expr::Unspecified | Expr::Comprehension(_) => Err("is not an expression".into()),
        }
    }

    fn nodes(&mut self, trees: &[IdedExpr], depth: usize) -> Result<Vec<Node>, String> {
        trees.iter().map(|t| self.node(t, depth + 1)).collect()
    }

    fn boxed(&mut self, tree: &IdedExpr, depth: usize) -> Result<Box<Node>, String> {
        self.node(tree, depth + 1).map(Box::new)
    }

    fn identifier(&self, name: &str) -> Result<Node, String> {
        if self.locals.iter().any(|l| l == name) {
            return Ok(Node::Local(name.to_owned()));
        }
        match name {
            "request" => Ok(Node::Request),
            "target" => Ok(Node::Target),
            "params" => Err("name the parameter: params.name".into()),
            "tasks" => Err("name the task and the fact: tasks.id.outputs".into()),
            _ => {
                let roots = ["params", "tasks", "request", "target"];
                Err(crate::plan::unknown("variable", name, roots))
            }
        }
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> Result<Node, String> {
        if is(&select.operand, "params") {
            return Ok(Node::Param(select.field.clone()));
        }
        if let Some(task) = task(&select.operand) {
            return fact(&task, &select.field);
        }
        Ok(Node::Field(self.boxed(&select.operand, depth)?, select.field.clone()))
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Result<Node, String> {
        let name = call.func_name.as_str();
        if let Some((_, operator)) = Operator::ALL.iter().find(|(n, _)| *n == name) {
            let (a, b) = self.pair(call, depth)?;
            return Ok(Node::Binary(*operator, a, b));
        }
        match (name, call.args.as_slice()) {
            ("_&&_", _) => self.pair(call, depth).map(|(a, b)| Node::And(a, b)),
            ("_||_", _) => self.pair(call, depth).map(|(a, b)| Node::Or(a, b)),
            ("!_", [of]) => self.boxed(of, depth).map(Node::Not),
            ("-_", [of]) => self.boxed(of, depth).map(Node::Negate),
            ("_?_:_", [test, yes, no]) => {
                let mut part = |t| self.node(t, depth + 1);
                Ok(Node::If(Box::new([part(test)?, part(yes)?, part(no)?])))
            }
            ("_[_]", [of, index]) => self.index(of, index, depth),
            ("has", [what]) if call.target.is_none() => self.has(what, depth),
            _ => self.named(call, depth),
        }
    }

    fn pair(&mut self, call: &CallExpr, depth: usize) -> Result<(Box<Node>, Box<Node>), String> {
        match call.args.as_slice() {
            [a, b] => Ok((self.boxed(a, depth)?, self.boxed(b, depth)?)),
            _ => Err(format!("{} takes two operands", call.func_name)),
        }
    }

    fn index(&mut self, of: &IdedExpr, index: &IdedExpr, depth: usize) -> Result<Node, String> {
        if let Expr::Literal(LiteralValue::String(key)) = &index.expr {
            if is(of, "params") {
                return Ok(Node::Param(key.inner().to_owned()));
            }
            if let Some(task) = task(of) {
                return fact(&task, key.inner());
            }
        }
        Ok(Node::Index(self.boxed(of, depth)?, self.boxed(index, depth)?))
    }

    fn has(&mut self, what: &IdedExpr, depth: usize) -> Result<Node, String> {
        let Expr::Select(select) = &what.expr else {
            return Err("has() asks for a field: has(a.b)".into());
        };
        Ok(Node::Has(self.boxed(&select.operand, depth)?, select.field.clone()))
    }

    fn named(&mut self, call: &CallExpr, depth: usize) -> Result<Node, String> {
        let name = call.func_name.as_str();
        if let Some((_, fold)) = Fold::ALL.iter().find(|(n, _)| *n == name) {
            return self.each(*fold, call, depth);
        }
        let Some((_, arity, function)) = Function::ALL.iter().find(|(n, ..)| *n == name) else {
            let known = Function::ALL.iter().map(|f| f.0).chain(Fold::ALL.iter().map(|f| f.0));
            return Err(crate::plan::unknown("function", name, known));
        };
        let mut arguments = Vec::new();
        for tree in call.target.as_deref().into_iter().chain(&call.args) {
            arguments.push(self.node(tree, depth + 1)?);
        }
        if arguments.len() != *arity {
            return Err(format!("{name}() takes {arity} values, not {}", arguments.len()));
        }
        Ok(Node::Call(*function, arguments))
    }

    fn each(&mut self, fold: Fold, call: &CallExpr, depth: usize) -> Result<Node, String> {
        let wrong = || format!("write list.{}(x, …)", call.func_name);
        let over = call.target.as_deref().ok_or_else(wrong)?;
        let [variable, body] = call.args.as_slice() else { return Err(wrong()) };
        let Expr::Ident(variable) = &variable.expr else { return Err(wrong()) };
        if ["params", "tasks", "request", "target"].contains(&variable.as_str()) {
            return Err(format!("{variable:?} is taken; call the variable something else"));
        }
        let over = self.boxed(over, depth)?;
        self.locals.push(variable.clone());
        let body = self.boxed(body, depth);
        self.locals.pop();
        Ok(Node::Each { fold, over, variable: variable.clone(), body: body? })
    }
}

fn is(tree: &IdedExpr, root: &str) -> bool {
    matches!(&tree.expr, Expr::Ident(name) if name == root)
}

/// The id in `tasks.id` or `tasks["id"]`.
fn task(tree: &IdedExpr) -> Option<String> {
    if let Expr::Select(select) = &tree.expr {
        return is(&select.operand, "tasks").then(|| select.field.clone());
    }
    let Expr::Call(call) = &tree.expr else { return None };
    let [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(id)), .. }] = call.args.as_slice()
    else {
        return None;
    };
    (call.func_name == "_[_]" && is(of, "tasks")).then(|| id.inner().to_owned())
}

fn fact(task: &str, name: &str) -> Result<Node, String> {
    match Fact::ALL.iter().find(|(n, _)| *n == name) {
        Some((_, fact)) => Ok(Node::Task(task.to_owned(), *fact)),
        None => {
            let what = crate::plan::unknown("fact", name, Fact::ALL.map(|f| f.0));
            Err(format!("{what}; a task has status, outputs, checks and artefacts"))
        }
    }
}

fn literal_value(literal: &LiteralValue) -> Result<Value, String> {
    match literal {
        LiteralValue::Null => Ok(Value::Null),
        LiteralValue::Boolean(b) => Ok((*b.inner()).into()),
        LiteralValue::Int(i) => Ok((*i.inner()).into()),
        LiteralValue::UInt(u) => Ok((*u.inner()).into()),
        LiteralValue::String(s) => Ok(s.inner().into()),
        LiteralValue::Double(d) => Number::from_f64(*d.inner())
            .map(Value::Number)
            .ok_or_else(|| "a number must be finite".into()),
        LiteralValue::Bytes(_) => Err("there are no bytes here".into()),
    }
}
