//! Which indexes might help a set of statements, and which of them is worth its price.
//!
//! Pure. Proposes from the columns that statements filter and join by, refuses what another index
//! already does, and judges by what an engine's planner said about each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    ddl,
    query::{How, Query},
    schema::{Schema, Table},
};

/// Reading fewer rows than this from end to end takes well under a millisecond; an index on them
/// would cost writes and save nothing that anybody could measure.
pub(crate) const TABLE_ROWS_MIN: i64 = 1_000;

/// More columns seldom narrow a search further and always cost writes.
const COLUMNS_MAX: usize = 3;

/// Candidates that a planner is asked about: a bound on how long advising may take.
const CANDIDATES_MAX: usize = 40;

/// A candidate must make its statements this much cheaper: planners are not more exact than that.
pub(crate) const COST_DROP_FACTOR_MIN: f64 = 2.0;

/// Savings this close to each other are the same; then fewer columns win.
const SAME_SAVING: f64 = 0.95;

/// A possible index.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Candidate {
    /// `order_line(order_id)`
    pub id: String,
    /// The table.
    pub table: String,
    /// Its key.
    pub columns: Vec<String>,
    /// What it would be called.
    pub name: String,
    /// The statement that makes it.
    pub ddl: String,
    /// Of all statements it serves, each with its weight.
    pub cost_before: f64,
    /// The same with it.
    pub cost_after: f64,
    /// Of the table; none if nobody knows.
    pub rows_estimate: Option<i64>,
    /// Indexes that a write to this table maintains already.
    pub existing_indexes: usize,
    /// Which statements it serves, by their place in the request, from 0.
    pub serves: Vec<usize>,
}

/// A possible index that was not proposed, and why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rejected {
    /// `customer(support_rep_id)`
    pub id: String,
    /// In a sentence.
    pub reason: String,
}

/// How candidates were judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The server's planner, with hypothetical indexes.
    Hypopg,
    /// The server's plan without, and arithmetic on its statistics for the plan with them.
    Heuristic,
    /// The planner on a copy of the schema, with indexes really made there.
    Shadow,
}

/// What the database says about candidates.
#[derive(Debug, Clone)]
pub(crate) struct Rated {
    pub(crate) method: Method,
    /// Cost of each statement as things are; none where it cannot be planned.
    pub(crate) before: Vec<Option<f64>>,
    /// For each candidate, the cost of each statement that would use it.
    pub(crate) after: Vec<Vec<Option<f64>>>,
}

/// Everything worth asking the planner about, and what is not.
pub(crate) fn propose(
    engine: &str,
    queries: &[Query],
    schema: &Schema,
    rows: &BTreeMap<String, Option<i64>>,
    exclude: &[String],
) -> (Vec<Candidate>, Vec<Rejected>) {
    let mut candidates: Vec<Candidate> = vec![];
    let mut rejected: Vec<Rejected> = vec![];
    for (table, columns) in queries.iter().flat_map(keys) {
        let Some(table) = schema.table(&table) else { continue };
        let rows_estimate = rows.get(&table.name).copied().flatten();
        let candidate = candidate(engine, table, columns, rows_estimate);
        let known = candidates.iter().any(|c| c.id == candidate.id)
            || rejected.iter().any(|r| r.id == candidate.id);
        if known {
            continue;
        }
        match objection(table, &candidate, exclude) {
            Some(reason) => rejected.push(Rejected { id: candidate.id, reason }),
            None if candidates.len() == CANDIDATES_MAX => {
                let reason = format!("only {CANDIDATES_MAX} are looked at in one request");
                rejected.push(Rejected { id: candidate.id, reason });
            }
            None => candidates.push(candidate),
        }
    }
    (candidates, rejected)
}

/// Those worth their price, best first; and the others with the reason.
pub(crate) fn judge(
    candidates: Vec<Candidate>,
    rated: &Rated,
    weights: &[f64],
) -> (Vec<Candidate>, Vec<Rejected>) {
    let mut good = vec![];
    let mut rejected = vec![];
    for (mut candidate, after) in candidates.into_iter().zip(&rated.after) {
        for (place, weight) in weights.iter().enumerate() {
            if let (Some(before), Some(after)) = (rated.before[place], after[place])
                && after < before
            {
                candidate.cost_before += weight * before;
                candidate.cost_after += weight * after;
                candidate.serves.push(place);
            }
        }
        if candidate.serves.is_empty() {
            let reason = "no statement would use it".to_owned();
            rejected.push(Rejected { id: candidate.id, reason });
        } else if candidate.cost_after * COST_DROP_FACTOR_MIN > candidate.cost_before {
            let (before, after) = (candidate.cost_before, candidate.cost_after);
            let reason = format!(
                "cost falls from {before:.0} to {after:.0} only, less than {COST_DROP_FACTOR_MIN} times"
            );
            rejected.push(Rejected { id: candidate.id, reason });
        } else {
            good.push(candidate);
        }
    }
    good.sort_by(|a, b| saving(b).total_cmp(&saving(a)).then_with(|| a.id.cmp(&b.id)));
    prefer_narrow(&mut good);
    (good, rejected)
}

