//! What became of the requests of one run. Pure: samples go in, figures come out.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use crate::run::as_f64;

/// Two latencies closer than one part in a thousand are the same.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why a request failed. The names are those of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ErrorKind {
    /// No connection.
    Connect,
    /// The connection broke, or what came was not HTTP.
    Transport,
    /// No whole answer within the timeout.
    Timeout,
    /// An answer of 400 to 499.
    ClientError,
    /// An answer of 500 and more.
    ServerError,
}

impl ErrorKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Transport => "transport",
            Self::Timeout => "timeout",
            Self::ClientError => "http_4xx",
            Self::ServerError => "http_5xx",
        }
    }

    /// Whether the service gave an answer all the same, and so has counted the request.
    pub(crate) fn was_answered(self) -> bool {
        match self {
            Self::ClientError | Self::ServerError => true,
            Self::Connect | Self::Transport | Self::Timeout => false,
        }
    }
}

/// One request that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) endpoint: usize,
    /// From the intended send time to the end of the answer, or to the failure.
    pub(crate) latency: Duration,
    /// From the intended send time to the moment the generator began to send.
    pub(crate) lag: Duration,
    /// From the start of the run to the end of the answer.
    pub(crate) finished: Duration,
    pub(crate) error: Option<ErrorKind>,
}

/// All requests of one run.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) endpoints: Vec<EndpointTally>,
    lag: Histogram<u64>,
    finished: Duration,
}

/// The requests to one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct EndpointTally {
    /// Microseconds, of every request that was sent: one that failed took its time too.
    pub(crate) latency: Histogram<u64>,
    pub(crate) errors: BTreeMap<ErrorKind, u64>,
    /// Due, and not sent because too many were under way.
    pub(crate) dropped: u64,
}

impl Tally {
    pub(crate) fn new(endpoints: usize) -> Self {
        let empty = EndpointTally { latency: histogram(), errors: BTreeMap::new(), dropped: 0 };
        Self { endpoints: vec![empty; endpoints], lag: histogram(), finished: Duration::ZERO }
    }

    pub(crate) fn add(&mut self, sample: &Sample) {
        let endpoint = &mut self.endpoints[sample.endpoint];
        record(&mut endpoint.latency, sample.latency);
        if let Some(error) = sample.error {
            *endpoint.errors.entry(error).or_default() += 1;
        }
        record(&mut self.lag, sample.lag);
        self.finished = self.finished.max(sample.finished);
    }

    pub(crate) fn drop_one(&mut self, endpoint: usize) {
        self.endpoints[endpoint].dropped += 1;
    }

    pub(crate) fn sent(&self) -> u64 {
        self.endpoints.iter().map(|e| e.latency.len()).sum()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.endpoints.iter().map(|e| e.dropped).sum()
    }

    /// Requests that the service gave an answer to, of whatever status.
    pub(crate) fn answered(&self) -> u64 {
        self.sent() - self.unanswered()
    }

    /// Requests of which it is not known whether the service has counted them.
    pub(crate) fn unanswered(&self) -> u64 {
        let lost = |e: &EndpointTally| -> u64 {
            e.errors.iter().filter(|(kind, _)| !kind.was_answered()).map(|(_, n)| n).sum()
        };
        self.endpoints.iter().map(lost).sum()
    }

    /// Requests that did not even get a connection.
    pub(crate) fn refused(&self) -> u64 {
        self.endpoints.iter().filter_map(|e| e.errors.get(&ErrorKind::Connect)).sum()
    }

    /// Answers per second, until the last one was there or the run over, whichever came later.
    pub(crate) fn achieved_rate_per_s(&self, duration_s: f64) -> f64 {
        as_f64(self.answered()) / self.finished.as_secs_f64().max(duration_s)
    }

    /// How late the generator itself was for all but 5 % of the requests.
    pub(crate) fn lag_p95_ms(&self) -> f64 {
        milliseconds(self.lag.value_at_quantile(0.95))
    }

    /// How late the generator was, summed over all requests.
    pub(crate) fn lag_ms(&self) -> f64 {
        self.lag.mean() * as_f64(self.lag.len()) / 1_000.0
    }

    /// The latencies of all endpoints together.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        let mut all = histogram();
        for endpoint in &self.endpoints {
            // Both grow as they must, so that there is nothing that does not fit.
            all.add(&endpoint.latency).ok();
        }
        all
    }
}

impl EndpointTally {
    pub(crate) fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// From a histogram's microseconds.
pub(crate) fn milliseconds(microseconds: u64) -> f64 {
    as_f64(microseconds) / 1_000.0
}

#[expect(clippy::expect_used, reason = "the number of digits is a constant within 0..=5")]
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new(SIGNIFICANT_DIGITS).expect("a histogram that resizes itself")
}

fn record(histogram: &mut Histogram<u64>, value: Duration) {
    let microseconds = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    // A histogram that resizes itself refuses no value.
    histogram.record(microseconds).ok();
}
