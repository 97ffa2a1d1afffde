//! Books of our own: postings whose entries are in balance, in a database that refuses to change or
//! forget them. What is wrong is put right by a posting that says the opposite; nothing here deletes.

mod location;
mod postgres;
mod sqlite;
#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

use deadelus_runtime::{ErrorClass, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::location::Location;

/// One line of a posting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whose it is: `receivable`, `revenue`.
    pub account: String,
    /// ISO 4217, in small letters.
    pub currency: String,
    /// In the currency's smallest unit; what comes is positive, what goes negative, nothing is zero.
    pub amount: i64,
    /// What it is about, the provider's id of a payment as a rule.
    #[serde(default)]
    pub reference: String,
}

/// Entries that are written together, under a key that is written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) key: String,
    /// The key of the posting that this one says the opposite of.
    pub(crate) reverses: Option<String>,
    pub(crate) entries: Vec<Entry>,
}

impl Posting {
    /// What puts this one right.
    pub(crate) fn reversal(&self) -> Self {
        let opposite = |entry: &Entry| Entry { amount: -entry.amount, ..entry.clone() };
        Self {
            key: format!("{}.reversed", self.key),
            reverses: Some(self.key.clone()),
            entries: self.entries.iter().map(opposite).collect(),
        }
    }
}

/// A posting as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) posting: Posting,
    /// The key of the posting that says its opposite.
    pub(crate) reversed_by: Option<String>,
}

/// All of the books, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) postings: i64,
    pub(crate) balances: Vec<Balance>,
    /// Postings and currencies whose entries do not add up to nothing.
    pub(crate) out_of_balance: i64,
    /// Entries without a posting, and postings without entries.
    pub(crate) halves: i64,
    /// The entries of the account that was asked for.
    pub(crate) entries: Vec<Entry>,
    /// What was tried to break the books, and whether they let it happen.
    pub(crate) attempts: Vec<Attempt>,
}

/// What an account has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Balance {
    /// Whose it is.
    pub account: String,
    /// ISO 4217, in small letters.
    pub currency: String,
    /// In the currency's smallest unit.
    pub amount: i64,
}

/// A try to break the books, taken back whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attempt {
    /// In words.
    pub what: String,
    /// Whether the books said no, as they must.
    pub refused: bool,
}

/// More accounts than this are not shown one by one in a report; all of them count.
const BALANCES_LISTED_MAX: i64 = 500;
/// Lines of one account that one task takes: some 100 KiB of outputs.
pub(crate) const ENTRIES_LISTED_MAX: i64 = 1_000;

/// The posting that is tried to be broken: of no currency, and never kept.
const TRIAL: [&str; 3] = [
    "INSERT INTO ledger_entry VALUES ('deadelus-trial', 0, 'trial', 'xxx', 1, '')",
    "INSERT INTO ledger_entry VALUES ('deadelus-trial', 1, 'trial', 'xxx', -1, '')",
    "INSERT INTO ledger_posting VALUES ('deadelus-trial', NULL, 0)",
];

/// What nobody may do: in words, and as statements of which the last must be refused.
const ATTEMPTS: [(&str, &[&str]); 6] = [
    (
        "an amount is changed",
        &["UPDATE ledger_entry SET amount = amount * 2 WHERE posting = 'deadelus-trial'"],
    ),
    ("an entry is deleted", &["DELETE FROM ledger_entry WHERE posting = 'deadelus-trial'"]),
    (
        "a posting is changed",
        &["UPDATE ledger_posting SET posted_unix_s = 1 WHERE key = 'deadelus-trial'"],
    ),
    ("a posting is deleted", &["DELETE FROM ledger_posting WHERE key = 'deadelus-trial'"]),
    (
        "an entry is added to a posting that is written",
        &["INSERT INTO ledger_entry VALUES ('deadelus-trial', 2, 'trial', 'xxx', 1, '')"],
    ),
    (
        "entries are out of balance",
        &[
            "INSERT INTO ledger_entry VALUES ('deadelus-trial-2', 0, 'trial', 'xxx', 1, '')",
            "INSERT INTO ledger_posting VALUES ('deadelus-trial-2', NULL, 0)",
        ],
    ),
];

/// The same on both: `$1` is a parameter everywhere.
const BALANCES: &str = "SELECT account, currency, CAST(sum(amount) AS bigint) FROM ledger_entry \
     GROUP BY account, currency ORDER BY account, currency LIMIT $1";
