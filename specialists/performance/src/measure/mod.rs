//! `performance.measure`: put the configured load on a target, several times, and say where the
//! time of its requests went.
//!
//! It sends requests to the target's own address and to nothing else, and it only reads counters.

pub(crate) mod checks;
mod summary;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::Instrument;

use crate::{
    load::{HttpClient, Schedule, Tally, fire},
    run::Measurement,
    target::{Load, Site},
    targets::Sites,
    usage::{
        Reading, Usage,
        postgres::{LockSampler, Statistics},
        service,
    },
};

/// The configured maximum of runs and seconds, rounded up: nothing is still measuring by then.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Left over for the counters, the last answers and the report.
const SPARE: Duration = Duration::from_secs(5);
/// What a task that names no seed gets: the same requests each time.
const DEFAULT_SEED: u64 = 1;
/// Warm-up asks for other rows than the run, so that it does not only warm what is asked for.
const WARM_UP_SEED: u64 = 0x5eed;

/// What a task may say differently from the target's configuration.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MeasureInputs {
    /// How often to measure; a comparison needs three.
    pub runs: Option<u32>,
    /// Seconds of one run.
    pub duration_s: Option<f64>,
    /// Seconds of load before each run that do not count.
    pub warmup_s: Option<f64>,
    /// Requests per second.
    pub rate_per_s: Option<f64>,
    /// Another one asks for other rows in another order.
    pub seed: Option<u64>,
    /// Where the plan believes the target to be; any other address than the target's own is denied.
    pub base_url: Option<String>,
}

/// Measures a target under load.
#[derive(Debug, Clone)]
pub(crate) struct Measure(pub(crate) Arc<Sites>);

/// What was seen of one run.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) tally: Tally,
    pub(crate) usage: Usage,
    pub(crate) revision: [Option<String>; 2],
    pub(crate) pool_size: Option<u64>,
}

impl ReadCapability for Measure {
    type Inputs = MeasureInputs;
    type Outputs = Measurement;

    fn about(&self) -> About {
        About {
            verb: "measure",
            role: "Performance Admin",
            summary: "Puts the target under its configured load and says where the time goes.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: checks::KINDS,
            undo: None,
            timeout: TIMEOUT,
            locks: &["load:{target}"],
        }
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: MeasureInputs,
    ) -> Result<Measured<Measurement>, Failure> {
        quiet_enough(self.measure(cx, inputs).await?)
    }
}

impl Measure {
    /// Measures, and says how far it can be believed.
    pub(crate) async fn measure(
        &self,
        cx: &Context,
        inputs: MeasureInputs,
    ) -> Result<Measured<Measurement>, Failure> {
        let site = self.0.site(cx.target())?;
        let load = agreed(site, &inputs)?;
        fits(&load, cx.deadline().saturating_duration_since(Instant::now()))?;
        let bench = Bench::open(site).await?;
        let seed = inputs.seed.unwrap_or(DEFAULT_SEED);
        let (mut observed, mut artefacts) = (vec![], vec![]);
        for number in 1..=load.runs {
            let fraction = f64::from(number - 1) / f64::from(load.runs);
            cx.progress(&format!("run {number} of {}", load.runs), Some(fraction)).await;
            let span = tracing::info_span!(
                "performance.run",
                run = number,
                rate_per_s = load.rate_per_s,
                duration_s = load.duration_s
            );
            let one = bench.run(&load, seed.wrapping_add(u64::from(number))).instrument(span);
            let one = one.await?;
            artefacts.extend(keep(cx, number, site, &load, &one).await?);
            observed.push(one);
        }
        let measurement = summary::measurement(site, &load, &observed);
        let checks = checks::of(&load, &observed, &measurement);
        Ok(Measured::new(measurement, checks).artefacts(artefacts))
    }
}

/// A generator that was late says nothing about the service: the same may succeed in a quieter
/// moment, so it is tried again instead of taken for a verdict.
fn quiet_enough(measured: Measured<Measurement>) -> Result<Measured<Measurement>, Failure> {
    let of_the_machine = |c: &&Check| !c.pass && checks::OF_THE_MACHINE.contains(&c.id.as_str());
    let Some(check) = measured.checks.iter().find(of_the_machine) else { return Ok(measured) };
    let Check { id, measured: seen, op, threshold, .. } = check;
    let text =
        format!("the generator's machine was too busy: {id} {seen}, wanted {op} {threshold}");
    Err(Failure::new(ErrorClass::Unavailable, text)
        .help("measure in a quieter moment, at a lower rate, or from another machine")
        .checks(measured.checks)
        .artefacts(measured.artefacts))
}

