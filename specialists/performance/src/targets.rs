//! The systems this specialist is configured for.

use std::collections::BTreeMap;

use deadelus_runtime::{ErrorClass, Failure, TargetCard, TargetName};

use crate::target::Site;

/// Checked, by name.
#[derive(Debug, Clone)]
pub(crate) struct Sites(pub(crate) BTreeMap<TargetName, Site>);

impl Sites {
    /// The one a task is about.
    pub(crate) fn site(&self, name: &TargetName) -> Result<&Site, Failure> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(TargetName::as_str).collect();
            let text = format!("target {name} is not configured for performance");
            Failure::new(ErrorClass::InvalidInput, text)
                .help(format!("configured are: {}", known.join(", ")))
        })
    }

    /// What plans may know of each.
    pub(crate) fn cards(&self) -> impl Iterator<Item = TargetCard> {
        self.0.iter().map(|(name, site)| TargetCard { name: name.clone(), facts: facts(site) })
    }
}

fn facts(site: &Site) -> BTreeMap<String, String> {
    let endpoints: Vec<String> =
        site.endpoints.iter().map(|step| format!("{} {}", step.method, step.name)).collect();
    let counters = match (&site.counters, &site.database) {
        (Some(_), Some(_)) => "service, postgresql",
        (Some(_), None) => "service",
        (None, Some(_)) => "postgresql",
        (None, None) => "none",
    };
    let mut facts = BTreeMap::from([
        ("base_url".to_owned(), site.base_url.clone()),
        ("endpoints".to_owned(), endpoints.join(", ")),
        ("rate_per_s".to_owned(), site.defaults.rate_per_s.to_string()),
        ("counters".to_owned(), counters.to_owned()),
    ]);
    if let Some(p95_ms) = site.budget.as_ref().and_then(|budget| budget.p95_ms) {
        facts.insert("p95_ms".to_owned(), p95_ms.to_string());
    }
    facts
}
