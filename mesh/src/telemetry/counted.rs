//! Spans counted where they are made and where a collector takes them, so that what got lost in
//! between is a number, and a collector that is away is said once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};

use crate::{error::chain, names};

/// What was made and what became of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ended: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
    away: AtomicBool,
}

impl Tally {
    /// Spans of batches that no collector took.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Spans that are not with a collector. After a flush these are the lost ones, whether a
    /// batch was refused or the queue was full; before it, some are only waiting.
    pub(super) fn not_taken(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        self.ended.load(Ordering::Relaxed).saturating_sub(taken)
    }

    /// Reports the refused ones as a metric, for when a collector is there again to hear it.
    pub(super) fn observe(self: &Arc<Self>) {
        let tally = Arc::clone(self);
        let _kept_by_the_provider = opentelemetry::global::meter("deadelus")
            .u64_observable_counter(names::METRIC_SPANS_DROPPED)
            .with_callback(move |observer| observer.observe(tally.refused(), &[]))
            .build();
    }
}

/// The batch processor, its input counted.
#[derive(Debug)]
pub(super) struct CountedBatches {
    batches: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl CountedBatches {
    pub(super) fn new(batches: BatchSpanProcessor, tally: Arc<Tally>) -> Self {
        Self { batches, tally }
    }
}

impl SpanProcessor for CountedBatches {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.tally.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// The exporter, its output counted.
#[derive(Debug)]
pub(super) struct CountedExport {
    otlp: Otlp,
    endpoint: String,
    tally: Arc<Tally>,
}

impl CountedExport {
    pub(super) fn new(otlp: Otlp, endpoint: String, tally: Arc<Tally>) -> Self {
        Self { otlp, endpoint, tally }
    }

    fn note(&self, spans: u64, result: &OTelSdkResult) {
        let tally = &self.tally;
        match result {
            Ok(()) => {
                tally.taken.fetch_add(spans, Ordering::Relaxed);
                if tally.away.swap(false, Ordering::Relaxed) {
                    let dropped = tally.refused();
                    tracing::info!(endpoint = self.endpoint, dropped, "the collector is back");
                }
            }
            Err(error) => {
                tally.refused.fetch_add(spans, Ordering::Relaxed);
                if !tally.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        endpoint = self.endpoint,
                        error = chain(error),
                        "the collector is away: spans are dropped, work goes on"
                    );
                }
            }
        }
    }
}

impl SpanExporter for CountedExport {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.otlp.export(batch).await;
        self.note(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
