//! W3C trace context in message headers and in text.
//!
//! A message carries `traceparent` and `tracestate`; a workflow's first decision carries its
//! `traceparent` as text, so that every replica and every retry continues one trace.

use std::collections::HashMap;

use async_nats::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator, RandomIdGenerator},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header's and the environment's name, lower case.
pub const TRACEPARENT: &str = "traceparent";

/// Writes the current span's context into headers. Nothing is written outside of any trace.
pub fn inject(headers: &mut HeaderMap) {
    inject_from(&Span::current(), headers);
}

/// Writes a span's context into headers.
pub fn inject_from(span: &Span, headers: &mut HeaderMap) {
    propagator().inject_context(&span.context(), &mut Headers(headers));
}

/// The context that headers carry; an empty one when they carry none.
pub fn extract(headers: &HeaderMap) -> Context {
    propagator().extract_with_context(&Context::new(), &Carried(headers))
}

/// The context a `traceparent` names; an empty one when it names none.
pub fn context_of(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    propagator().extract_with_context(&Context::new(), &carrier)
}

/// The current span's `traceparent`, if it is part of a trace.
pub fn traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// A span's `traceparent`, if it is part of a trace.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    propagator().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// The `traceparent` of a trace that nobody records, never the same twice.
pub fn unrecorded() -> String {
    let ids = RandomIdGenerator::default();
    format!("00-{}-{}-00", ids.new_trace_id(), ids.new_span_id())
}

/// Makes a span a child of what the headers carry. To be called before the span is entered:
/// afterwards it has begun and keeps the parent it has.
pub fn set_parent(span: &Span, headers: &HeaderMap) {
    adopt(span, extract(headers));
}

/// Makes a span a child of a `traceparent`, under the same rule as [`set_parent`].
pub fn set_parent_from(span: &Span, traceparent: &str) {
    adopt(span, context_of(traceparent));
}

/// Links a span to what the headers carry: what caused it, without being its parent.
pub fn link(span: &Span, headers: &HeaderMap) {
    span.add_link(extract(headers).span().span_context().clone());
}

/// Links a span to a `traceparent`.
pub fn link_from(span: &Span, traceparent: &str) {
    span.add_link(context_of(traceparent).span().span_context().clone());
}

fn adopt(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid() {
        // Without a telemetry layer, or for a span below the filter, there is nothing to adopt.
        if let Err(error) = span.set_parent(parent) {
            tracing::trace!(%error, "span keeps its parent");
        }
    }
}

fn propagator() -> TraceContextPropagator {
    TraceContextPropagator::new()
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A `tracestate` without entries is no header.
        if !value.is_empty() {
            self.0.insert(key, value.as_str());
        }
    }
}

struct Carried<'a>(&'a HeaderMap);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, SpanData, SpanExporter},
    };
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn traced(work: impl FnOnce()) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        std::mem::take(&mut kept.0.lock().unwrap())
    }

    #[test]
    fn context_round_trips_through_headers() {
        let spans = traced(|| {
            let sender = tracing::info_span!("sender");
            set_parent_from(&sender, PARENT);
            let mut headers = HeaderMap::new();
            sender.in_scope(|| inject(&mut headers));
            assert!(headers.get(TRACEPARENT).unwrap().as_str().contains("0af7651916cd43dd"));

            let receiver = tracing::info_span!("receiver");
            set_parent(&receiver, &headers);
            link(&receiver, &headers);
            receiver.in_scope(|| assert!(traceparent().unwrap().contains("0af7651916cd43dd")));
        });
        let [sender, receiver] = &spans[..] else { panic!("{spans:?}") };
        let (sender, receiver) =
            if sender.name == "sender" { (sender, receiver) } else { (receiver, sender) };
        assert_eq!(sender.parent_span_id.to_string(), "b7ad6b7169203331");
        assert_eq!(receiver.parent_span_id, sender.span_context.span_id());
        assert_eq!(receiver.span_context.trace_id(), sender.span_context.trace_id());
        assert_eq!(receiver.links.links[0].span_context.span_id(), sender.span_context.span_id());
    }

    #[test]
    fn a_trace_that_nobody_records_has_a_name_all_the_same() {
        let (one, other) = (unrecorded(), unrecorded());
        assert_ne!(one, other);
        let context = context_of(&one).span().span_context().clone();
        assert!(context.is_valid() && !context.is_sampled(), "{one}");
    }

    #[test]
    fn outside_of_a_trace_nothing_is_written_and_junk_is_no_parent() {
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
        assert_eq!(traceparent(), None);
        for junk in ["", "00-zz", "00-00000000000000000000000000000000-0000000000000000-00"] {
            assert!(!context_of(junk).span().span_context().is_valid(), "{junk:?}");
        }
    }
}