fn saving(candidate: &Candidate) -> f64 {
    candidate.cost_before - candidate.cost_after
}

/// Puts the narrowest of those that save as much as the best in front.
fn prefer_narrow(good: &mut [Candidate]) {
    let Some(best) = good.first().map(saving) else { return };
    let alike = good.iter().take_while(|c| saving(c) >= best * SAME_SAVING).count();
    good[..alike].sort_by_key(|c| c.columns.len());
}

/// The keys that would serve a statement: each column on its own, all that are compared for
/// equality together, and those with one that is compared for order at the end.
fn keys(query: &Query) -> Vec<(String, Vec<String>)> {
    let mut keys = vec![];
    for (alias, table) in &query.tables {
        let columns = |wanted: &dyn Fn(How) -> bool| {
            let mut columns: Vec<String> = vec![];
            for found in query.uses.iter().filter(|u| u.alias == *alias && wanted(u.how)) {
                if !columns.contains(&found.column) {
                    columns.push(found.column.clone());
                }
            }
            columns
        };
        let mut equal = columns(&|how| matches!(how, How::Equal | How::Join));
        let ranges = columns(&|how| how == How::Range);
        keys.extend(equal.iter().map(|c| (table.clone(), vec![c.clone()])));
        keys.extend(ranges.iter().map(|c| (table.clone(), vec![c.clone()])));
        equal.truncate(COLUMNS_MAX);
        if equal.len() > 1 {
            keys.push((table.clone(), equal.clone()));
        }
        for range in ranges.iter().filter(|r| !equal.is_empty() && !equal.contains(r)) {
            let mut both = equal[..equal.len().min(COLUMNS_MAX - 1)].to_vec();
            both.push(range.clone());
            keys.push((table.clone(), both));
        }
    }
    keys
}

fn candidate(
    engine: &str,
    table: &Table,
    columns: Vec<String>,
    rows_estimate: Option<i64>,
) -> Candidate {
    let name = ddl::default_name(table, &columns);
    Candidate {
        id: format!("{}({})", table.name, columns.join(",")),
        table: table.name.clone(),
        ddl: ddl::create_index(engine, table, &name, &columns, false),
        name,
        columns,
        cost_before: 0.0,
        cost_after: 0.0,
        rows_estimate,
        existing_indexes: table.indexes.len(),
        serves: vec![],
    }
}

fn objection(table: &Table, candidate: &Candidate, exclude: &[String]) -> Option<String> {
    if exclude.contains(&candidate.id) {
        return Some("excluded by the request".to_owned());
    }
    if let Some(index) = table.redundant_with(&candidate.columns, false) {
        return Some(format!("index {} begins with it", index.name));
    }
    if table.serves(&candidate.columns) {
        return Some("another index or the primary key begins with these columns".to_owned());
    }
    match candidate.rows_estimate {
        Some(rows) if rows < TABLE_ROWS_MIN => {
            Some(format!("{rows} rows; below {TABLE_ROWS_MIN} an index saves nothing"))
        }
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(id: &str, columns: usize) -> Candidate {
        Candidate {
            id: id.to_owned(),
            table: "t".to_owned(),
            columns: vec!["c".to_owned(); columns],
            name: String::new(),
            ddl: String::new(),
            cost_before: 0.0,
            cost_after: 0.0,
            rows_estimate: None,
            existing_indexes: 0,
            serves: vec![],
        }
    }

    /// What is kept of candidates with these costs, each for one statement that costs 100.
    fn judged(costs: &[(&str, usize, Option<f64>)]) -> Vec<String> {
        let candidates = costs.iter().map(|(id, columns, _)| plain(id, *columns)).collect();
        let after = costs.iter().map(|(_, _, cost)| vec![*cost]).collect();
        let rated = Rated { method: Method::Shadow, before: vec![Some(100.0)], after };
        judge(candidates, &rated, &[1.0]).0.into_iter().map(|c| c.id).collect()
    }

    #[test]
    fn keeps_what_pays_and_prefers_the_narrow() {
        assert_eq!(judged(&[("a", 1, Some(60.0)), ("b", 1, None)]), [] as [&str; 0]);
        assert_eq!(judged(&[("a", 1, Some(40.0)), ("b", 1, Some(5.0))]), ["b", "a"]);
        assert_eq!(judged(&[("wide", 2, Some(4.0)), ("narrow", 1, Some(5.0))]), ["narrow", "wide"]);
    }
}
