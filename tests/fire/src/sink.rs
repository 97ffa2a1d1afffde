//! The specialist `sink`: it makes effects and removes them, and takes its time over it, so that an
//! accident may meet it anywhere.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use deadelus_proto::TargetName;
use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, ReadCapability, Specialist, TargetCard, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::book::Book;

/// The one target there is.
pub const TARGET: &str = "book";

/// Longer than a worker's death, a server's and a leader's after each other.
const TASK_TIMEOUT: Duration = Duration::from_secs(120);

/// One in so many tries finds the book closed, before anything is touched.
const CLOSED_ONE_IN: u32 = 50;

/// A target's table in the configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The book's file.
    path: PathBuf,
}

/// What is asked of all three.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Of the effect.
    key: String,
    /// How long it takes, half of it before the effect.
    #[serde(default)]
    millis: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Seen {
    there: bool,
}

/// Makes an effect where `there`, and removes it otherwise.
struct Change {
    book: PathBuf,
    there: bool,
}

struct Refuse;

/// The specialist, from its configuration.
///
/// # Errors
/// When it is not told which book.
pub fn build(targets: BTreeMap<TargetName, Place>) -> anyhow::Result<Specialist> {
    let (name, place) = targets
        .into_iter()
        .find(|(name, _)| name.as_str() == TARGET)
        .ok_or_else(|| anyhow::anyhow!("no [targets.{TARGET}]"))?;
    let specialist = Specialist::new("sink", env!("CARGO_PKG_VERSION"))
        .change(Change { book: place.path.clone(), there: true })
        .change(Change { book: place.path, there: false })
        .read(Refuse);
    Ok(specialist.target(TargetCard { name, facts: BTreeMap::new() }))
}

impl ChangeCapability for Change {
    type Inputs = Wanted;
    type Outputs = Seen;
    type Before = ();

    fn about(&self) -> About {
        let make = About {
            verb: "make",
            role: "Under fire",
            summary: "Makes an effect",
            effect: Effect::Reversible,
            idempotency: Idempotency::Keyed,
            checks: &[("there", "the effect is there")],
            undo: Some(UndoPromise { verb: "remove", class: UndoClass::Exact }),
            timeout: TASK_TIMEOUT,
            locks: &[],
        };
        if self.there {
            return make;
        }
        About {
            verb: "remove",
            summary: "Removes an effect",
            checks: &[("gone", "the effect is not there")],
            undo: None,
            ..make
        }
    }

    async fn prepare(&self, _: &Context, wanted: &Wanted) -> Result<Prepared<()>, Failure> {
        if !self.there {
            return Ok(Prepared { before: (), undo: None });
        }
        if fastrand::u32(..CLOSED_ONE_IN) == 0 {
            return Err(Failure::new(ErrorClass::Unavailable, "the book is closed for a moment"));
        }
        Ok(Prepared { before: (), undo: Some(Undo::exact("sink.remove", wanted)) })
    }

    /// Half of the time, the effect, the other half.
    async fn perform(
        &self,
        _: &Context,
        wanted: &Wanted,
        (): &(),
    ) -> Result<Measured<Seen>, Failure> {
        let half = Duration::from_millis(wanted.millis / 2);
        sleep(half).await;
        self.in_book(wanted, if self.there { Book::make } else { Book::remove }).await?;
        sleep(half).await;
        self.measured(wanted).await
    }

    async fn reconcile(
        &self,
        _: &Context,
        wanted: &Wanted,
        (): &(),
    ) -> Result<Found<Seen>, Failure> {
        if self.in_book(wanted, Book::has).await? == self.there {
            return Ok(Found::Done(self.measured(wanted).await?));
        }
        Ok(Found::NotBegun)
    }
}

impl Change {
    async fn measured(&self, wanted: &Wanted) -> Result<Measured<Seen>, Failure> {
        let seen = self.in_book(wanted, Book::has).await?;
        let id = if self.there { "there" } else { "gone" };
        Ok(Measured::new(Seen { there: seen }, vec![Check::equal(id, seen, self.there)]))
    }

    async fn in_book<T: Send + 'static>(
        &self,
        wanted: &Wanted,
        work: fn(&Book, &str) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let (path, key) = (self.book.clone(), wanted.key.clone());
        let worked = tokio::task::spawn_blocking(move || work(&Book::open(&path)?, &key)).await;
        worked.map_err(|e| broken(&e))?.map_err(|e| broken(&e))
    }
}

impl ReadCapability for Refuse {
    type Inputs = Wanted;
    type Outputs = Seen;

    fn about(&self) -> About {
        About {
            verb: "refuse",
            role: "Under fire",
            summary: "Finds what was done not good enough",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("good", "never")],
            undo: None,
            timeout: TASK_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, _: &Context, wanted: Wanted) -> Result<Measured<Seen>, Failure> {
        sleep(Duration::from_millis(wanted.millis)).await;
        let refused = Failure::new(ErrorClass::CheckFailed, format!("{} is refused", wanted.key));
        Err(refused.checks(vec![Check::equal("good", false, true)]))
    }
}

/// The outcome is not known: it may have been written before it broke.
fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorClass::UnknownOutcome, format!("the book: {error}"))
}