const OUT_OF_BALANCE: &str = "SELECT count(*) FROM (SELECT posting FROM ledger_entry \
     GROUP BY posting, currency HAVING sum(amount) <> 0) AS wrong";
const HALVES: &str = "SELECT \
     (SELECT count(*) FROM ledger_entry e WHERE NOT EXISTS \
      (SELECT 1 FROM ledger_posting p WHERE p.key = e.posting)) + \
     (SELECT count(*) FROM ledger_posting p WHERE NOT EXISTS \
      (SELECT 1 FROM ledger_entry e WHERE e.posting = p.key))";
const POSTINGS: &str = "SELECT count(*) FROM ledger_posting";
const OF_ACCOUNT: &str = "SELECT account, currency, amount, reference FROM ledger_entry \
     WHERE account = $1 ORDER BY posting, line LIMIT $2";
const OF_POSTING: &str = "SELECT account, currency, amount, reference FROM ledger_entry \
     WHERE posting = $1 ORDER BY line";
const POSTING: &str = "SELECT reverses, \
     (SELECT r.key FROM ledger_posting r WHERE r.reverses = p.key) \
     FROM ledger_posting p WHERE p.key = $1";
const WRITE_ENTRY: &str = "INSERT INTO ledger_entry \
     (posting, line, account, currency, amount, reference) VALUES ($1, $2, $3, $4, $5, $6)";
const WRITE_POSTING: &str =
    "INSERT INTO ledger_posting (key, reverses, posted_unix_s) VALUES ($1, $2, $3)";

/// What goes wrong between us and the books.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Nobody is there: nothing was done.
    #[error("cannot open the books: {0}")]
    Unreachable(String),
    /// They said no, and nothing of it is there.
    #[error("the books refused: {0}")]
    Refused(String),
    /// Contact went while it was done: it is there or not.
    #[error("contact with the books was lost: {0}")]
    Lost(String),
    /// The key has another meaning already.
    #[error("{0} is posted already, and says something else")]
    Taken(String),
}

impl Fault {
    /// The failure of whoever wrote or looked: what is refused is taken back whole.
    pub(crate) fn failure(&self, doing: &str) -> Failure {
        let (class, help) = match self {
            Self::Unreachable(_) => {
                (ErrorClass::Unavailable, "is it running, and is the target's `ledger` right?")
            }
            Self::Refused(_) => (ErrorClass::Unavailable, "nothing was written; try again"),
            Self::Lost(_) => {
                (ErrorClass::UnknownOutcome, "the books are looked at before the next try")
            }
            Self::Taken(_) => (ErrorClass::Conflict, "submit it as a new workflow"),
        };
        Failure::new(class, format!("{doing}: {self}")).help(help)
    }
}

/// Where the postings are.
#[derive(Debug, Clone)]
pub(crate) enum Books {
    Sqlite(sqlite::File),
    Postgres(postgres::Server),
}

impl Books {
    /// `patience` is for a server to answer and for others to let go of a lock.
    pub(crate) fn at(location: Location, patience: Duration) -> Self {
        match location {
            Location::Sqlite(path) => Self::Sqlite(sqlite::File { path, patience }),
            Location::Postgres(config) => Self::Postgres(postgres::Server { config, patience }),
        }
    }

    /// Writes it, whole or not at all, unless it is there; makes the tables where there are none.
    pub(crate) async fn post(&self, posting: &Posting) -> Result<(), Fault> {
        match self {
            Self::Sqlite(file) => file.post(posting.clone()).await,
            Self::Postgres(server) => server.post(posting).await,
        }
    }

    /// The posting of this key.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<Kept>, Fault> {
        match self {
            Self::Sqlite(file) => file.find(key.to_owned()).await,
            Self::Postgres(server) => server.find(key).await,
        }
    }

    /// Adds everything up and tries to break it, all in a transaction that is taken back; none where
    /// there are no books.
    pub(crate) async fn audit(&self, account: Option<&str>) -> Result<Option<Audit>, Fault> {
        match self {
            Self::Sqlite(file) => file.audit(account.map(str::to_owned)).await,
            Self::Postgres(server) => server.audit(account).await,
        }
    }
}

/// Whether what is there is what is wanted.
fn agrees(kept: &Kept, wanted: &Posting) -> Result<(), Fault> {
    if kept.posting == *wanted { Ok(()) } else { Err(Fault::Taken(wanted.key.clone())) }
}

fn line(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn now_unix_s() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}
