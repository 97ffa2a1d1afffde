//! What a database is made of, and the fingerprint that says whether two of them are the same.
//!
//! Pure: a value that both engines fill and every capability reads. It never holds a row of data,
//! an owner, a statistic, or anything of the table in which Deadelus keeps its own history.

use deadelus_runtime::fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A database's catalogue, in an order that depends on nothing but the names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schema {
    /// Tables, and materialised views, which hold rows as well.
    pub tables: Vec<Table>,
    /// Everything else: views, triggers, sequences, enums, functions …
    pub objects: Vec<Object>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// `order_line`; `billing.invoice` outside of the schema `public`.
    pub name: String,
    /// `public`, `billing`; `main` on SQLite.
    pub schema: String,
    /// The name quoted for SQL, with the schema.
    pub sql_name: String,
    /// What has no place below: storage options, partitioning, comments, grants; the whole
    /// canonical text on SQLite.
    pub definition: String,
    /// In the order of the table.
    pub columns: Vec<Column>,
    /// By name.
    pub constraints: Vec<Constraint>,
    /// By name.
    pub indexes: Vec<Index>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// As the catalogue spells it.
    pub name: String,
    /// As the engine spells it: `character varying(80)`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// The expression, when there is one.
    pub default: Option<String>,
    /// Identity, generation expression, collation, comment; empty for an ordinary column.
    pub details: String,
}

/// What a constraint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintKind {
    /// At most one per table.
    PrimaryKey,
    /// No two rows alike.
    Unique,
    /// A row of another table must exist.
    ForeignKey,
    /// An expression must not be false.
    Check,
    /// An exclusion constraint, or a trigger that calls itself one.
    Other,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Constraint {
    /// Empty where the engine gives it none.
    pub name: String,
    /// What it is.
    pub kind: ConstraintKind,
    /// On which columns, in the order of the key.
    pub columns: Vec<String>,
    /// The table a foreign key points to.
    pub references: Option<String>,
    /// In the words of the engine.
    pub definition: String,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Index {
    /// `order_line_order_id_idx`
    pub name: String,
    /// The same, quoted for SQL and with its schema.
    pub sql_name: String,
    /// The keys in order; an expression stands in parentheses.
    pub columns: Vec<String>,
    /// Whether no two rows may be alike.
    pub unique: bool,
    /// Whether it covers some rows only.
    pub partial: bool,
    /// False for what a failed concurrent build left behind: it costs writes and serves nobody.
    pub valid: bool,
    /// `btree`
    pub method: String,
    /// The constraint it carries.
    pub constraint: Option<String>,
    /// The statement that makes it again; empty for what a constraint makes.
    pub definition: String,
}

/// Anything that is not a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    /// `view`, `trigger`, `sequence`, `enum`, `function` …
    pub kind: String,
    /// With its schema outside of `public`.
    pub name: String,
    /// The table it belongs to and goes with.
    pub table: Option<String>,
    /// In the words of the engine.
    pub definition: String,
}

impl Schema {
    /// SHA-256 of the canonical catalogue, in hexadecimal. Equal for equal schemas, and for those
    /// only: the order of columns and the validity of indexes count, rows do not.
    pub fn fingerprint(&self) -> String {
        let catalogue = serde_json::json!({ "tables": self.tables, "objects": self.objects });
        fingerprint(&catalogue).to_string()
    }

    /// The table of this name; exactly, or else without regard to case if only one is meant.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name).or_else(|| {
            let mut alike = self.tables.iter().filter(|t| t.name.eq_ignore_ascii_case(name));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// The index of this name, with its table.
    pub fn index(&self, name: &str) -> Option<(&Table, &Index)> {
        self.tables.iter().find_map(|table| {
            table.indexes.iter().find(|index| index.name == name).map(|index| (table, index))
        })
    }

    /// What the schema would be without an index.
    #[must_use]
    pub fn without_index(mut self, name: &str) -> Self {
        for table in &mut self.tables {
            table.indexes.retain(|index| index.name != name);
        }
        self
    }

