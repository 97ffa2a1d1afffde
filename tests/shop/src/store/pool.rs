//! A pool of sessions, small on purpose: a shop whose pool is too small is one of the slow paths
//! that it is here to show, so waiting for a session is measured.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Answer, Session, Statement, StoreError, Value};
use crate::config::{Config, Database};
use crate::visit::Visit;

/// Requests that may wait for a session at once; the next one is told 503. More would only be
/// told the same later.
const POOL_QUEUE_MAX: usize = 1_024;
/// Clients have given up by then.
const POOL_WAIT_MAX_S: u64 = 30;

/// The sessions that are not in use, and the right to one.
#[derive(Debug)]
pub(crate) struct Pool {
    database: Database,
    lock_timeout: Duration,
    size: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
    waiting: AtomicUsize,
}

/// The pool at this moment.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) size: usize,
    pub(crate) busy: usize,
    pub(crate) waiting: usize,
}

impl Pool {
    /// Opens every session, so that a database that is not there or holds no shop is noticed
    /// before the first request, and no request pays for connecting.
    pub(crate) async fn open(config: &Config) -> Result<Self, StoreError> {
        let mut idle = Vec::with_capacity(config.pool_size);
        for _ in 0..config.pool_size {
            idle.push(Session::open(&config.database, config.lock_timeout()).await?);
        }
        Ok(Self {
            database: config.database.clone(),
            lock_timeout: config.lock_timeout(),
            size: config.pool_size,
            permits: Arc::new(Semaphore::new(config.pool_size)),
            idle: Mutex::new(idle),
            waiting: AtomicUsize::new(0),
        })
    }

    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            size: self.size,
            busy: self.size.saturating_sub(self.permits.available_permits()),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// A session for the exclusive use of one visit; the wait is on the visit's account.
    pub(crate) async fn lease(self: &Arc<Self>, visit: &Visit) -> Result<Lease, StoreError> {
        let asked = Instant::now();
        let taken = self.take().await;
        visit.waited_for_pool(asked.elapsed());
        let (permit, session) = taken?;
        Ok(Lease {
            pool: Arc::clone(self),
            visit: visit.clone(),
            session: Some(session),
            in_transaction: false,
            _permit: permit,
        })
    }

    async fn take(&self) -> Result<(OwnedSemaphorePermit, Session), StoreError> {
        let permit = self.permit().await?;
        Ok((permit, self.session().await?))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _queued = Queued::join(&self.waiting)?;
        let acquire = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(Duration::from_secs(POOL_WAIT_MAX_S), acquire).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(StoreError::Exhausted("waited too long")),
        }
    }

    /// An idle session, or a new one in the place of one that broke.
    async fn session(&self) -> Result<Session, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(session) if session.is_usable() => Ok(session),
            Some(_) | None => Session::open(&self.database, self.lock_timeout).await,
        }
    }
}

/// A place in the queue, given up however the wait ends.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn join(waiting: &'a AtomicUsize) -> Result<Self, StoreError> {
        let queued = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= POOL_QUEUE_MAX {
            return Err(StoreError::Exhausted("the queue is full"));
        }
        Ok(queued)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session on loan to one visit. What is run on it is on the visit's account.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    visit: Visit,
    /// `None` only while dropping.
    session: Option<Session>,
    in_transaction: bool,
    /// Given back after the session, by the order of fields.
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Runs one statement.
    pub(crate) async fn run(
        &mut self,
        statement: Statement,
        with: &[Value],
    ) -> Result<Answer, StoreError> {
        let session = self.session.as_mut().ok_or(StoreError::Aborted)?;
        let begun = Instant::now();
        let answer = session.run(statement, with).await;
        self.visit.ran(statement, begun.elapsed(), answer.as_ref().ok());
        answer
    }

    /// Begins a transaction that will write. SQLite takes its one write lock at once, because a
    /// reader that becomes a writer later can be refused.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        let begin = match self.session {
            Some(Session::Sqlite(_)) => Statement::BeginImmediate,
            Some(Session::Postgres(_)) | None => Statement::Begin,
        };
        self.run(begin, &[]).await?;
        self.in_transaction = true;
        Ok(())
    }

    /// Begins a transaction in which nobody else can change this order. SQLite has no row locks:
    /// there it is the lock on the whole database.
    pub(crate) async fn begin_with_order_locked(&mut self, order: i64) -> Result<(), StoreError> {
        self.begin().await?;
        match self.session {
            Some(Session::Postgres(_)) => {
                self.run(Statement::LockOrder, &[Value::Int(order)]).await.map(drop)
            }
            Some(Session::Sqlite(_)) | None => Ok(()),
        }
    }

    /// Ends the transaction, if one was begun, as the work in it ended.
    pub(crate) async fn end<T, E: From<StoreError>>(
        &mut self,
        outcome: Result<T, E>,
    ) -> Result<T, E> {
        if !self.in_transaction {
            return outcome;
        }
        let end = if outcome.is_ok() { Statement::Commit } else { Statement::Rollback };
        let ended = self.run(end, &[]).await;
        self.in_transaction = ended.is_err();
        outcome.and_then(|value| ended.map(|_| value).map_err(E::from))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A session left inside a transaction is closed, which rolls it back.
        if let (false, Some(session)) = (self.in_transaction, self.session.take()) {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }
}
