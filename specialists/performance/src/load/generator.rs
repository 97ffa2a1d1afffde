//! The IO of the load: a thread that keeps time, a task for each request that is under way.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time,
};
use tracing::Instrument;

use super::{
    HttpClient, Schedule, Tally,
    client::classify,
    schedule::Shot,
    tally::{ErrorKind, Sample},
};
use crate::target::{Site, at};

/// Requests that are due and not yet taken up. Only a generator without a processor fills it,
/// and what waits here is late: latency counts it, and so does the generator's own lag.
const DUE_QUEUE_MAX: usize = 1_024;
/// Requests of each run that get a span of their own; one for each would drown the trace.
const TRACED_REQUESTS: u64 = 20;
/// The thread that keeps time looks this often whether the run was given up.
const LOOK_UP_EVERY: Duration = Duration::from_millis(100);
/// Time for the thread to start before the first request is due.
const LEAD_IN: Duration = Duration::from_millis(20);

/// Sends everything that is scheduled, each at its time, and waits for the last answer.
/// Dropping the future stops it.
pub(crate) async fn fire(site: &Site, client: &HttpClient, schedule: Schedule) -> Tally {
    let (due, mut queue) = mpsc::channel(DUE_QUEUE_MAX);
    let start = Instant::now() + LEAD_IN;
    // A thread of its own: the timer of the runtime is a millisecond coarse.
    drop(tokio::task::spawn_blocking(move || keep_time(schedule, start, &due)));

    let mut tally = Tally::new(site.endpoints.len());
    let places = Arc::new(Semaphore::new(site.max_in_flight));
    let mut under_way = JoinSet::new();
    let (mut open, mut taken) = (true, 0);
    loop {
        tokio::select! {
            shot = queue.recv(), if open => match shot {
                None => open = false,
                Some(shot) => match Arc::clone(&places).try_acquire_owned() {
                    Err(_) => tally.drop_one(shot.endpoint),
                    Ok(place) => {
                        let span = span(site, &shot, taken < TRACED_REQUESTS);
                        let one = one(site, client, shot, start);
                        under_way.spawn(async move { (one.await, drop(place)).0 }.instrument(span));
                        taken += 1;
                    }
                }
            },
            Some(sample) = under_way.join_next() => match sample {
                Ok(sample) => tally.add(&sample),
                Err(error) => tracing::error!(%error, "a request was not brought to its end"),
            },
            else => return tally,
        }
    }
}

/// Hands each request over when it is due. Ends early when nobody takes them any more.
fn keep_time(schedule: Schedule, start: Instant, due: &mpsc::Sender<Shot>) {
    for shot in schedule {
        loop {
            let left = (start + shot.at).saturating_duration_since(Instant::now());
            if left.is_zero() || due.is_closed() {
                break;
            }
            std::thread::sleep(left.min(LOOK_UP_EVERY));
        }
        if due.blocking_send(shot).is_err() {
            return;
        }
    }
}

fn one(
    site: &Site,
    client: &HttpClient,
    shot: Shot,
    start: Instant,
) -> impl Future<Output = Sample> + Send + use<> {
    let step = &site.endpoints[shot.endpoint];
    let (method, body) = (step.method.clone(), step.body.clone());
    let uri = at(&site.authority, shot.path);
    let (client, timeout) = (client.clone(), site.timeout);
    let intended = start + shot.at;
    async move {
        let lag = intended.elapsed();
        let answer = client.send(method, uri, body);
        let answer = time::timeout_at((intended + timeout).into(), answer).await;
        let latency = intended.elapsed();
        let error = match answer {
            Err(_) => Some(ErrorKind::Timeout),
            Ok(Err(kind)) => Some(kind),
            Ok(Ok(status)) => {
                tracing::Span::current().record("http.response.status_code", status);
                classify(status)
            }
        };
        if let Some(kind) = error {
            tracing::Span::current().record("error.type", kind.as_str());
        }
        Sample { endpoint: shot.endpoint, latency, lag, finished: shot.at + latency, error }
    }
}

fn span(site: &Site, shot: &Shot, traced: bool) -> tracing::Span {
    if !traced {
        return tracing::Span::none();
    }
    let step = &site.endpoints[shot.endpoint];
    tracing::info_span!(
        "performance.request",
        otel.kind = "client",
        otel.name = %format_args!("{} {}", step.method, step.name),
        http.request.method = %step.method,
        url.path = shot.path.path(),
        http.response.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
    )
}
