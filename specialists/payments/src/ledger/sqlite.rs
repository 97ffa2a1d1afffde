//! Books in a file: one writer, and every posting in one transaction.

use std::{path::PathBuf, time::Duration};

use deadelus_runtime::blocking;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, params};

use super::{Attempt, Audit, Balance, Entry, Fault, Kept, Posting};

/// A file of books.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(super) path: PathBuf,
    pub(super) patience: Duration,
}

impl File {
    pub(super) async fn post(&self, posting: Posting) -> Result<(), Fault> {
        self.within(OpenFlags::SQLITE_OPEN_CREATE, move |books| {
            if !is_there(books)? {
                books.execute_batch(include_str!("sqlite.sql"))?;
            }
            if let Some(kept) = find(books, &posting.key)? {
                return super::agrees(&kept, &posting);
            }
            write(books, &posting)?;
            Ok(books.execute_batch("COMMIT")?)
        })
        .await
    }

    pub(super) async fn find(&self, key: String) -> Result<Option<Kept>, Fault> {
        if !self.path.exists() {
            return Ok(None);
        }
        self.within(OpenFlags::empty(), move |books| {
            if is_there(books)? { Ok(find(books, &key)?) } else { Ok(None) }
        })
        .await
    }

    pub(super) async fn audit(&self, account: Option<String>) -> Result<Option<Audit>, Fault> {
        if !self.path.exists() {
            return Ok(None);
        }
        self.within(OpenFlags::empty(), move |books| {
            if !is_there(books)? {
                return Ok(None);
            }
            let mut audit = audit(books, account.as_deref())?;
            audit.attempts = attempts(books)?;
            Ok(Some(audit))
        })
        .await
    }

    /// One transaction; what `work` does not commit is taken back when the connection goes.
    async fn within<T: Send + 'static>(
        &self,
        more: OpenFlags,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let File { path, patience } = self.clone();
        blocking(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
            let books = Connection::open_with_flags(path, flags)?;
            books.busy_timeout(patience)?;
            books.execute_batch("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE")?;
            work(&books)
        })
        .await
    }
}

fn is_there(books: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'ledger_entry'";
    books.query_row(sql, [], |row| row.get(0))
}

fn write(books: &Connection, posting: &Posting) -> rusqlite::Result<()> {
    for (n, entry) in posting.entries.iter().enumerate() {
        let Entry { account, currency, amount, reference } = entry;
        let values = params![posting.key, super::line(n), account, currency, amount, reference];
        books.execute(super::WRITE_ENTRY, values)?;
    }
    let values = params![posting.key, posting.reverses, super::now_unix_s()];
    books.execute(super::WRITE_POSTING, values)?;
    Ok(())
}

fn find(books: &Connection, key: &str) -> rusqlite::Result<Option<Kept>> {
    let found =
        books.query_row(super::POSTING, [key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((reverses, reversed_by)) = found else { return Ok(None) };
    let mut statement = books.prepare(super::OF_POSTING)?;
    let entries = statement.query_map([key], entry)?.collect::<Result<_, _>>()?;
    let posting = Posting { key: key.to_owned(), reverses, entries };
    Ok(Some(Kept { posting, reversed_by }))
}

fn audit(books: &Connection, account: Option<&str>) -> rusqlite::Result<Audit> {
    let one = |sql: &str| books.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut statement = books.prepare(super::BALANCES)?;
    let balance = |row: &Row<'_>| {
        let (account, currency, amount) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Balance { account, currency, amount })
    };
    let balances = statement.query_map([super::BALANCES_LISTED_MAX], balance)?;
    let balances = balances.collect::<Result<_, _>>()?;
    let mut statement = books.prepare(super::OF_ACCOUNT)?;
    let of = params![account.unwrap_or_default(), super::ENTRIES_LISTED_MAX + 1];
    let entries = statement.query_map(of, entry)?.collect::<Result<_, _>>()?;
    let (postings, out_of_balance) = (one(super::POSTINGS)?, one(super::OUT_OF_BALANCE)?);
    let (halves, attempts) = (one(super::HALVES)?, vec![]);
    Ok(Audit { postings, balances, out_of_balance, halves, entries, attempts })
}

/// Each from the same beginning: what was let happen is taken back before the next one.
fn attempts(books: &Connection) -> Result<Vec<Attempt>, Fault> {
    super::TRIAL.iter().try_for_each(|sql| books.execute_batch(sql))?;
    let mut attempts = vec![];
    for (what, statements) in super::ATTEMPTS {
        books.execute_batch("SAVEPOINT attempt")?;
        let tried = statements.iter().try_for_each(|sql| books.execute_batch(sql));
        let refused = match tried {
            Ok(()) => false,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => true,
            Err(error) => return Err(error.into()),
        };
        attempts.push(Attempt { what: what.to_owned(), refused });
        books.execute_batch("ROLLBACK TO attempt; RELEASE attempt")?;
    }
    Ok(attempts)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (account, currency) = (row.get(0)?, row.get(1)?);
    Ok(Entry { account, currency, amount: row.get(2)?, reference: row.get(3)? })
}

/// Whatever a file says, nothing of the transaction is in it: a commit that fails is none.
impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase | ErrorCode::ReadOnly) => {
                Self::Unreachable(error.to_string())
            }
            Some(_) | None => Self::Refused(error.to_string()),
        }
    }
}
