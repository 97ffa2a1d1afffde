//! What an index would do for a statement: HypoPG's answer where the extension is installed in the
//! database, else arithmetic on the server's statistics. Never by making the index.

use std::collections::BTreeMap;

use super::{
    Postgres, Session, catalogue,
    explain::{self, Node, nodes, table_of},
};
use crate::{
    candidates::{Candidate, Method, Rated},
    database::Seen,
    fault::Fault,
    plan::Plan,
    sql,
};

/// Rows that share a key of a column that nobody has analysed: what the planner itself assumes is
/// 200 distinct values.
const DISTINCT_UNKNOWN: f64 = 200.0;

/// Pages of the index itself: like the planner, the leaf is counted and what is above it is taken
/// to be in memory.
const DESCENT_PAGES: f64 = 1.0;

/// The server's defaults: a page next to the one before, a page elsewhere, a row in hand.
const SEQUENTIAL_PAGE_COST: f64 = 1.0;
const RANDOM_PAGE_COST: f64 = 4.0;
const ROW_COST: f64 = 0.01;

impl Postgres {
    /// See [`crate::database::Database::see`].
    pub(crate) async fn see(&self) -> Result<Seen, Fault> {
        let session = self.look().await?;
        let schema = catalogue::schema(&session).await?;
        let rows = catalogue::rows(&session, &schema).await?;
        let version = catalogue::version(&session).await?;
        Ok(Seen { schema, rows, version })
    }

    /// See [`crate::database::Database::explain`].
    pub(crate) async fn explain(&self, statements: &[String]) -> Result<Vec<Plan>, Fault> {
        let session = self.look().await?;
        let schema = catalogue::schema(&session).await?;
        let rows = catalogue::rows(&session, &schema).await?;
        let mut plans = vec![];
        for statement in statements {
            plans.push(explain::plan(&session, statement, &schema, &rows).await?);
        }
        Ok(plans)
    }

    /// See [`crate::database::Database::rate`].
    pub(crate) async fn rate(
        &self,
        seen: &Seen,
        statements: &[String],
        candidates: &[Candidate],
    ) -> Result<Rated, Fault> {
        let session = self.look().await?;
        let mut roots = vec![];
        for statement in statements {
            roots.push(explain::root(&session, statement).await?.ok());
        }
        let before = roots.iter().map(|root| root.as_ref().and_then(cost)).collect();
        let hypothetical = hypopg(&session).await?;
        let mut after = vec![];
        for candidate in candidates {
            after.push(match &hypothetical {
                Some(schema) => with_hypopg(&session, schema, candidate, statements).await?,
                None => by_arithmetic(&session, seen, candidate, &roots).await?,
            });
        }
        let method = if hypothetical.is_some() { Method::Hypopg } else { Method::Heuristic };
        Ok(Rated { method, before, after })
    }
}

fn cost(root: &Node) -> Option<f64> {
    root["Total Cost"].as_f64()
}

