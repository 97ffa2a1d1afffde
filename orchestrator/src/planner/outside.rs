//! A plan that somebody else wrote: is it detailed enough to be carried out? What is missing comes
//! back as questions, each named by its place in the plan, and is never guessed. Pure.
//!
//! Asked for are the target, values that were left open, inputs that a capability cannot do
//! without, and, of a plan that changes something, acceptance criteria, constraints and
//! prerequisites. Those last two may be empty, if the author says so: `constraints: []`.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_core::{
    CheckedPlan, Plan, Problems,
    expr::{Expression, Template},
};
use deadelus_proto::{Capability, SpecialistCard};
use serde_json::{Map, Value, json};

use super::{ask, lint::ANYWHERE, lint::anywhere};

/// What an author says who has nothing to say.
const NONE: &str = "none";

/// A plan from outside, judged.
#[derive(Debug)]
pub enum Reviewed {
    /// It can be carried out.
    Whole(Box<CheckedPlan>),
    /// It cannot, until these are answered.
    Gaps(Vec<Question>),
}

/// Something that only the author knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its place in the plan: `tasks.index.inputs.table`.
    pub name: String,
    /// In a sentence.
    pub asks: String,
    gap: Gap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Gap {
    Target,
    Parameter { name: String },
    Input { task: String, input: String, is_text: bool },
    Measured(&'static Measured),
}

/// A list of sentences, each with the task that measures it.
#[derive(Debug, PartialEq, Eq)]
struct Measured {
    list: &'static str,
    sentence: &'static str,
    asks: &'static str,
    may_be_none: bool,
}

/// What a plan that changes something must say.
static MEASURED: [Measured; 3] = [
    Measured {
        list: "success",
        sentence: "criterion",
        asks: "What shows that it has succeeded? Write TASK: SENTENCE; several with ; between",
        may_be_none: false,
    },
    Measured {
        list: "constraints",
        sentence: "constraint",
        asks: "What must hold whatever else is reached? Write TASK: SENTENCE, or none",
        may_be_none: true,
    },
    Measured {
        list: "prerequisites",
        sentence: "prerequisite",
        asks: "What must be there before anything is changed? Write TASK: SENTENCE, or none",
        may_be_none: true,
    },
];

/// Judges a plan. What is wrong and no gap comes first: nobody answers questions about a plan that
/// cannot be carried out whatever the answers are.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn review(tree: &Value, cards: &[SpecialistCard]) -> Result<Reviewed, Problems> {
    let plan = Plan::from_tree(tree.clone())?;
    plan.bounded()?;
    coordinated(&plan, cards)?;
    let gaps = gaps(&plan, tree, cards);
    if gaps.is_empty() {
        return CheckedPlan::check(plan, cards).map(|plan| Reviewed::Whole(Box::new(plan)));
    }
    let about_target = gaps.iter().any(|question| question.gap == Gap::Target);
    let cards = if about_target { anywhere(cards) } else { cards.to_vec() };
    CheckedPlan::check(as_if_answered(plan, &gaps), &cards)?;
    Ok(Reviewed::Gaps(gaps))
}

/// The plan with these answers written into it.
///
/// # Errors
/// A name that nobody asked for, an answer that says nothing.
pub fn answered(
    mut tree: Value,
    answers: &BTreeMap<String, String>,
    cards: &[SpecialistCard],
) -> Result<Value, Problems> {
    let plan = Plan::from_tree(tree.clone())?;
    plan.bounded()?;
    let questions = gaps(&plan, &tree, cards);
    let mut problems = Problems::default();
    for (name, answer) in answers {
        match questions.iter().find(|question| question.name == *name) {
            Some(question) => {
                let written = question.gap.write(&mut tree, answer.trim());
                problems.keep(name, written);
            }
            None => {
                let open: Vec<&str> = questions.iter().map(|q| q.name.as_str()).collect();
                problems.add(name, format!("is not asked; open are {}", open.join(", ")));
            }
        }
    }
    problems.or(tree)
}

/// Refuses what no specialist offers: the mesh coordinates, it does not invent.
fn coordinated(plan: &Plan, cards: &[SpecialistCard]) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for (id, task) in &plan.tasks {
        if capability(&task.does, cards).is_none() {
            let words = format!("{} {}", task.does, task.title);
            let what = format!(
                "{:?} is nothing that the specialists here offer, and the mesh only coordinates \
                 them; {}",
                task.does,
                ask::whom(&words, cards)
            );
            problems.add(format!("tasks.{id}.does"), what);
        }
    }
    problems.or(())
}

fn gaps(plan: &Plan, tree: &Value, cards: &[SpecialistCard]) -> Vec<Question> {
    let mut gaps = vec![];
    if plan.target.is_none() && plan.tasks.values().any(|task| task.target.is_none()) {
        let known = cards.iter().flat_map(|card| &card.targets).map(|t| t.name.as_str());
        let known: Vec<&str> = known.collect::<BTreeSet<_>>().into_iter().collect();
        let asks = format!("Which system is it about? There are {}", known.join(", "));
        gaps.push(Question { name: "target".to_owned(), asks, gap: Gap::Target });
    }
    gaps.extend(parameters(plan));
    for (id, task) in &plan.tasks {
        if let Some(does) = capability(&task.does, cards) {
            gaps.extend(inputs(id, &task.inputs, does));
        }
    }
    let changes = |does: &str| capability(does, cards).is_some_and(|c| c.effect.changes());
    if plan.tasks.values().any(|task| changes(&task.does)) {
        let open = MEASURED.iter().filter(|measured| measured.is_open(tree));
        gaps.extend(open.map(Measured::question));
    }
    gaps
}

