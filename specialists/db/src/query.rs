//! Which columns a statement filters and joins by.
//!
//! Pure, and a reader of clauses rather than of the grammar: what it does not understand it leaves
//! out. That is safe, because what it finds is only ever a *candidate* that the database's own
//! planner is asked about.

use crate::{
    schema::{Schema, Table},
    sql::{self, Token},
};

/// How a statement uses a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Compared with a value for equality.
    Equal,
    /// Compared with a value for order.
    Range,
    /// Compared with a column of another table.
    Join,
}

/// One use of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    /// Under which name the statement reads the table: a table may be read twice.
    pub(crate) alias: String,
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) how: How,
}

/// What was found in a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// `(alias, table)` of each table it reads or writes.
    pub(crate) tables: Vec<(String, String)>,
    pub(crate) uses: Vec<Use>,
}

impl Query {
    /// The columns of a table that are used, each once.
    pub(crate) fn columns(&self, table: &str) -> Vec<String> {
        let mut columns: Vec<String> = vec![];
        for found in self.uses.iter().filter(|found| found.table == table) {
            if !columns.contains(&found.column) {
                columns.push(found.column.clone());
            }
        }
        columns
    }

    /// The table behind a name that a plan mentions.
    pub(crate) fn table_of(&self, alias: &str) -> Option<&str> {
        let same = |name: &str| name.eq_ignore_ascii_case(alias);
        self.tables.iter().find(|(name, _)| same(name)).map(|(_, table)| table.as_str())
    }
}

/// Reads a statement against a schema.
pub(crate) fn read(statement: &str, schema: &Schema) -> Query {
    let tokens = sql::tokens(statement);
    let (scopes, marks) = scopes(&tokens, schema);
    let reader = Reader { tokens: &tokens, scopes: &scopes, marks: &marks };
    let mut query = Query::default();
    for scope in &scopes {
        query.tables.extend(scope.tables.iter().map(|(a, table)| (a.clone(), table.name.clone())));
    }
    for at in 0..tokens.len() {
        reader.comparison(at, &mut query.uses);
    }
    query
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    From,
    Filter,
    Other,
}

/// A `SELECT` (or the statement itself), with the tables of its own `FROM`.
struct Scope<'a> {
    parent: Option<usize>,
    tables: Vec<(String, &'a Table)>,
}

/// For each token, the clause and scope it stands in.
type Marks = Vec<(Clause, usize)>;

fn scopes<'a>(tokens: &[Token], schema: &'a Schema) -> (Vec<Scope<'a>>, Marks) {
    let mut scopes = vec![Scope { parent: None, tables: vec![] }];
    let mut marks = Vec::with_capacity(tokens.len());
    let mut outer = vec![];
    let mut now = (Clause::Other, 0);
    let mut expects_table = false;
    for (at, token) in tokens.iter().enumerate() {
        if token.is_symbol("(") {
            outer.push(now);
        } else if token.is_symbol(")") {
            now = outer.pop().unwrap_or((Clause::Other, 0));
        } else if token.is("select") {
            let nested = at > 0 && tokens[at - 1].is_symbol("(");
            let parent = if nested { Some(now.1) } else { scopes[now.1].parent };
            scopes.push(Scope { parent, tables: vec![] });
            now = (Clause::Other, scopes.len() - 1);
        } else if let Some(clause) = clause_of(tokens, at) {
            now.0 = clause;
        }
        marks.push(now);
        let may_name_table = now.0 == Clause::From && token.is_name() && !is_keyword(&token.text);
        if expects_table
            && may_name_table
            && let Some(found) = table_at(tokens, at, schema)
        {
            scopes[now.1].tables.push(found);
        }
        expects_table = now.0 == Clause::From && begins_table(token);
    }
    (scopes, marks)
}

fn clause_of(tokens: &[Token], at: usize) -> Option<Clause> {
    let token = &tokens[at];
    let follows = |word: &str| tokens.get(at + 1).is_some_and(|next| next.is(word));
    if token.kind != sql::Kind::Word {
        return None;
    }
    match token.text.as_str() {
        // `IS DISTINCT FROM` compares.
        "from" if at > 0 && tokens[at - 1].is("distinct") => None,
        "on" if follows("conflict") => Some(Clause::Other),
        // `FOR UPDATE` and `DO UPDATE` name no table.
        "update" if at > 0 && ["for", "do"].iter().any(|w| tokens[at - 1].is(w)) => {
            Some(Clause::Other)
        }
        "from" | "join" | "update" | "into" => Some(Clause::From),
        "where" | "on" | "having" | "using" => Some(Clause::Filter),
        "set" | "group" | "order" | "limit" | "offset" | "fetch" | "for" | "values"
        | "returning" | "window" | "union" | "intersect" | "except" => Some(Clause::Other),
        _ => None,
    }
}

