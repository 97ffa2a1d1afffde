//! `deadelus-proxy`: the table is replaced in one step.

use std::path::PathBuf;

use deadelus_proxy::{
    self as proxy, Routes,
    control::{Control, ControlError},
};
use deadelus_runtime::{ErrorClass, Failure};

use super::{Answer, Proxy, Report, ServerReport, Spent};

/// Our own proxy, at its control socket.
#[derive(Debug)]
pub(crate) struct Own(Control);

impl Own {
    pub(crate) fn new(control: PathBuf) -> Self {
        Self(Control::new(control))
    }
}

impl Proxy for Own {
    fn report(&self) -> Answer<'_, Report> {
        Box::pin(async { self.0.report().await.map(Report::from).map_err(failure) })
    }

    fn replace<'a>(&'a self, routes: &'a Routes) -> Answer<'a, ()> {
        Box::pin(async { self.0.replace(routes).await.map(drop).map_err(failure) })
    }
}

impl From<proxy::Report> for Report {
    fn from(report: proxy::Report) -> Self {
        let server = |s: proxy::ServerReport| ServerReport {
            name: s.name,
            address: s.address,
            weight: s.weight,
            in_flight: s.in_flight,
            requests: s.requests,
            errors: s.errors,
            spent: Spent::TotalUs(s.busy_us),
        };
        Self { servers: report.servers.into_iter().map(server).collect() }
    }
}

fn failure(error: ControlError) -> Failure {
    match error {
        ControlError::Away(_) => Failure::new(ErrorClass::Unavailable, format!("proxy: {error}"))
            .help("start deadelus-proxy with --control at that path, as the same user"),
        ControlError::Refused(_) => {
            Failure::new(ErrorClass::PreconditionFailed, format!("the proxy refused: {error}"))
        }
    }
}
