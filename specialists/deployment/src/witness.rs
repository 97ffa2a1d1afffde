//! A customer of our own: asks through the proxy, one request after the other, for as long as a
//! change lasts, and remembers every answer that was none.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::Uri;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::health::Prober;

/// Between two requests: enough of them to notice a gap of a few milliseconds, too few to be load.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A witness at work; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Witness {
    seen: Arc<Mutex<Testimony>>,
    asking: JoinHandle<()>,
}

/// What it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Testimony {
    pub(crate) requests: u64,
    /// Of these: no answer, or one with a status of 500 and above.
    pub(crate) failed: u64,
    /// The first of them, in words.
    pub(crate) first_failure: Option<String>,
}

impl Witness {
    /// Begins to ask.
    pub(crate) fn start(url: Uri) -> Self {
        let seen = Arc::<Mutex<Testimony>>::default();
        let writing = seen.clone();
        let prober = Prober::new(url, ANSWER_WITHIN);
        let asking = tokio::spawn(async move {
            loop {
                let trouble = prober.no_answer().await;
                writing.lock().unwrap_or_else(PoisonError::into_inner).answer(trouble);
                tokio::time::sleep(ASK_EVERY).await;
            }
        });
        Self { seen, asking }
    }

    /// What it saw so far.
    pub(crate) fn testimony(&self) -> Testimony {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Testimony {
    /// With what another witness saw.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
    }

    fn answer(&mut self, trouble: Option<String>) {
        self.requests += 1;
        if let Some(trouble) = trouble {
            self.failed += 1;
            self.first_failure.get_or_insert(trouble);
        }
    }
}