fn begins_table(token: &Token) -> bool {
    let words = ["from", "join", "update", "into", "only", "lateral"];
    words.iter().any(|word| token.is(word)) || token.is_symbol(",") || token.is_symbol("(")
}

fn table_at<'a>(tokens: &[Token], at: usize, schema: &'a Schema) -> Option<(String, &'a Table)> {
    let mut name = tokens[at].text.clone();
    let mut next = at + 1;
    while tokens.get(next).is_some_and(|t| t.is_symbol(".")) {
        name = match (name.as_str(), &tokens.get(next + 1)?.text) {
            ("public" | "main", table) => table.clone(),
            (schema, table) => format!("{schema}.{table}"),
        };
        next += 2;
    }
    let table = schema.table(&name)?;
    if tokens.get(next).is_some_and(|t| t.is("as")) {
        next += 1;
    }
    let alias = tokens.get(next).filter(|t| t.is_name() && !is_keyword(&t.text));
    Some((alias.map_or(table.name.clone(), |t| t.text.clone()), table))
}

fn is_keyword(word: &str) -> bool {
    const WORDS: [&str; 32] = [
        "select",
        "from",
        "where",
        "join",
        "left",
        "right",
        "inner",
        "outer",
        "full",
        "cross",
        "natural",
        "on",
        "using",
        "set",
        "group",
        "order",
        "limit",
        "offset",
        "union",
        "values",
        "returning",
        "having",
        "for",
        "only",
        "lateral",
        "except",
        "intersect",
        "window",
        "fetch",
        "default",
        "indexed",
        "not",
    ];
    WORDS.contains(&word)
}

struct Reader<'a> {
    tokens: &'a [Token],
    scopes: &'a [Scope<'a>],
    marks: &'a Marks,
}

/// A column of one table of the statement.
struct Found<'a> {
    alias: &'a str,
    table: &'a Table,
    column: &'a str,
}

impl Found<'_> {
    fn used(&self, how: How) -> Use {
        Use {
            alias: self.alias.to_owned(),
            table: self.table.name.clone(),
            column: self.column.to_owned(),
            how,
        }
    }
}

impl Reader<'_> {
    /// Whatever the token at `at` compares, if it compares.
    fn comparison(&self, at: usize, uses: &mut Vec<Use>) {
        if self.marks[at].0 != Clause::Filter || at == 0 {
            return;
        }
        let token = &self.tokens[at];
        if token.is("using") {
            return self.using(at, uses);
        }
        let equal = token.is_symbol("=") || token.is_symbol("==") || token.is("in");
        let range =
            ["<", ">", "<=", ">="].iter().any(|s| token.is_symbol(s)) || token.is("between");
        if !equal && !range {
            return;
        }
        let value = if equal { How::Equal } else { How::Range };
        match (self.before(at), self.after(at)) {
            (Some(left), Some(right)) if left.alias != right.alias => {
                if equal {
                    uses.push(left.used(How::Join));
                    uses.push(right.used(How::Join));
                }
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(column), None) | (None, Some(column)) => uses.push(column.used(value)),
        }
    }

    /// `JOIN t USING (a, b)`: of each table that has them.
    fn using(&self, at: usize, uses: &mut Vec<Use>) {
        let names = self.tokens[at + 1..].iter().take_while(|t| !t.is_symbol(")"));
        for name in names.filter(|t| t.is_name()) {
            for (alias, table) in &self.scopes[self.marks[at].1].tables {
                if let Some(column) = table.column(&name.text) {
                    let found = Found { alias, table, column: &column.name };
                    uses.push(found.used(How::Join));
                }
            }
        }
    }

    /// The column that ends just before `at`.
    fn before(&self, at: usize) -> Option<Found<'_>> {
        let name = self.tokens.get(at.checked_sub(1)?)?;
        let (qualifier, first) = self.qualifier_before(at - 1);
        let lead = first.checked_sub(1).and_then(|lead| self.tokens.get(lead));
        let is_operand = lead.is_some_and(binds);
        if is_operand { None } else { self.resolve(name, qualifier, at) }
    }

    fn qualifier_before(&self, at: usize) -> (Option<&Token>, usize) {
        match at.checked_sub(2) {
            Some(first) if self.tokens[at - 1].is_symbol(".") => (Some(&self.tokens[first]), first),
            _ => (None, at),
        }
    }

    /// The column that begins just after `at`.
    fn after(&self, at: usize) -> Option<Found<'_>> {
        let first = self.tokens.get(at + 1)?;
        let dotted = self.tokens.get(at + 2).is_some_and(|t| t.is_symbol("."));
        let (name, qualifier, last) = if dotted {
            (self.tokens.get(at + 3)?, Some(first), at + 3)
        } else {
            (first, None, at + 1)
        };
        let next = self.tokens.get(last + 1);
        if next.is_some_and(|t| t.is_symbol("(") || binds(t)) {
            return None;
        }
        self.resolve(name, qualifier, at)
    }

    fn resolve(&self, name: &Token, qualifier: Option<&Token>, at: usize) -> Option<Found<'_>> {
        if !name.is_name() {
            return None;
        }
        let mut scope = Some(self.marks[at].1);
        while let Some(index) = scope {
            let tables = self.scopes[index].tables.iter();
            let mut found = tables
                .filter(|(alias, _)| qualifier.is_none_or(|q| alias.eq_ignore_ascii_case(&q.text)))
                .filter_map(|(alias, table)| {
                    let column = &table.column(&name.text)?.name;
                    Some(Found { alias, table, column })
                });
            if let Some(first) = found.next() {
                // Two tables have it: the statement does not say which, and so neither do we.
                return if found.next().is_none() { Some(first) } else { None };
            }
            scope = self.scopes[index].parent;
        }
        None
    }
}