    /// What the schema would be without some tables and what goes with them.
    #[must_use]
    pub fn without_tables(mut self, names: &[String]) -> Self {
        self.tables.retain(|table| !names.contains(&table.name));
        self.objects
            .retain(|object| object.table.as_ref().is_none_or(|table| !names.contains(table)));
        self
    }

    /// Foreign keys whose columns no index begins with: deleting or joining by them reads the
    /// whole table.
    pub fn unindexed_foreign_keys(&self) -> Vec<(&Table, &Constraint)> {
        let keys = self.tables.iter().flat_map(|table| {
            table
                .constraints
                .iter()
                .filter(|c| c.kind == ConstraintKind::ForeignKey)
                .map(move |key| (table, key))
        });
        keys.filter(|(table, key)| !table.serves(&key.columns)).collect()
    }
}

impl Table {
    /// The column of this name; exactly, or else without regard to case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|c| c.name == name)
            .or_else(|| self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)))
    }

    /// Whether some index, or the primary key, begins with just these columns in any order.
    pub fn serves(&self, columns: &[String]) -> bool {
        let begins = |key: &[String]| {
            key.len() >= columns.len()
                && key[..columns.len()].iter().all(|column| columns.contains(column))
        };
        self.indexes.iter().any(|index| index.is_plain() && begins(&index.columns))
            || self
                .constraints
                .iter()
                .any(|c| c.kind == ConstraintKind::PrimaryKey && begins(&c.columns))
    }

    /// The index that makes another one on these columns, in this order, superfluous: it begins
    /// with them, and is unique on just them if that is wanted.
    pub fn redundant_with(&self, columns: &[String], unique: bool) -> Option<&Index> {
        self.indexes.iter().find(|index| {
            index.is_plain()
                && index.columns.starts_with(columns)
                && (!unique || (index.unique && index.columns.len() == columns.len()))
        })
    }
}

impl Index {
    /// Whether it may serve any query that its first columns fit.
    pub fn is_plain(&self) -> bool {
        self.valid && !self.partial && self.method == "btree"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, columns: &[&str]) -> Index {
        Index {
            name: name.to_owned(),
            sql_name: name.to_owned(),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            unique: false,
            partial: false,
            valid: true,
            method: "btree".to_owned(),
            constraint: None,
            definition: String::new(),
        }
    }

    fn table(indexes: Vec<Index>) -> Table {
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: "bigint".to_owned(),
            nullable: true,
            default: None,
            details: String::new(),
        };
        Table {
            name: "t".to_owned(),
            schema: "public".to_owned(),
            sql_name: "t".to_owned(),
            definition: String::new(),
            columns: vec![column("a"), column("b")],
            constraints: vec![],
            indexes,
        }
    }

    #[test]
    fn the_order_of_columns_and_the_validity_of_indexes_count() {
        let schema = Schema { tables: vec![table(vec![index("i", &["a"])])], objects: vec![] };
        let mut moved = schema.clone();
        moved.tables[0].columns.reverse();
        let mut broken = schema.clone();
        broken.tables[0].indexes[0].valid = false;
        assert_ne!(moved.fingerprint(), schema.fingerprint());
        assert_ne!(broken.fingerprint(), schema.fingerprint());
        assert_eq!(schema.clone().fingerprint(), schema.fingerprint());
    }

    #[test]
    fn a_prefix_is_redundant_and_a_reversal_is_not() {
        let names = |list: &[&str]| list.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let t = table(vec![index("ab", &["a", "b"])]);
        assert!(t.redundant_with(&names(&["a"]), false).is_some());
        assert!(t.redundant_with(&names(&["a", "b"]), false).is_some());
        assert!(t.redundant_with(&names(&["b", "a"]), false).is_none());
        assert!(t.redundant_with(&names(&["a", "b"]), true).is_none());
        assert!(t.serves(&names(&["b", "a"])), "a foreign key has no order");
        let mut invalid = index("ab", &["a", "b"]);
        invalid.valid = false;
        assert!(table(vec![invalid]).redundant_with(&names(&["a"]), false).is_none());
    }
}
