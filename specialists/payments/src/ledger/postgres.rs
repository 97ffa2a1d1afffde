//! Books on a server that many write to at once.

use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls, Row, Transaction, error::SqlState};

use super::{Attempt, Audit, Balance, Entry, Fault, Kept, Posting};

/// Whoever makes the tables does it alone: `books` in ASCII.
const MAKING_LOCK: i64 = 0x62_6f6f_6b73;

/// A server with books.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(super) config: Box<Config>,
    pub(super) patience: Duration,
}

impl Server {
    pub(super) async fn post(&self, posting: &Posting) -> Result<(), Fault> {
        let mut client = self.connect().await?;
        let books = client.transaction().await?;
        make(&books).await?;
        if let Some(kept) = find(&books, &posting.key).await? {
            return super::agrees(&kept, posting);
        }
        match write(&books, posting).await {
            Ok(()) => {}
            // Somebody who was a moment faster.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                drop(books);
                let kept = find(&client.transaction().await?, &posting.key).await?;
                let taken = || Fault::Taken(posting.key.clone());
                return super::agrees(&kept.ok_or_else(taken)?, posting);
            }
            Err(error) => return Err(error.into()),
        }
        // The balance is looked at here, so that a refusal is told apart from a lost end.
        books.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?;
        books.commit().await.map_err(|error| Fault::Lost(error.to_string()))
    }

    pub(super) async fn find(&self, key: &str) -> Result<Option<Kept>, Fault> {
        let mut client = self.connect().await?;
        let books = client.transaction().await?;
        if is_there(&books).await? { Ok(find(&books, key).await?) } else { Ok(None) }
    }

    pub(super) async fn audit(&self, account: Option<&str>) -> Result<Option<Audit>, Fault> {
        let mut client = self.connect().await?;
        let mut books = client.transaction().await?;
        if !is_there(&books).await? {
            return Ok(None);
        }
        let mut audit = audit(&books, account).await?;
        audit.attempts = attempts(&mut books).await?;
        Ok(Some(audit))
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let mut config = self.config.clone();
        config.connect_timeout(self.patience);
        let unreachable = |error: tokio_postgres::Error| Fault::Unreachable(error.to_string());
        let (client, connection) = config.connect(NoTls).await.map_err(unreachable)?;
        // Ends with the client; what goes wrong comes back through the statement under way.
        tokio::spawn(connection);
        let patience = self.patience.as_millis();
        let settings = format!("SET lock_timeout = {patience}; SET statement_timeout = {patience}");
        client.batch_execute(&settings).await?;
        Ok(client)
    }
}

async fn is_there(books: &Transaction<'_>) -> Result<bool, tokio_postgres::Error> {
    // Read from the catalogue: what `to_regclass` remembers may be older than a lock just got.
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables \
         WHERE tablename = 'ledger_entry' AND schemaname = ANY (current_schemas(false)))";
    books.query_one(sql, &[]).await?.try_get(0)
}

async fn make(books: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    if is_there(books).await? {
        return Ok(());
    }
    books.execute("SELECT pg_advisory_xact_lock($1)", &[&MAKING_LOCK]).await?;
    if is_there(books).await? {
        return Ok(());
    }
    books.batch_execute(include_str!("postgres.sql")).await
}

async fn write(books: &Transaction<'_>, posting: &Posting) -> Result<(), tokio_postgres::Error> {
    for (n, entry) in posting.entries.iter().enumerate() {
        let Entry { account, currency, amount, reference } = entry;
        let line = super::line(n);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&posting.key, &line, account, currency, amount, reference];
        books.execute(super::WRITE_ENTRY, &values).await?;
    }
    let now = super::now_unix_s();
    books.execute(super::WRITE_POSTING, &[&posting.key, &posting.reverses, &now]).await?;
    Ok(())
}

async fn find(books: &Transaction<'_>, key: &str) -> Result<Option<Kept>, tokio_postgres::Error> {
    let Some(row) = books.query_opt(super::POSTING, &[&key]).await? else { return Ok(None) };
    let entries = books.query(super::OF_POSTING, &[&key]).await?;
    let entries = entries.iter().map(entry).collect::<Result<_, _>>()?;
    let posting = Posting { key: key.to_owned(), reverses: row.try_get(0)?, entries };
    Ok(Some(Kept { posting, reversed_by: row.try_get(1)? }))
}

async fn audit(
    books: &Transaction<'_>,
    account: Option<&str>,
) -> Result<Audit, tokio_postgres::Error> {
    let one = async |sql: &str| books.query_one(sql, &[]).await?.try_get::<_, i64>(0);
    let balance = |row: &Row| {
        let (account, currency, amount) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Balance { account, currency, amount })
    };
    let balances = books.query(super::BALANCES, &[&super::BALANCES_LISTED_MAX]).await?;
    let balances = balances.iter().map(balance).collect::<Result<_, tokio_postgres::Error>>()?;
    let most = super::ENTRIES_LISTED_MAX + 1;
    let entries = books.query(super::OF_ACCOUNT, &[&account.unwrap_or_default(), &most]).await?;
    let entries = entries.iter().map(entry).collect::<Result<_, _>>()?;
    let (postings, out_of_balance) =
        (one(super::POSTINGS).await?, one(super::OUT_OF_BALANCE).await?);
    let (halves, attempts) = (one(super::HALVES).await?, vec![]);
    Ok(Audit { postings, balances, out_of_balance, halves, entries, attempts })
}

/// Each from the same beginning: what was let happen is taken back before the next one.
async fn attempts(books: &mut Transaction<'_>) -> Result<Vec<Attempt>, Fault> {
    for sql in super::TRIAL {
        books.batch_execute(sql).await?;
    }
    let mut attempts = vec![];
    for (what, statements) in super::ATTEMPTS {
        let trial = books.transaction().await?;
        // The end of a transaction is asked for inside of it.
        let statements = format!("{}; SET CONSTRAINTS ALL IMMEDIATE", statements.join("; "));
        let refused = match trial.batch_execute(&statements).await {
            Ok(()) => false,
            // 23: a constraint says no. Anything else says nothing of the books.
            Err(error) if error.code().is_some_and(|code| code.code().starts_with("23")) => true,
            Err(error) => return Err(error.into()),
        };
        trial.rollback().await?;
        attempts.push(Attempt { what: what.to_owned(), refused });
    }
    Ok(attempts)
}

fn entry(row: &Row) -> Result<Entry, tokio_postgres::Error> {
    let (account, currency) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Entry { account, currency, amount: row.try_get(2)?, reference: row.try_get(3)? })
}

/// Before the commit nothing is there, whatever happens.
impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(cause) => Self::Refused(cause.message().to_owned()),
            None => Self::Refused(error.to_string()),
        }
    }
}