/// Parameters that were left open, and those that expressions name and nobody declares.
fn parameters(plan: &Plan) -> Vec<Question> {
    let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, task) in &plan.tasks {
        let inputs: Map<_, _> = task.inputs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut names =
            Template::read(&Value::Object(inputs)).map(|t| t.names()).unwrap_or_default();
        let when = task.when.as_deref().map(Expression::parse);
        if let Some(Ok(when)) = when {
            names.params.extend(when.names().params);
        }
        for param in names.params {
            users.entry(param).or_default().push(id);
        }
    }
    let open = |name: &String| plan.params.get(name).is_none_or(Value::is_null);
    let declared = plan.params.keys().map(|name| (name.clone(), vec![]));
    let mut all: BTreeMap<String, Vec<&str>> = declared.collect();
    all.extend(users);
    let question = |(name, users): (String, Vec<&str>)| Question {
        asks: format!("Which value has the parameter {name}? It is used by {}", list(&users)),
        gap: Gap::Parameter { name: name.clone() },
        name: format!("params.{name}"),
    };
    all.into_iter().filter(|(name, _)| open(name)).map(question).collect()
}

fn list(users: &[&str]) -> String {
    if users.is_empty() { "no task".to_owned() } else { users.join(", ") }
}

/// Inputs that the capability cannot do without, and those that were written without a value.
fn inputs(id: &str, given: &BTreeMap<String, Value>, does: &Capability) -> Vec<Question> {
    let schema = &does.inputs_schema;
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|input| given.get(*input).is_none_or(Value::is_null));
    let question = |input: &str| {
        let property = &schema["properties"][input];
        let about = property["description"].as_str().unwrap_or(&does.summary);
        Question {
            name: format!("tasks.{id}.inputs.{input}"),
            asks: format!("{}: {}", does.name, about.trim_end_matches('.')),
            gap: Gap::Input {
                task: id.to_owned(),
                input: input.to_owned(),
                is_text: property["type"] == "string",
            },
        }
    };
    missing.map(question).collect()
}

/// The plan as it is with every question answered, as far as the other checks can tell.
fn as_if_answered(mut plan: Plan, gaps: &[Question]) -> Plan {
    /// No author calls a parameter so.
    const OPEN: &str = "answer_to_come";
    plan.params.insert(OPEN.to_owned(), Value::Null);
    for question in gaps {
        match &question.gap {
            Gap::Target => plan.target = Some(ANYWHERE.to_owned()),
            Gap::Parameter { name } => {
                plan.params.insert(name.clone(), Value::Null);
            }
            Gap::Input { task, input, .. } => {
                if let Some(task) = plan.tasks.get_mut(task) {
                    task.inputs.insert(input.clone(), json!(format!("${{ params.{OPEN} }}")));
                }
            }
            Gap::Measured(_) => {}
        }
    }
    plan
}

fn capability<'c>(name: &str, cards: &'c [SpecialistCard]) -> Option<&'c Capability> {
    cards.iter().flat_map(|card| &card.capabilities).find(|c| c.name.to_string() == name)
}

impl Measured {
    fn question(&'static self) -> Question {
        let (name, asks) = (self.list.to_owned(), self.asks.to_owned());
        Question { name, asks, gap: Gap::Measured(self) }
    }

    /// Whether the author has said nothing of it. An empty list is a word too, where there may be
    /// nothing.
    fn is_open(&self, tree: &Value) -> bool {
        match tree.get(self.list) {
            None | Some(Value::Null) => true,
            Some(said) => said.as_array().is_some_and(Vec::is_empty) && !self.may_be_none,
        }
    }

    /// `see: the index is there; measure: p95 is below 50 ms`
    fn read(&self, answer: &str) -> Result<Value, String> {
        if self.may_be_none && answer == NONE {
            return Ok(json!([]));
        }
        let one = |part: &str| {
            let (task, text) = part.split_once(':').unwrap_or_default();
            let (task, text) = (task.trim(), text.trim());
            if task.is_empty() || text.is_empty() {
                return Err(format!("{part:?} is not TASK: SENTENCE"));
            }
            Ok(json!({self.sentence: text, "checked_by": task}))
        };
        answer.split(';').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
    }
}

impl Gap {
    /// Writes an answer where it belongs.
    fn write(&self, tree: &mut Value, answer: &str) -> Result<(), String> {
        if answer.is_empty() {
            return Err("the answer is empty".to_owned());
        }
        let value = |is_text: bool| match serde_json::from_str(answer) {
            Ok(value) if !is_text => value,
            Ok(_) | Err(_) => Value::from(answer),
        };
        match self {
            Self::Target => tree["target"] = answer.into(),
            Self::Parameter { name } => tree["params"][name] = value(false),
            Self::Input { task, input, is_text } => {
                tree["tasks"][task]["inputs"][input] = value(*is_text);
            }
            Self::Measured(measured) => tree[measured.list] = measured.read(answer)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
