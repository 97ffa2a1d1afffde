//! PostgreSQL: each session prepares a statement once. What statements cost inside the server is
//! in `pg_stat_statements`, for others to read.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls};

use super::{Answer, Row, Statement, StoreError, Value};

/// A server that does not answer the call in this time is not there.
const CONNECT_TIMEOUT_S: u64 = 5;

/// One connection with its prepared statements, at most one for each [`Statement`].
pub(crate) struct Session {
    client: Client,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("prepared", &self.prepared.len()).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) async fn open(server: &Config, lock_timeout: Duration) -> Result<Self, StoreError> {
        let mut server = server.clone();
        let options = server.get_options().unwrap_or_default();
        let options = format!("{options} -c lock_timeout={}", lock_timeout.as_millis());
        server
            .application_name("deadelus-shop")
            .options(options)
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_S));
        let client = connect(&server).await.map_err(StoreError::Postgres)?;
        let mut session = Self { client, prepared: HashMap::new() };
        session.prepare(Statement::OrderJoined).await.map_err(|e| StoreError::NoShop {
            database: format!("database {}", server.get_dbname().unwrap_or("of the user")),
            reason: e.as_db_error().map_or_else(|| e.to_string(), |e| e.message().to_owned()),
        })?;
        Ok(session)
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.client.is_closed()
    }

    pub(crate) async fn run(
        &mut self,
        statement: Statement,
        with: &[Value],
    ) -> Result<Answer, StoreError> {
        let prepared = self.prepare(statement).await.map_err(classify)?;
        let with: Vec<&(dyn ToSql + Sync)> = with.iter().map(Value::as_sql).collect();
        if prepared.columns().is_empty() {
            let count = self.client.execute(&prepared, &with).await.map_err(classify)?;
            return Ok(Answer { rows: Vec::new(), count, effort: None });
        }
        let rows = self.client.query(&prepared, &with).await.map_err(classify)?;
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Answer { count: rows.len() as u64, rows, effort: None })
    }

    async fn prepare(
        &mut self,
        statement: Statement,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        if let Some(prepared) = self.prepared.get(statement.text()) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(statement.text()).await?;
        self.prepared.insert(statement.text(), prepared.clone());
        Ok(prepared)
    }
}

/// Connects; the task that drives the connection ends with the client.
pub(crate) async fn connect(server: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = server.connect(NoTls).await?;
    // An error of the connection reaches whoever uses the client next.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

fn read(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let column = |(place, column): (usize, &tokio_postgres::Column)| match *column.type_() {
        Type::INT8 => row
            .try_get::<_, Option<i64>>(place)
            .map(|value| value.map_or(Value::Null, Value::Int))
            .map_err(StoreError::Postgres),
        Type::TEXT => row
            .try_get::<_, Option<String>>(place)
            .map(|value| value.map_or(Value::Null, Value::Text))
            .map_err(StoreError::Postgres),
        ref other => Err(StoreError::Shape(format!("{} is of type {other}", column.name()))),
    };
    row.columns().iter().enumerate().map(column).collect::<Result<_, _>>().map(Row)
}

fn classify(error: tokio_postgres::Error) -> StoreError {
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        StoreError::Locked
    } else {
        StoreError::Postgres(error)
    }
}

impl Value {
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Null => &Nothing,
            Self::Int(value) => value,
            Self::Text(value) => value,
        }
    }
}

/// NULL in a column of any type.
#[derive(Debug)]
struct Nothing;

impl ToSql for Nothing {
    fn to_sql(
        &self,
        _: &Type,
        _: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
