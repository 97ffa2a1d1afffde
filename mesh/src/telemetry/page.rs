//! What a process has counted, in the Prometheus text format, for whoever reads it from the process
//! itself. Names and units are made as OpenTelemetry's compatibility rules for Prometheus say: dots
//! become underscores, seconds are said in the name, what only grows ends in `_total`.

use std::{
    fmt::{Display, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, Temporality,
        data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics},
        exporter::PushMetricExporter,
    },
};

/// How old what is read may be: shorter than anybody scrapes.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);

/// The page. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Page(Arc<Mutex<String>>);

impl Page {
    /// What was counted a moment ago; empty before anything was.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What writes it.
    pub(super) fn reader(&self) -> PeriodicReader<Writer> {
        PeriodicReader::builder(Writer(self.clone())).with_interval(WRITTEN_EVERY).build()
    }
}

#[derive(Debug)]
pub(super) struct Writer(Page);

impl PushMetricExporter for Writer {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let text = text(metrics);
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn text(metrics: &ResourceMetrics) -> String {
    let mut out = String::new();
    for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
        match metric.data() {
            AggregatedMetrics::F64(data) => write_metric(&mut out, metric, data),
            AggregatedMetrics::U64(data) => write_metric(&mut out, metric, data),
            AggregatedMetrics::I64(data) => write_metric(&mut out, metric, data),
        }
    }
    out
}

fn write_metric<T: Display + Copy>(out: &mut String, metric: &Metric, data: &MetricData<T>) {
    let name = name(metric);
    match data {
        MetricData::Sum(sum) => {
            let (name, kind) = if sum.is_monotonic() {
                (format!("{name}_total"), "counter")
            } else {
                (name, "gauge")
            };
            head(out, &name, kind);
            for point in sum.data_points() {
                line(out, &name, point.attributes(), None, point.value());
            }
        }
        MetricData::Gauge(gauge) => {
            head(out, &name, "gauge");
            for point in gauge.data_points() {
                line(out, &name, point.attributes(), None, point.value());
            }
        }
        MetricData::Histogram(histogram) => {
            head(out, &name, "histogram");
            for point in histogram.data_points() {
                let bounds = point.bounds().map(|bound| bound.to_string());
                let bounds = bounds.chain(["+Inf".to_owned()]);
                let mut below = 0;
                for (bound, count) in bounds.zip(point.bucket_counts()) {
                    below += count;
                    let bucket = format!("{name}_bucket");
                    line(out, &bucket, point.attributes(), Some(&bound), below);
                }
                line(out, &format!("{name}_sum"), point.attributes(), None, point.sum());
                line(out, &format!("{name}_count"), point.attributes(), None, point.count());
            }
        }
        // Nothing of ours is one, and the text format has none.
        MetricData::ExponentialHistogram(_) => {}
    }
}

fn name(metric: &Metric) -> String {
    let unit = if metric.unit() == "s" { "_seconds" } else { "" };
    format!("{}{unit}", metric.name().replace('.', "_"))
}

fn head(out: &mut String, name: &str, kind: &str) {
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

fn line<'a>(
    out: &mut String,
    name: &str,
    attributes: impl Iterator<Item = &'a KeyValue>,
    bound: Option<&str>,
    value: impl Display,
) {
    let labels =
        attributes.map(|a| (a.key.as_str().replace('.', "_"), a.value.as_str().into_owned()));
    let bound = bound.map(|bound| ("le".to_owned(), bound.to_owned()));
    let quoted = |(name, value): (String, String)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    // Attributes come in any order; a series is to be written the same way every time.
    let mut labels: Vec<(String, String)> = labels.collect();
    labels.sort();
    let labels: Vec<String> = labels.into_iter().chain(bound).map(quoted).collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(out, "{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    #[test]
    fn what_is_counted_stands_on_the_page() {
        let page = Page::default();
        let provider = SdkMeterProvider::builder().with_reader(page.reader()).build();
        let meter = provider.meter("test");
        let of = [KeyValue::new("deadelus.outcome", "a \"b\"")];
        meter.u64_counter("deadelus.tasks").build().add(3, &of);
        meter.i64_up_down_counter("streams.open").build().add(-2, &[]);
        let took =
            meter.f64_histogram("took").with_unit("s").with_boundaries(vec![0.1, 1.0]).build();
        [0.05, 0.5, 5.0].into_iter().for_each(|seconds| took.record(seconds, &[]));
        provider.force_flush().unwrap();
        let text = page.text();
        let lines: Vec<&str> = text.lines().collect();
        for expected in [
            "# TYPE deadelus_tasks_total counter",
            r#"deadelus_tasks_total{deadelus_outcome="a \"b\""} 3"#,
            "# TYPE streams_open gauge",
            "streams_open -2",
            r#"took_seconds_bucket{le="0.1"} 1"#,
            r#"took_seconds_bucket{le="1"} 2"#,
            r#"took_seconds_bucket{le="+Inf"} 3"#,
            "took_seconds_sum 5.55",
            "took_seconds_count 3",
        ] {
            assert!(lines.contains(&expected), "{expected} is missing:\n{text}");
        }
    }
}