/// The configuration's load with what the task says differently.
fn agreed(site: &Site, inputs: &MeasureInputs) -> Result<Load, Failure> {
    if let Some(url) = inputs.base_url.as_deref().filter(|url| *url != site.base_url) {
        let text = format!("{url} is not the address of this target ({})", site.base_url);
        return Err(Failure::new(ErrorClass::Denied, text)
            .help("load goes to configured addresses only: configure a target for this one"));
    }
    let load = Load {
        rate_per_s: inputs.rate_per_s.unwrap_or(site.defaults.rate_per_s),
        duration_s: inputs.duration_s.unwrap_or(site.defaults.duration_s),
        warmup_s: inputs.warmup_s.unwrap_or(site.defaults.warmup_s),
        runs: inputs.runs.unwrap_or(site.defaults.runs),
    };
    load.checked().map_err(|e| Failure::new(ErrorClass::InvalidInput, e.to_string()))
}

fn fits(load: &Load, left: Duration) -> Result<(), Failure> {
    let needed = Duration::from_secs_f64(load.total_s()) + SPARE;
    if needed <= left {
        return Ok(());
    }
    let text = format!("{} runs take {needed:.0?}, and {left:.0?} are left", load.runs);
    Err(Failure::new(ErrorClass::InvalidInput, text).help("ask for fewer or shorter runs"))
}

/// What a measurement holds open: connections to the service and to the statistics.
struct Bench<'a> {
    site: &'a Site,
    client: HttpClient,
    statistics: Option<Arc<Statistics>>,
}

impl<'a> Bench<'a> {
    async fn open(site: &'a Site) -> Result<Self, Failure> {
        let statistics = match &site.database {
            Some(config) => Some(Arc::new(Statistics::connect(config).await?)),
            None => None,
        };
        Ok(Self { site, client: HttpClient::new(site.max_in_flight), statistics })
    }

    async fn run(&self, load: &Load, seed: u64) -> Result<Observed, Failure> {
        if load.warmup_s > 0.0 {
            self.fire(load.rate_per_s, load.warmup_s, seed ^ WARM_UP_SEED).await?;
        }
        let before = self.read().await?;
        let sampler = self.statistics.clone().map(LockSampler::start);
        let tally = self.fire(load.rate_per_s, load.duration_s, seed).await?;
        let waited_ms = sampler.and_then(LockSampler::finish);
        let after = self.read().await?;
        let usage = Usage::between(&before, &after, waited_ms)
            .map_err(|e| Failure::new(ErrorClass::Unavailable, e.to_string()))?;
        let pool_size = after.service.as_ref().and_then(|s| s.pool).map(|pool| pool.size);
        let revision = [before, after].map(|reading| reading.service.and_then(|s| s.revision));
        Ok(Observed { tally, usage, revision, pool_size })
    }

    async fn fire(&self, rate_per_s: f64, duration_s: f64, seed: u64) -> Result<Tally, Failure> {
        let schedule = Schedule::new(&self.site.endpoints, rate_per_s, duration_s, seed);
        let tally = fire(self.site, &self.client, schedule).await;
        if tally.sent() > 0 && tally.refused() == tally.sent() {
            let text = format!("nothing takes connections at {}", self.site.base_url);
            return Err(Failure::new(ErrorClass::Unavailable, text).help("start the service"));
        }
        Ok(tally)
    }

    async fn read(&self) -> Result<Reading, Failure> {
        let service = match &self.site.counters {
            Some(uri) => Some(service::read(&self.client, uri).await?),
            None => None,
        };
        let postgres = match &self.statistics {
            Some(statistics) => Some(statistics.read().await?),
            None => None,
        };
        Ok(Reading { service, postgres })
    }
}

async fn keep(
    cx: &Context,
    number: u32,
    site: &Site,
    load: &Load,
    observed: &Observed,
) -> Result<[Artefact; 2], Failure> {
    let errors: BTreeMap<_, _> = site
        .endpoints
        .iter()
        .zip(&observed.tally.endpoints)
        .map(|(step, tally)| {
            let by_kind: BTreeMap<_, _> =
                tally.errors.iter().map(|(k, n)| (k.as_str(), n)).collect();
            (&step.name, by_kind)
        })
        .collect();
    let record = serde_json::json!({
        "run": summary::run(site, load, observed),
        "errors": errors,
        "generator_lag_p95_ms": observed.tally.lag_p95_ms(),
        "requests_counted_by_service": observed.usage.requests,
        "statements": observed.usage.statements,
    });
    let (json, csv) = (format!("{record:#}"), summary::histogram_csv(site, &observed.tally));
    let names = [format!("run-{number}.json"), format!("run-{number}-histogram.csv")];
    Ok([
        cx.keep(&names[0], "application/json", json.into()).await?,
        cx.keep(&names[1], "text/csv", csv.into()).await?,
    ])
}
