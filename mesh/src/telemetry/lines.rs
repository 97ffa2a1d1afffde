//! A log line with its trace id.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use opentelemetry::trace::TraceContextExt;
use tracing::{Dispatch, Event, Subscriber, dispatcher::WeakDispatch};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Compact, Format, Json, Writer},
    },
    registry::LookupSpan,
};

/// The subscriber that a formatter is part of. While an event is being written, the thread's own
/// notion of it is locked, so it is remembered when it is set up.
#[derive(Debug, Clone, Default)]
pub(super) struct Here(Arc<OnceLock<WeakDispatch>>);

impl<S: Subscriber> Layer<S> for Here {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // Only the first counts; a layer is part of one subscriber.
        let _ = self.0.set(dispatch.downgrade());
    }
}

/// Adds the trace id to what another format writes: the two meet in one line, so that a person
/// who has the one finds the other.
#[derive(Debug)]
pub(super) struct WithTrace<F> {
    inner: Format<F>,
    place: Place,
    here: Here,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// ` trace=…` at the end.
    Tail,
    /// `"trace_id":"…"` as the first key.
    FirstKey,
}

impl WithTrace<Compact> {
    pub(super) fn human(here: Here) -> Self {
        // The variable is a convention: https://no-color.org
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let inner = tracing_subscriber::fmt::format().compact().with_target(false);
        Self { inner: inner.with_ansi(colour), place: Place::Tail, here }
    }
}

impl WithTrace<Json> {
    pub(super) fn json(here: Here) -> Self {
        let inner = tracing_subscriber::fmt::format().json().flatten_event(true);
        let inner = inner.with_current_span(true).with_span_list(false);
        Self { inner, place: Place::FirstKey, here }
    }
}

impl<F, S, N> FormatEvent<S, N> for WithTrace<F>
where
    Format<F>: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        match (self.place, self.trace_id(ctx, event)) {
            (_, None) => writer.write_str(&line),
            (Place::Tail, Some(id)) => writeln!(writer, "{} trace={id}", line.trim_end()),
            (Place::FirstKey, Some(id)) => {
                write!(writer, "{{\"trace_id\":\"{id}\",{}", line.trim_start_matches('{'))
            }
        }
    }
}

impl<F> WithTrace<F> {
    fn trace_id<S, N>(&self, ctx: &FmtContext<'_, S, N>, event: &Event<'_>) -> Option<String>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let span = event.parent().and_then(|id| ctx.span(id)).or_else(|| ctx.lookup_current())?;
        let dispatch = self.here.0.get()?.upgrade()?;
        let context = tracing_opentelemetry::get_otel_context(&span.id(), &dispatch)?;
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| context.trace_id().to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::{Registry, fmt, layer::SubscriberExt};

    use super::*;
    use crate::trace;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Lines = Box<dyn Layer<Registry> + Send + Sync>;

    /// What one event inside and one outside of a trace look like, and the trace's id.
    fn written(lines: impl FnOnce(Page, Here) -> Lines) -> (Vec<String>, String) {
        let page = Page::default();
        let provider = SdkTracerProvider::builder().build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let here = Here::default();
        let lines = lines(page.clone(), here.clone());
        let subscriber = tracing_subscriber::registry().with(lines.and_then(spans).and_then(here));
        let id = tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("work", deadelus.workflow.id = "wf-1");
            let id = span.in_scope(|| {
                tracing::info!(rows = 3, "inside");
                trace::traceparent().unwrap()
            });
            tracing::info!("outside");
            id.split('-').nth(1).unwrap().to_owned()
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        (text.lines().map(str::to_owned).collect(), id)
    }

    #[test]
    fn json_lines_stay_json_and_carry_trace_and_workflow() {
        let (lines, id) = written(|page, here| {
            let layer = fmt::layer().json().event_format(WithTrace::json(here));
            layer.with_writer(Mutex::new(page)).boxed()
        });
        let [inside, outside] = &lines[..] else { panic!("{lines:?}") };
        let inside: serde_json::Value = serde_json::from_str(inside).unwrap();
        assert_eq!(inside["trace_id"], id.as_str());
        assert_eq!(inside["span"]["deadelus.workflow.id"], "wf-1");
        assert_eq!((&inside["message"], &inside["rows"]), (&"inside".into(), &3.into()));
        let outside: serde_json::Value = serde_json::from_str(outside).unwrap();
        assert_eq!((&outside["message"], outside.get("trace_id")), (&"outside".into(), None));
    }

    #[test]
    fn human_lines_end_with_the_trace() {
        let (lines, id) = written(|page, here| {
            let layer = fmt::layer().event_format(WithTrace::human(here));
            layer.with_writer(Mutex::new(page)).boxed()
        });
        let [inside, outside] = &lines[..] else { panic!("{lines:?}") };
        assert!(inside.contains("inside") && inside.ends_with(&format!("trace={id}")), "{inside}");
        assert!(outside.contains("outside") && !outside.contains("trace="), "{outside}");
    }
}
