//! A log line with its trace id.

use std::fmt;

use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Compact, Format, Json, Writer},
    },
    registry::LookupSpan,
};

/// Adds the trace id to what another format writes: the two meet in one line, so that a person
/// who has the one finds the other.
#[derive(Debug)]
pub(super) struct WithTrace<F> {
    inner: Format<F>,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// ` trace=…` at the end.
    Tail,
    /// `"trace_id":"…"` as the first key.
    FirstKey,
}

impl WithTrace<Compact> {
    pub(super) fn human() -> Self {
        // The variable is a convention: https://no-color.org
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let inner = tracing_subscriber::fmt::format().compact().with_target(false);
        Self { inner: inner.with_ansi(colour), place: Place::Tail }
    }
}

impl WithTrace<Json> {
    pub(super) fn json() -> Self {
        let inner = tracing_subscriber::fmt::format().json().flatten_event(true);
        Self { inner: inner.with_current_span(true).with_span_list(false), place: Place::FirstKey }
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
        match (self.place, trace_id(ctx, event)) {
            (_, None) => writer.write_str(&line),
            (Place::Tail, Some(id)) => writeln!(writer, "{} trace={id}", line.trim_end()),
            (Place::FirstKey, Some(id)) => {
                write!(writer, "{{\"trace_id\":\"{id}\",{}", line.trim_start_matches('{'))
            }
        }
    }
}

fn trace_id<S, N>(ctx: &FmtContext<'_, S, N>, event: &Event<'_>) -> Option<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let span = event.parent().and_then(|id| ctx.span(id)).or_else(|| ctx.lookup_current())?;
    let context = tracing::dispatcher::get_default(|dispatch| {
        tracing_opentelemetry::get_otel_context(&span.id(), dispatch)
    })?;
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}
