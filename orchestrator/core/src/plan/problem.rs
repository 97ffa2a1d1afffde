//! What is wrong with a plan: every problem at once, each with its place.

use std::fmt;

use crate::limits::{NAMES_COMPARED_MAX, PLACE_MAX_CHARS, PLAN_PROBLEMS_MAX, PROBLEM_MAX_CHARS};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, as one would write it: `tasks.measure0.needs[1]`; empty for the whole.
    pub place: String,
    /// What, in a sentence; with the nearest legal name where there is one.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.place, self.what)
        }
    }
}

/// Everything that is wrong with a plan, at most [`PLAN_PROBLEMS_MAX`] of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// A single problem.
    pub fn one(place: impl Into<String>, what: impl fmt::Display) -> Self {
        let mut problems = Self::default();
        problems.add(place, what);
        problems
    }

    /// One more; dropped when nobody would read it.
    pub fn add(&mut self, place: impl Into<String>, what: impl fmt::Display) {
        if self.0.len() < PLAN_PROBLEMS_MAX {
            let place = crate::cut(&place.into(), PLACE_MAX_CHARS);
            self.0.push(Problem { place, what: crate::cut(&what.to_string(), PROBLEM_MAX_CHARS) });
        }
    }

    /// One more: a name that is none. The nearest one is looked for only if somebody will read it.
    pub(crate) fn unknown<'a>(
        &mut self,
        place: impl Into<String>,
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        if self.0.len() < PLAN_PROBLEMS_MAX {
            self.add(place, unknown(kind, name, known));
        }
    }

    /// The value of a result, or its error as one more problem.
    pub fn keep<T, E: fmt::Display>(
        &mut self,
        place: impl Into<String>,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|e| self.add(place, e)).ok()
    }

    /// `value` when there is none.
    ///
    /// # Errors
    /// The problems, in the order of their places.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `no task "masure"; did you mean "measure"?`
pub(crate) fn unknown<'a>(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let name = crate::shown(name);
    match nearest(&name, known) {
        Some(near) => format!("no {kind} {name:?}; did you mean {near:?}?"),
        None => format!("no {kind} {name:?}"),
    }
}

/// The name that most likely was meant: about a third of its characters away, no more.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .take(NAMES_COMPARED_MAX)
        .map(|k| (distance(name, k), k))
        .filter(|(d, k)| *d <= 1 + k.len() / 3 && *d < name.len())
        .min()
        .map(|(_, k)| k)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let known = ["measure0", "diagnose1", "create-index"];
        assert_eq!(
            unknown("task", "diagnos1", known),
            r#"no task "diagnos1"; did you mean "diagnose1"?"#
        );
        assert_eq!(unknown("task", "payments", known), r#"no task "payments""#);
    }
}