/// Whether this symbol makes its neighbour part of a larger expression, that no plain index serves.
fn binds(token: &Token) -> bool {
    ["+", "-", "*", "/", "%", "||", "::", "->", "."].iter().any(|s| token.is_symbol(s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Column;

    fn schema() -> Schema {
        let table = |name: &str, columns: &[&str]| Table {
            name: name.to_owned(),
            schema: "public".to_owned(),
            sql_name: name.to_owned(),
            definition: String::new(),
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).to_owned(),
                    kind: "bigint".to_owned(),
                    nullable: true,
                    default: None,
                    details: String::new(),
                })
                .collect(),
            constraints: vec![],
            indexes: vec![],
        };
        let tables = vec![
            table("orders", &["id", "customer", "placed_at"]),
            table("order_line", &["id", "order_id", "product_id"]),
            table("Product", &["id", "Name"]),
        ];
        Schema { tables, objects: vec![] }
    }

    /// `sql` uses just these, each `alias.column` with `=`, `<` or `⋈`.
    fn check(sql: &str, expected: &[&str]) {
        let mut found: Vec<String> = read(sql, &schema())
            .uses
            .iter()
            .map(|found| {
                let how = match found.how {
                    How::Equal => '=',
                    How::Range => '<',
                    How::Join => '⋈',
                };
                format!("{}.{}{how}", found.alias, found.column)
            })
            .collect();
        found.sort();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn filters() {
        check(
            "SELECT id FROM order_line WHERE order_id = $1 ORDER BY id",
            &["order_line.order_id="],
        );
        check("SELECT 1 FROM orders WHERE ? = customer", &["orders.customer="]);
        check("SELECT 1 FROM orders WHERE placed_at BETWEEN ?1 AND ?2", &["orders.placed_at<"]);
        check("SELECT 1 FROM orders o WHERE o.id IN ($1, $2)", &["o.id="]);
        check("SELECT 1 FROM public.orders WHERE customer=:name", &["orders.customer="]);
        check("SELECT 1 FROM product WHERE \"Name\" = 'x'", &["Product.Name="]);
        check("DELETE FROM order_line WHERE product_id = 3", &["order_line.product_id="]);
        check("UPDATE orders SET customer = $1 WHERE id = $2", &["orders.id="]);
    }

    #[test]
    fn joins() {
        let both = ["l.order_id⋈", "o.id=", "o.id⋈"];
        check(
            "SELECT * FROM orders o LEFT JOIN order_line l ON l.order_id = o.id WHERE o.id = $1",
            &both,
        );
        check("SELECT 1 FROM orders o, order_line l WHERE l.order_id = o.id AND o.id = 1", &both);
        check("SELECT 1 FROM orders JOIN order_line USING (id)", &["order_line.id⋈", "orders.id⋈"]);
    }

    #[test]
    fn subqueries_have_names_of_their_own() {
        check(
            "SELECT 1 FROM orders WHERE id IN (SELECT order_id FROM order_line WHERE id = $1)",
            &["order_line.id=", "orders.id="],
        );
        check(
            "SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM order_line WHERE order_id = o.id)",
            &["o.id⋈", "order_line.order_id⋈"],
        );
    }

    #[test]
    fn leaves_out_what_no_plain_index_serves() {
        check("SELECT 1 FROM orders WHERE lower(customer) = $1", &[]);
        check("SELECT 1 FROM orders WHERE id + 1 = $1", &[]);
        check("SELECT 1 FROM orders WHERE customer::text = $1", &[]);
        check("SELECT 1 FROM orders, order_line WHERE id = $1", &[]);
        check(
            "INSERT INTO orders (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET customer = 1",
            &[],
        );
        check("SELECT id FROM orders WHERE id = $1 FOR UPDATE", &["orders.id="]);
    }
}
