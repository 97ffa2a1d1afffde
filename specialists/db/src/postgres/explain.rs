//! What `EXPLAIN` says about a statement whose values are not known, in the words of [`Plan`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::Session;
use crate::{
    fault::{Fault, Reason},
    plan::{FullScan, Plan},
    query,
    schema::Schema,
};

/// Nesting of a plan that is still read; deeper ones do not occur outside of generated statements.
const PLAN_DEPTH_MAX: usize = 200;

/// A plan as PostgreSQL tells it: its root node.
pub(super) type Node = Value;

/// The plan of one statement, in a transaction that cannot write.
pub(super) async fn plan(
    session: &Session,
    statement: &str,
    schema: &Schema,
    rows: &BTreeMap<String, Option<i64>>,
) -> Result<Plan, Fault> {
    match root(session, statement).await? {
        Ok(root) => Ok(read(statement, &root, schema, rows)),
        Err(reason) => Ok(Plan::impossible(statement, reason)),
    }
}

/// The root of a statement's plan; or why PostgreSQL would not plan it. The transaction goes on
/// either way.
pub(super) async fn root(
    session: &Session,
    statement: &str,
) -> Result<Result<Node, String>, Fault> {
    session.run("SAVEPOINT", "SAVEPOINT deadelus_explain").await?;
    let result = explain(session, statement).await;
    let back = "ROLLBACK TO SAVEPOINT deadelus_explain; \
                RELEASE SAVEPOINT deadelus_explain; DEALLOCATE ALL";
    match result {
        Ok(root) => {
            session.run("ROLLBACK", back).await?;
            Ok(Ok(root))
        }
        Err(fault) if fault.reason() == Some(Reason::Statement) => {
            session.run("ROLLBACK", back).await?;
            Ok(Err(fault.to_string()))
        }
        Err(fault) => Err(fault),
    }
}

async fn explain(session: &Session, statement: &str) -> Result<Node, Fault> {
    // The protocol's own way to prepare takes exactly one statement, so that the text can stand in
    // PREPARE afterwards and bring no second one with it.
    let prepared = session.traced("PREPARE", session.client.prepare(statement)).await?;
    let values = vec!["NULL"; prepared.params().len()].join(", ");
    let values = if values.is_empty() { values } else { format!("({values})") };
    session
        .run(
            "PREPARE",
            &format!(
                "SET LOCAL plan_cache_mode = force_generic_plan; \
                 PREPARE deadelus_statement AS {statement}"
            ),
        )
        .await?;
    let explain = format!("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE deadelus_statement{values}");
    let answer = session.traced("EXPLAIN", session.client.simple_query(&explain)).await?;
    let mut text = String::new();
    for message in &answer {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            text.push_str(row.get(0).unwrap_or_default());
        }
    }
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(document[0]["Plan"].clone())
}

fn read(
    statement: &str,
    root: &Node,
    schema: &Schema,
    rows: &BTreeMap<String, Option<i64>>,
) -> Plan {
    let query = query::read(statement, schema);
    let mut full_scans: Vec<FullScan> = vec![];
    let mut indexes: Vec<String> = vec![];
    for node in nodes(root) {
        if let Some(index) = node["Index Name"].as_str()
            && !indexes.iter().any(|known| known == index)
        {
            indexes.push(index.to_owned());
        }
        if node["Node Type"] == "Seq Scan"
            && let Some(table) = table_of(node)
            && !full_scans.iter().any(|scan| scan.table == table)
        {
            let columns = query.columns(&table);
            let rows_estimate = rows.get(&table).copied().flatten();
            full_scans.push(FullScan { table, columns, rows_estimate });
        }
    }
    Plan {
        statement: statement.to_owned(),
        explainable: true,
        reason: None,
        cost: root["Total Cost"].as_f64(),
        full_scans,
        indexes,
    }
}

/// The table that a node reads, as [`Schema`] names it.
pub(super) fn table_of(node: &Node) -> Option<String> {
    let relation = node["Relation Name"].as_str()?;
    Some(match node["Schema"].as_str() {
        None | Some("public") => relation.to_owned(),
        Some(schema) => format!("{schema}.{relation}"),
    })
}

/// A node and everything below it.
pub(super) fn nodes(root: &Node) -> Vec<&Node> {
    let mut found = vec![];
    let mut open = vec![(root, 0)];
    while let Some((node, depth)) = open.pop() {
        found.push(node);
        if depth < PLAN_DEPTH_MAX {
            let children = node["Plans"].as_array().into_iter().flatten();
            open.extend(children.map(|child| (child, depth + 1)));
        }
    }
    found
}
