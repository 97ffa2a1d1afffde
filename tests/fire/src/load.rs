//! The people: they start workflows, cancel some, take some back, and say it again until it is heard.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use deadelus_core::{CheckedPlan, Ending, Plan};
use deadelus_mesh::{Mesh, clock::now_unix_ms};
use deadelus_orchestrator::cards;
use deadelus_proto::{
    SpecialistCard, Subject, WorkflowId,
    pb::{self, inbound::Message as Said},
};
use fastrand::Rng;
use prost::Message as _;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{follow::Log, plans::Story};

/// Workflows under way at once: every accident meets many, and each still moves on.
const OPEN_MAX: usize = 40;
/// A person looks again after this, and says it once more.
const SAID_AGAIN_EVERY: Duration = Duration::from_secs(15);
/// A publish that was not acknowledged by then is made again.
const PUBLISH_MAX: Duration = Duration::from_secs(5);
/// Until somebody has announced what the plans need.
const CARDS_TRIES_MAX: usize = 200;
/// Between two looks, and two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// After its start, within which a workflow is cancelled.
const CANCEL_WITHIN_MS: u64 = 1_500;

/// One workflow that was started.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its id.
    pub id: WorkflowId,
    /// What was done with it.
    pub story: Story,
    /// When its start was first sent, in milliseconds since the epoch.
    pub sent_ms: i64,
    /// How it ended; none when it did not in `patience`.
    pub ending: Option<Ending>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Load {
    /// At most so many.
    pub workflows: usize,
    /// None is started after this.
    pub until: Instant,
    /// How long each may take.
    pub patience: Duration,
    /// Of what they do.
    pub seed: u64,
}

impl Load {
    /// Starts them, a bounded number at once, and waits for their ends.
    ///
    /// # Errors
    /// When the specialist's card never comes.
    pub async fn carry(self, mesh: Mesh, log: Log) -> Result<Vec<Started>> {
        let cards: Arc<[SpecialistCard]> = announced(&mesh).await?.into();
        let room = Arc::new(Semaphore::new(OPEN_MAX));
        let (mut lives, mut rng) = (JoinSet::new(), Rng::with_seed(self.seed));
        for n in 0..self.workflows {
            let place = Arc::clone(&room).acquire_owned().await?;
            if Instant::now() >= self.until {
                break;
            }
            let person = Person { mesh: mesh.clone(), log: log.clone(), cards: Arc::clone(&cards) };
            let (mut rng, patience) = (rng.fork(), self.patience);
            lives.spawn(async move {
                let started = person.live(n, patience, &mut rng).await;
                drop(place);
                started
            });
        }
        lives.join_all().await.into_iter().collect()
    }
}

async fn announced(mesh: &Mesh) -> Result<Vec<SpecialistCard>> {
    for _ in 0..CARDS_TRIES_MAX {
        if let Ok(cards) = cards::read_all(mesh).await
            && !cards.is_empty()
        {
            return Ok(cards);
        }
        sleep(PAUSE).await;
    }
    anyhow::bail!("no specialist has announced itself")
}

struct Person {
    mesh: Mesh,
    log: Log,
    cards: Arc<[SpecialistCard]>,
}

impl Person {
    async fn live(&self, n: usize, patience: Duration, rng: &mut Rng) -> Result<Started> {
        let id: WorkflowId = format!("wf-{n}").parse()?;
        let story = Story::random(rng);
        let plan = Plan::read(&story.plan(id.as_str(), rng))?;
        let plan = CheckedPlan::check(plan, &self.cards).context("a plan of ours")?;
        let sent_ms = now_unix_ms();
        let told = timeout(patience, self.tell(&id, story, &plan, rng)).await;
        // Whatever happened in the meantime: where it stands now is what counts.
        let ending = self.log.tales().of.get(&id).and_then(|tale| tale.ending());
        Ok(Started { id, story, sent_ms, ending: told.is_ok().then_some(ending).flatten() })
    }

    async fn tell(&self, id: &WorkflowId, story: Story, plan: &CheckedPlan, rng: &mut Rng) {
        let (by, reason) = ("ada".to_owned(), "under fire".to_owned());
        self.say(id, "start", start(plan)).await;
        match story {
            Story::Chain | Story::Wide | Story::Refused => {}
            Story::Cancelled => {
                sleep(Duration::from_millis(rng.u64(..CANCEL_WITHIN_MS))).await;
                self.say(id, "cancel", Said::Cancel(pb::CancelWorkflow { by, reason })).await;
            }
            Story::Undone => {
                self.log.until(id, |tale| tale.ending().is_some()).await;
                let undo = || pb::UndoWorkflow { by: by.clone(), reason: reason.clone() };
                let undone = self.log.until(id, |tale| tale.ending() == Some(Ending::Undone));
                tokio::pin!(undone);
                for again in 0.. {
                    self.say(id, &format!("undo-{again}"), Said::Undo(undo())).await;
                    if timeout(SAID_AGAIN_EVERY, &mut undone).await.is_ok() {
                        break;
                    }
                }
            }
        }
        self.log.until(id, |tale| tale.ending().is_some()).await;
    }

    /// Puts it into the inbox, however often it takes.
    async fn say(&self, id: &WorkflowId, what: &str, said: Said) {
        let inbound = pb::Inbound {
            id: format!("{id}-{what}"),
            workflow_id: id.to_string(),
            reply_to: String::new(),
            message: Some(said),
        };
        let Ok(from) = "client".parse() else { return };
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow: id.clone() });
        let bytes = inbound.encode_to_vec();
        loop {
            let stored = async {
                let sent = self.mesh.jetstream.publish(subject.clone(), bytes.clone().into()).await;
                sent.ok()?.await.ok()
            };
            if matches!(timeout(PUBLISH_MAX, stored).await, Ok(Some(_))) {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}

fn start(plan: &CheckedPlan) -> Said {
    Said::Start(pb::StartWorkflow {
        plan_json: plan.json().to_owned().into(),
        plan_digest: plan.digest().to_string(),
        submitted_by: "ada".to_owned(),
    })
}
