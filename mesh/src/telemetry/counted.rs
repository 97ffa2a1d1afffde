//! An exporter that counts what the collector did not take, and says once that it is away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

use crate::{error::chain, names};

/// What was lost so far.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    spans: AtomicU64,
    away: AtomicBool,
}

impl Dropped {
    pub(super) fn count(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }

    /// Reports the count as a metric, once a collector is there to hear it.
    pub(super) fn observe(self: &Arc<Self>) {
        let dropped = Arc::clone(self);
        let _kept_by_the_provider = opentelemetry::global::meter("deadelus")
            .u64_observable_counter(names::METRIC_SPANS_DROPPED)
            .with_callback(move |observer| observer.observe(dropped.count(), &[]))
            .build();
    }
}

/// OTLP, counted.
#[derive(Debug)]
pub(super) struct Counted {
    otlp: Otlp,
    endpoint: String,
    dropped: Arc<Dropped>,
}

impl Counted {
    pub(super) fn new(otlp: Otlp, endpoint: String, dropped: Arc<Dropped>) -> Self {
        Self { otlp, endpoint, dropped }
    }

    fn note(&self, spans: u64, result: &OTelSdkResult) {
        match result {
            Ok(()) => {
                if self.dropped.away.swap(false, Ordering::Relaxed) {
                    let dropped = self.dropped.count();
                    tracing::info!(endpoint = self.endpoint, dropped, "the collector is back");
                }
            }
            Err(error) => {
                self.dropped.spans.fetch_add(spans, Ordering::Relaxed);
                if !self.dropped.away.swap(true, Ordering::Relaxed) {
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

impl SpanExporter for Counted {
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
