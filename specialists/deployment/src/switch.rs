//! Asking a service until the judgement of its answers stands, or the time is over.

use bytes::Bytes;
use deadelus_runtime::{Artefact, Context, Failure};
use tokio::time::Instant;

use crate::{
    health::Prober,
    target::Watch,
    timeline::{Timeline, Verdict},
};

/// How much trouble a switch may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Going forward: the service was well before, so the first trouble ends it, as a cancel does.
    None,
    /// Going back: whatever the trouble, wait for the service to recover from it.
    UntilTimeout,
}

/// How a switch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The service serves what was wanted, and is well.
    Settled,
    /// It does not; in a sentence.
    Unsettled(String),
    /// The orchestrator asked to stop.
    Cancelled,
}

/// Asks until the service settles on `to`.
pub(crate) async fn settle(
    cx: &Context,
    prober: &Prober,
    watch: &Watch,
    to: &str,
    patience: Patience,
) -> (End, Timeline) {
    let mut timeline = Timeline::new(to);
    let give_up = Instant::now() + watch.switch_timeout;
    loop {
        timeline.probes.push(prober.probe().await);
        match (timeline.verdict(watch.healthy_probes), patience) {
            (Verdict::Settled, _) => return (End::Settled, timeline),
            (Verdict::Trouble(reason), Patience::None) => {
                return (End::Unsettled(reason.to_owned()), timeline);
            }
            (Verdict::Trouble(_), Patience::UntilTimeout) | (Verdict::Open, _) => {}
        }
        if Instant::now() + watch.probe_interval >= give_up {
            let ms = watch.switch_timeout.as_millis();
            return (End::Unsettled(format!("it did not settle within {ms} ms")), timeline);
        }
        tokio::select! {
            () = tokio::time::sleep(watch.probe_interval) => {}
            () = cx.until_cancelled(), if patience == Patience::None => {
                return (End::Cancelled, timeline);
            }
        }
    }
}

/// Keeps the timelines of a change as evidence.
pub(crate) async fn keep(cx: &Context, timelines: &[Timeline]) -> Result<Artefact, Failure> {
    let json = serde_json::json!({ "switches": timelines });
    cx.keep("timeline.json", "application/json", Bytes::from(json.to_string())).await
}