/// The schema that HypoPG is installed in, quoted.
async fn hypopg(session: &Session) -> Result<Option<String>, Fault> {
    let installed = "SELECT extnamespace::regnamespace::text FROM pg_extension \
                     WHERE extname = 'hypopg'";
    let rows = session.rows("SELECT", installed, &[]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

async fn with_hypopg(
    session: &Session,
    schema: &str,
    candidate: &Candidate,
    statements: &[String],
) -> Result<Vec<Option<f64>>, Fault> {
    let ddl = candidate.ddl.replace(" CONCURRENTLY ", " ");
    let create = format!("SELECT indexname::text FROM {schema}.hypopg_create_index($1)");
    let name: String = session.one("SELECT", &create, &[&ddl]).await?;
    let mut costs = vec![];
    for statement in statements {
        let root = explain::root(session, statement).await?.ok();
        let used = |root: &Node| nodes(root).iter().any(|node| node["Index Name"] == name.as_str());
        costs.push(root.filter(used).and_then(|root| cost(&root)));
    }
    session.run("SELECT", &format!("SELECT {schema}.hypopg_reset()")).await?;
    Ok(costs)
}

async fn by_arithmetic(
    session: &Session,
    seen: &Seen,
    candidate: &Candidate,
    roots: &[Option<Node>],
) -> Result<Vec<Option<f64>>, Fault> {
    let distinct = distinct(session, seen, candidate).await?;
    let pages = pages(session, seen, candidate).await?;
    let estimate = |root: &Node| {
        let parents = parents(root);
        let scan = nodes(root).into_iter().find(|node| {
            node["Node Type"] == "Seq Scan"
                && table_of(node).as_deref() == Some(&candidate.table)
                && filters_by(node, &parents, &candidate.columns)
        })?;
        let (scan_cost, total) = (cost(scan)?, cost(root)?);
        let matching = rows(seen, &candidate.table) / distinct;
        let lookup = lookup_cost(matching, pages);
        let lookups = outer_rows(scan, &parents);
        let with_index = total - scan_cost + lookups * lookup;
        (lookups * lookup < scan_cost).then_some(with_index.max(0.0))
    };
    Ok(roots.iter().map(|root| root.as_ref().and_then(estimate)).collect())
}

/// What the planner expects of a bitmap scan (`cost_bitmap_heap_scan`): the more pages of the
/// table are read anyway, the closer together they are.
fn lookup_cost(matching: f64, pages: f64) -> f64 {
    let read = (2.0 * pages * matching / (2.0 * pages + matching)).clamp(1.0, pages);
    let closeness = (read / pages).sqrt();
    let page_cost = RANDOM_PAGE_COST - (RANDOM_PAGE_COST - SEQUENTIAL_PAGE_COST) * closeness;
    RANDOM_PAGE_COST * DESCENT_PAGES + read * page_cost + matching * ROW_COST
}

async fn pages(session: &Session, seen: &Seen, candidate: &Candidate) -> Result<f64, Fault> {
    let Some(table) = seen.schema.table(&candidate.table) else { return Ok(1.0) };
    let pages = "SELECT pg_relation_size(to_regclass($1))::float8 \
                 / current_setting('block_size')::float8";
    let pages: f64 = session.one("SELECT", pages, &[&table.sql_name]).await?;
    Ok(pages.max(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn rows(seen: &Seen, table: &str) -> f64 {
    seen.rows.get(table).copied().flatten().unwrap_or_default() as f64
}

/// How many different keys there are, from the server's own statistics.
async fn distinct(session: &Session, seen: &Seen, candidate: &Candidate) -> Result<f64, Fault> {
    let rows = rows(seen, &candidate.table).max(1.0);
    let Some(table) = seen.schema.table(&candidate.table) else { return Ok(DISTINCT_UNKNOWN) };
    let bare = table.name.rsplit('.').next().unwrap_or(&table.name);
    let statistics = "SELECT n_distinct::float8 FROM pg_stats WHERE schemaname = $1 \
                      AND tablename = $2 AND attname = $3";
    let mut product = 1.0;
    for column in &candidate.columns {
        let found = session.rows("SELECT", statistics, &[&table.schema, &bare, column]).await?;
        product *= match found.first().map(|row| row.get::<_, f64>(0)) {
            // Negative: a share of the rows.
            Some(share) if share < 0.0 => -share * rows,
            Some(count) if count > 0.0 => count,
            Some(_) | None => DISTINCT_UNKNOWN,
        };
    }
    Ok(product.clamp(1.0, rows))
}

type Parents<'a> = BTreeMap<*const Node, &'a Node>;

fn parents(root: &Node) -> Parents<'_> {
    let mut parents = BTreeMap::new();
    for node in nodes(root) {
        for child in node["Plans"].as_array().into_iter().flatten() {
            parents.insert(std::ptr::from_ref(child), node);
        }
    }
    parents
}

/// Whether a scan, or a join above it, compares one of these columns.
fn filters_by(scan: &Node, parents: &Parents<'_>, columns: &[String]) -> bool {
    let alias = scan["Alias"].as_str().unwrap_or_default();
    let mut node = scan;
    loop {
        for condition in ["Filter", "Join Filter", "Hash Cond", "Merge Cond"] {
            let text = node[condition].as_str().unwrap_or_default();
            if columns.iter().any(|column| mentions(text, alias, column)) {
                return true;
            }
        }
        match parents.get(&std::ptr::from_ref(node)) {
            Some(parent) => node = parent,
            None => return false,
        }
    }
}

fn mentions(condition: &str, alias: &str, column: &str) -> bool {
    let tokens = sql::tokens(condition);
    tokens
        .windows(3)
        .any(|three| three[0].text == alias && three[1].is_symbol(".") && three[2].text == column)
}

/// How often a lookup would be made: once for each row of the other side of the join, if any.
fn outer_rows(scan: &Node, parents: &Parents<'_>) -> f64 {
    let mut node = scan;
    while let Some(parent) = parents.get(&std::ptr::from_ref(node)) {
        let children = parent["Plans"].as_array().into_iter().flatten();
        let sibling = children.rev().find(|child| !std::ptr::eq(*child, node));
        if scan["Filter"].is_null()
            && let Some(rows) = sibling.and_then(|other| other["Plan Rows"].as_f64())
        {
            return rows.max(1.0);
        }
        node = parent;
    }
    1.0
}
