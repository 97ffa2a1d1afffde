//! Logs, spans and metrics of a process.
//!
//! Logs go to stderr: for people on a terminal, JSON otherwise. Spans and metrics go to an OTLP
//! collector when one is configured, and each line of the log carries its trace id. A collector that
//! is away costs spans, never work. Without one no span becomes part of a trace: a fifth of what a
//! process does would be for nobody. A workflow still has a trace id, drawn by itself and marked as
//! not sampled; whoever continues it records nothing. Give a collector to all processes or to none.

mod counted;
mod lines;
mod page;

use std::{io::IsTerminal, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{config::TelemetryConfig, connect::install_crypto, names};
use counted::{CountedBatches, CountedExport, Tally};
use lines::{Here, WithTrace};
pub use page::Page;

/// One batch to the collector takes at most this long.
const EXPORT_MAX: Duration = Duration::from_secs(3);

/// Spans waiting for the collector; beyond it they are dropped.
const SPANS_WAITING_MAX: usize = 8_192;

/// Spans of one batch.
const SPANS_PER_BATCH: usize = 512;

/// Whose spans and events never become part of a trace: the exporter would report on itself.
const OWN_PLUMBING: [&str; 7] =
    ["async_nats", "h2", "hyper", "hyper_util", "opentelemetry", "tonic", "tower"];

/// Why telemetry could not be set up: a mistake in the configuration, or set up twice.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a filter.
    #[error("telemetry.log {filter:?} is no filter; write `info` or `info,deadelus_mesh=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// The parser's words.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Not a share.
    #[error("telemetry.sample_ratio {0} is not between 0 and 1")]
    Ratio(f64),
    /// Not an endpoint.
    #[error("telemetry.otlp_endpoint {endpoint:?} is no address; write `http://127.0.0.1:4317`")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// The exporter's words.
        source: ExporterBuildError,
    },
    /// One process, one telemetry.
    #[error("telemetry is already set up")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// The telemetry of this process, to be shut down when the work is over.
#[derive(Debug)]
#[must_use = "what is not shut down loses its last spans"]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
    tally: Arc<Tally>,
}

/// Sets up logs, spans and metrics for the whole process. Needs a Tokio runtime when a collector
/// is configured.
///
/// `service_name` is `deadelus-db`, `instance` the replica, `db-7f3a`.
///
/// # Errors
/// [`TelemetryError`]; a collector that is away is none.
pub fn init(
    config: &TelemetryConfig,
    service_name: &str,
    instance: &str,
) -> Result<Telemetry, TelemetryError> {
    init_with(config, service_name, instance, None)
}

/// The same, with a page on which the metrics stand for whoever reads them from this process.
///
/// # Errors
/// Those of [`init`].
pub fn init_with(
    config: &TelemetryConfig,
    service_name: &str,
    instance: &str,
    page: Option<&Page>,
) -> Result<Telemetry, TelemetryError> {
    install_crypto();
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|source| TelemetryError::Filter { filter: config.log.clone(), source })?;
    let resource = Resource::builder()
        .with_service_name(service_name.to_owned())
        .with_attributes([
            KeyValue::new(names::SERVICE_INSTANCE_ID, instance.to_owned()),
            KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        ])
        .build();
    let tally = Arc::new(Tally::default());
    let tracer = tracer(config, resource.clone(), &tally)?;
    let meter = meter(config, resource, page)?;
    let spans = tracer.as_ref().map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer.tracer("deadelus"));
        layer.with_location(false).with_filter(filter_fn(is_traced))
    });
    let here = Here::default();
    let lines = log_lines(here.clone()).with_filter(filter);
    tracing_subscriber::registry().with(here).with(spans).with(lines).try_init()?;
    if let Some(meter) = &meter {
        opentelemetry::global::set_meter_provider(meter.clone());
        tally.observe();
    }
    Ok(Telemetry { tracer, meter, tally })
}

impl Telemetry {
    /// Spans that were sent to a collector that did not take them.
    pub fn dropped_spans(&self) -> u64 {
        self.tally.refused()
    }

    /// Sends what is still here, for at most `deadline`, and gives the number of spans that were
    /// lost. To be called when the work is over and its spans are closed, from within the runtime
    /// that did it.
    pub async fn shutdown(self, deadline: Duration) -> u64 {
        let Self { tracer, meter, tally } = self;
        let flushed = tokio::task::spawn_blocking(move || {
            // An error means the collector is away, which is counted and logged already.
            let _ = tracer.map(|tracer| tracer.shutdown_with_timeout(deadline));
            let _ = meter.map(|meter| meter.shutdown_with_timeout(deadline));
        });
        if tokio::time::timeout(deadline, flushed).await.is_err() {
            tracing::warn!(?deadline, "telemetry was not flushed in time");
        }
        let lost = tally.not_taken();
        if lost > 0 {
            tracing::warn!(spans = lost, "spans were lost: no collector took them");
        }
        lost
    }
}

fn tracer(
    config: &TelemetryConfig,
    resource: Resource,
    tally: &Arc<Tally>,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(TelemetryError::Ratio(config.sample_ratio));
    }
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    let sampler = Sampler::TraceIdRatioBased(config.sample_ratio);
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let builder = builder.with_sampler(Sampler::ParentBased(Box::new(sampler)));
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_MAX)
        .build()
        .map_err(|source| TelemetryError::Endpoint { endpoint: endpoint.clone(), source })?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(SPANS_WAITING_MAX)
        .with_max_export_batch_size(SPANS_PER_BATCH)
        .build();
    let exporter = CountedExport::new(exporter, endpoint.clone(), Arc::clone(tally));
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let counted = CountedBatches::new(batches, Arc::clone(tally));
    Ok(Some(builder.with_span_processor(counted).build()))
}

fn meter(
    config: &TelemetryConfig,
    resource: Resource,
    page: Option<&Page>,
) -> Result<Option<SdkMeterProvider>, TelemetryError> {
    if config.otlp_endpoint.is_none() && page.is_none() {
        return Ok(None);
    }
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    if let Some(endpoint) = &config.otlp_endpoint {
        let exporter = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_MAX)
            .build()
            .map_err(|source| TelemetryError::Endpoint { endpoint: endpoint.clone(), source })?;
        builder = builder.with_periodic_exporter(exporter);
    }
    if let Some(page) = page {
        builder = builder.with_reader(page.reader());
    }
    Ok(Some(builder.build()))
}

/// Spans from `info` up become part of a trace, and all of our own that the log's filter lets
/// live: an inner span without trace would break the chain to the messages sent from it.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    if OWN_PLUMBING.iter().any(|own| target.starts_with(own)) {
        return false;
    }
    *metadata.level() <= Level::INFO || (metadata.is_span() && target.starts_with("deadelus"))
}

fn log_lines<S>(here: Here) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        layer.event_format(WithTrace::human(here)).boxed()
    } else {
        layer.json().event_format(WithTrace::json(here)).boxed()
    }
}
