//! A span as tests look at it, read from what travels.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as Wire, span::SpanKind},
};

/// One span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Of the span it belongs under; none for a root.
    pub parent_span_id: Option<String>,
    /// `do db.create_index`
    pub name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer`, or empty.
    pub kind: &'static str,
    /// `service.name` of the process.
    pub service: String,
    /// Values as text: `true`, `7`, `[a, b]`.
    pub attributes: BTreeMap<String, String>,
    /// `(trace_id, span_id)` of what it is linked with.
    pub links: Vec<(String, String)>,
    /// Nanoseconds since the epoch.
    pub start_unix_ns: u64,
    /// Nanoseconds since the epoch.
    pub end_unix_ns: u64,
}

/// All spans of one export, each with the service it comes from.
pub(super) fn read(export: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = vec![];
    for resource in export.resource_spans {
        let mut about = attributes(resource.resource.unwrap_or_default().attributes);
        let service = about.remove("service.name").unwrap_or_default();
        for scope in resource.scope_spans {
            spans.extend(scope.spans.into_iter().map(|wire| span(wire, &service)));
        }
    }
    spans
}

fn span(wire: Wire, service: &str) -> Span {
    Span {
        trace_id: hex(&wire.trace_id),
        span_id: hex(&wire.span_id),
        parent_span_id: (!wire.parent_span_id.is_empty()).then(|| hex(&wire.parent_span_id)),
        kind: kind(wire.kind()),
        name: wire.name,
        service: service.to_owned(),
        attributes: attributes(wire.attributes),
        links: wire.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        start_unix_ns: wire.start_time_unix_nano,
        end_unix_ns: wire.end_time_unix_nano,
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|kv| (kv.key, text(kv.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::ArrayValue(list)) => {
            let values: Vec<_> = list.values.into_iter().map(|value| text(Some(value))).collect();
            format!("[{}]", values.join(", "))
        }
        Some(Value::KvlistValue(list)) => format!("{:?}", attributes(list.values)),
        Some(Value::BytesValue(bytes)) => hex(&bytes),
        // An index into a dictionary that traces do not have.
        Some(Value::StringValueStrindex(index)) => index.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        common::v1::ArrayValue,
        resource::v1::Resource,
        trace::v1::{ResourceSpans, ScopeSpans, span::Link},
    };

    use super::*;

    fn attribute(key: &str, value: Value) -> KeyValue {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    #[test]
    fn a_span_is_read_with_its_service() {
        let list = vec![AnyValue { value: Some(Value::BoolValue(true)) }];
        let wire = Wire {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            parent_span_id: vec![2; 8],
            name: "GET".to_owned(),
            kind: SpanKind::Client.into(),
            attributes: vec![
                attribute("status", Value::IntValue(200)),
                attribute("list", Value::ArrayValue(ArrayValue { values: list })),
            ],
            links: vec![Link { trace_id: vec![3; 16], span_id: vec![4; 8], ..Link::default() }],
            start_time_unix_nano: 5,
            end_time_unix_nano: 9,
            ..Wire::default()
        };
        let service = attribute("service.name", Value::StringValue("deadelus-db".to_owned()));
        let resource = Resource { attributes: vec![service], ..Resource::default() };
        let scope = ScopeSpans { spans: vec![wire], ..ScopeSpans::default() };
        let resource_spans = vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope],
            ..ResourceSpans::default()
        }];
        let expected = Span {
            trace_id: "ab".repeat(16),
            span_id: "01".repeat(8),
            parent_span_id: Some("02".repeat(8)),
            name: "GET".to_owned(),
            kind: "client",
            service: "deadelus-db".to_owned(),
            attributes: [("status", "200"), ("list", "[true]")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            links: vec![("03".repeat(16), "04".repeat(8))],
            start_unix_ns: 5,
            end_unix_ns: 9,
        };
        assert_eq!(read(ExportTraceServiceRequest { resource_spans }), [expected]);
    }
}
