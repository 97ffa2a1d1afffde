//! Plans that were checked lately. The same plan is started many times; checking it takes longer
//! than deciding with it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use deadelus_core::{CheckedPlan, Problems};
use deadelus_mesh::blocking;
use deadelus_proto::Sha256;

use crate::cards::Cards;

/// Different plans that are started over and over; each holds some tens of KiB.
const KEPT_MAX: usize = 32;

/// The last checked plans, valid for as long as no card changes.
#[derive(Debug, Clone)]
pub(crate) struct Plans {
    cards: Cards,
    kept: Arc<Mutex<VecDeque<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    /// Of the cards it was checked against.
    generation: u64,
    plan: Arc<CheckedPlan>,
}

impl Plans {
    pub(crate) fn new(cards: Cards) -> Self {
        Self { cards, kept: Arc::default() }
    }

    /// The plan that somebody agreed to, if it is still true of the specialists that are there now.
    /// Its digest may differ from the one agreed to: the caller compares. A long plan takes a second:
    /// it is judged beside the threads that carry messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) async fn check(
        &self,
        json: Bytes,
        digest: &Sha256,
    ) -> Result<Arc<CheckedPlan>, Problems> {
        let generation = self.cards.generation();
        if let Some(plan) = self.find(&json, digest, generation) {
            return Ok(plan);
        }
        let plans = self.clone();
        blocking(move || plans.judge(&json, generation)).await
    }

    fn judge(&self, json: &[u8], generation: u64) -> Result<Arc<CheckedPlan>, Problems> {
        let sent = CheckedPlan::from_json(json)?;
        let plan = Arc::new(CheckedPlan::check(sent.plan().clone(), &self.cards.all())?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front(Kept { generation, plan: Arc::clone(&plan) });
        Ok(plan)
    }

    fn find(&self, json: &[u8], digest: &Sha256, generation: u64) -> Option<Arc<CheckedPlan>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |kept: &&Kept| {
            kept.generation == generation
                && kept.plan.digest() == digest
                && kept.plan.json().as_bytes() == json
        };
        kept.iter().find(same).map(|kept| Arc::clone(&kept.plan))
    }
}
