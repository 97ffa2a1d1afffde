//! What an operator configures about a service, checked once at the start.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use deadelus_runtime::{ErrorClass, Failure, InvalidTarget, Problem, TargetName};
use hyper::Uri;
use serde::{Deserialize, Serialize};

use crate::{
    fleet::{Fleet, Processes},
    health::Prober,
    revision_file::RevisionFile,
};

/// A switch and its taking back, each with a last probe, fit into [`CAPABILITY_TIMEOUT`].
const SWITCH_TIMEOUT_MAX_MS: u64 = 50_000;

/// A service that takes longer to say how it is, is not well.
const PROBE_TIMEOUT_MAX_MS: u64 = 5_000;

/// Start to close of a release. Of a file: a switch, and a switch back. Of a fleet: a switch and its
/// confirmation (50 s each), then a switch back (50 s), a drain (15 s) and a stop (35 s); and room to
/// report.
pub(crate) const CAPABILITY_TIMEOUT: Duration = Duration::from_secs(240);

/// More often than this is a load test; together with the switch's timeout it bounds a timeline
/// to 5,000 probes.
const PROBE_INTERVAL_MIN_MS: u64 = 10;

/// More probes in a row than this say nothing that fewer do not.
const HEALTHY_PROBES_MAX: u32 = 100;

/// Characters of a revision's name; it stands in facts, checks and file names of people.
const REVISION_NAME_MAX_CHARS: usize = 64;

/// A service: one process that follows a file, or a fleet of processes behind a proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentTarget {
    /// The file the service follows: `{"revision":"v1"}`. Absolute. This process replaces it, so
    /// it needs to write in its directory. For a service that is released by configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_file: Option<PathBuf>,
    /// Where the service itself, not a proxy before it, says how it is: `http://` only. Expected:
    /// `{"status":"ok","revision":"v1"}`, with an `error` when it cannot follow the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_url: Option<String>,
    /// Instead of these two: the processes that serve it, behind a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
    /// What may be released, by name.
    pub revisions: BTreeMap<String, Revision>,
    /// Healthy answers in a row that end a switch.
    #[serde(default = "default_healthy_probes")]
    pub healthy_probes: u32,
    /// From the end of one probe to the next.
    #[serde(default = "default_probe_interval_ms")]
    pub probe_interval_ms: u64,
    /// A probe without an answer for this long has failed; at most 5,000.
    #[serde(default = "default_probe_timeout_ms")]
    pub probe_timeout_ms: u64,
    /// A switch that has not settled by then is given up; at most 50,000.
    #[serde(default = "default_switch_timeout_ms")]
    pub switch_timeout_ms: u64,
}

/// One revision of a service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// In a sentence, for the person who approves.
    #[serde(default)]
    pub summary: String,
    /// Causes of slowness that releasing this revision removes: `n_plus_one`. Each cause is named
    /// by one revision.
    #[serde(default)]
    pub fixes: BTreeSet<String>,
    /// Versions of the database's schema that it can work with, the first and the last. Releasing
    /// it, and going back to it, is refused outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_range: Option<[i64; 2]>,
    /// Of a fleet: the program, absolute, and its arguments; `{address}` and `{port}` stand for
    /// where it is to listen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Of a fleet: the environment of its processes, which have no other. No secrets here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Of a fleet: variables handed on from this specialist's own environment: the place for
    /// secrets.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub environment_from: BTreeSet<String>,
}

fn default_healthy_probes() -> u32 {
    3
}

fn default_probe_interval_ms() -> u64 {
    100
}

fn default_probe_timeout_ms() -> u64 {
    2_000
}

fn default_switch_timeout_ms() -> u64 {
    20_000
}

/// A checked target with the means to reach it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) revisions: BTreeMap<String, Revision>,
    pub(crate) way: Way,
}

/// How a service is released.
#[derive(Debug)]
pub(crate) enum Way {
    /// It follows a file.
    File(Box<ByFile>),
    /// Its processes are started and stopped, and a proxy is told.
    Fleet(Box<Fleet>),
}

/// A service that follows a file.
#[derive(Debug)]
pub(crate) struct ByFile {
    pub(crate) file: RevisionFile,
    pub(crate) prober: Prober,
    pub(crate) watch: Watch,
}

/// How long and how often a service is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    pub(crate) healthy_probes: u32,
    pub(crate) probe_interval: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) switch_timeout: Duration,
}

impl Target {
    fn check(config: DeploymentTarget) -> Result<Self, Problem> {
        check_revisions(&config.revisions).map_err(|problem| ("revisions", problem))?;
        check_times(&config)?;
        let watch = Watch {
            healthy_probes: config.healthy_probes,
            probe_interval: Duration::from_millis(config.probe_interval_ms),
            probe_timeout: Duration::from_millis(config.probe_timeout_ms),
            switch_timeout: Duration::from_millis(config.switch_timeout_ms),
        };
        let way = match (config.revision_file, config.health_url, config.processes) {
            (Some(file), Some(url), None) => Way::File(Box::new(ByFile::check(file, &url, watch)?)),
            (None, None, Some(processes)) => {
                Way::Fleet(Box::new(Fleet::check(processes, &config.revisions, watch)?))
            }
            (file, ..) => {
                let setting = if file.is_some() { "health_url" } else { "revision_file" };
                let rule = "give revision_file and health_url, or else processes";
                return Err((setting, rule.to_owned()));
            }
        };
        Ok(Self { revisions: config.revisions, way })
    }

    /// Refuses a revision that cannot work with the schema as it is. `live` is its version, as
    /// `db.inspect` measured it.
    pub(crate) fn carries(&self, revision: &str, live: Option<i64>) -> Result<(), Failure> {
        let range = self.revisions.get(revision).and_then(|r| r.schema_range);
        let Some([first, last]) = range else { return Ok(()) };
        let text = match live {
            Some(live) if (first..=last).contains(&live) => return Ok(()),
            Some(live) => format!(
                "{revision} works with versions {first} to {last} of the schema; it is at {live}"
            ),
            None => format!(
                "{revision} works with versions {first} to {last} of the schema; it was not \
                 measured"
            ),
        };
        Err(Failure::new(ErrorClass::PreconditionFailed, text)
            .help("give schema_version, from db.inspect; migrate or revert the database first"))
    }

    /// Refuses a revision that nobody declared.
    pub(crate) fn declared(&self, revision: &str) -> Result<(), Failure> {
        if self.revisions.contains_key(revision) {
            return Ok(());
        }
        let text = format!("revision {revision:?} is not declared for this target");
        Err(Failure::new(ErrorClass::InvalidInput, text)
            .help(format!("declared are: {}", self.revision_names())))
    }

    /// `v1,v2`
    pub(crate) fn revision_names(&self) -> String {
        self.revisions.keys().map(String::as_str).collect::<Vec<_>>().join(",")
    }

    /// What plans may know of it.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::from([("revisions".to_owned(), self.revision_names())]);
        for (revision, about) in &self.revisions {
            for fix in &about.fixes {
                facts.insert(format!("fixes.{fix}"), revision.clone());
            }
        }
        facts
    }
}

/// All services of this process, shared by its capabilities.
pub(crate) type Targets = deadelus_runtime::Targets<Target>;

/// # Errors
/// The first service whose configuration cannot work.
pub(crate) fn checked(
    configured: BTreeMap<TargetName, DeploymentTarget>,
) -> Result<Targets, InvalidTarget> {
    Targets::check(configured, Target::check)
}

impl ByFile {
    fn check(file: PathBuf, url: &str, watch: Watch) -> Result<Self, Problem> {
        if !file.is_absolute() {
            return Err(("revision_file", format!("{} is not absolute", file.display())));
        }
        let url = http_url(url).map_err(|problem| ("health_url", problem))?;
        Ok(Self {
            file: RevisionFile::new(file),
            prober: Prober::new(url, watch.probe_timeout),
            watch,
        })
    }
}

/// An address that may be traced and logged, asked in the clear.
pub(crate) fn http_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|e| format!("{text:?}: {e}"))?;
    let authority = url.authority().ok_or_else(|| format!("{text:?} has no host"))?;
    if url.scheme_str() != Some("http") {
        return Err(format!("{text:?}: the service itself is asked, over http://"));
    }
    if authority.as_str().contains('@') {
        return Err("must not hold a user name or a password".to_owned());
    }
    Ok(url)
}

fn check_revisions(revisions: &BTreeMap<String, Revision>) -> Result<(), String> {
    if revisions.is_empty() {
        return Err("declares none: there is nothing to release".to_owned());
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut fixed_by = BTreeMap::new();
    for (name, revision) in revisions {
        if name.is_empty() || name.len() > REVISION_NAME_MAX_CHARS || !name.chars().all(legal) {
            let rule = format!("1 to {REVISION_NAME_MAX_CHARS} of a-z A-Z 0-9 . _ -");
            return Err(format!("{name:?}: use {rule}"));
        }
        if let Some([first, last]) = revision.schema_range
            && first > last
        {
            return Err(format!("{name}: schema_range {first} to {last} is empty"));
        }
        for fix in &revision.fixes {
            if let Some(other) = fixed_by.insert(fix, name) {
                return Err(format!(
                    "{fix} is fixed by {other} and by {name}: name the one to release for it"
                ));
            }
        }
    }
    Ok(())
}

fn check_times(config: &DeploymentTarget) -> Result<(), Problem> {
    let within = |setting, value: u64, min: u64, max: u64| {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err((setting, format!("{value} is not within {min} and {max}")))
    };
    let switch = config.switch_timeout_ms;
    within("switch_timeout_ms", switch, PROBE_INTERVAL_MIN_MS, SWITCH_TIMEOUT_MAX_MS)?;
    within("probe_timeout_ms", config.probe_timeout_ms, 1, PROBE_TIMEOUT_MAX_MS)?;
    let most_in_a_row = u64::from(HEALTHY_PROBES_MAX);
    within("healthy_probes", u64::from(config.healthy_probes), 1, most_in_a_row)?;
    let widest = switch / u64::from(config.healthy_probes);
    within("probe_interval_ms", config.probe_interval_ms, PROBE_INTERVAL_MIN_MS, widest)
}

#[cfg(test)]
mod tests {
    use deadelus_runtime::Context;
    use serde_json::{Value, json};

    use super::*;

    fn target(change: impl FnOnce(&mut Value)) -> Result<Targets, InvalidTarget> {
        let mut config = json!({
            "revision_file": "/srv/shop/revision.json",
            "health_url": "http://127.0.0.1:8080/healthz",
            "revisions": {
                "v1": {"summary": "as it was"},
                "v2": {"summary": "one join", "fixes": ["n_plus_one"]},
            },
        });
        change(&mut config);
        let config: DeploymentTarget = serde_json::from_value(config).unwrap();
        checked(BTreeMap::from([("shop".parse().unwrap(), config)]))
    }

    #[test]
    fn plans_are_told_what_can_be_released_and_what_it_fixes() {
        let targets = target(|_| ()).unwrap();
        let card = targets.cards(Target::facts).next().unwrap();
        let facts: Vec<_> = card.facts.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(facts, [("fixes.n_plus_one", "v2"), ("revisions", "v1,v2")]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        type Spoil = fn(&mut Value);
        let cases: [(&str, Spoil); 13] = [
            ("revision_file", |c| c["revision_file"] = json!("revision.json")),
            ("health_url", |c| c["health_url"] = json!("https://shop/healthz")),
            ("health_url", |c| c["health_url"] = json!("http://ops:secret@shop/healthz")),
            ("health_url", |c| c["health_url"] = json!("/healthz")),
            ("health_url", |c| drop(c.as_object_mut().unwrap().remove("health_url"))),
            ("revision_file", |c| drop(c.as_object_mut().unwrap().remove("revision_file"))),
            ("health_url", |c| c["processes"] = fleet()),
            ("revisions", |c| c["revisions"]["v1"]["schema_range"] = json!([7, 6])),
            ("revisions", |c| c["revisions"] = json!({})),
            ("revisions", |c| c["revisions"]["v 3"] = json!({})),
            ("revisions", |c| c["revisions"]["v3"] = json!({"fixes": ["n_plus_one"]})),
            ("healthy_probes", |c| c["healthy_probes"] = json!(0)),
            ("probe_interval_ms", |c| c["probe_interval_ms"] = json!(7_000)),
        ];
        for (setting, change) in cases {
            assert_eq!(target(change).unwrap_err().setting, setting);
        }
    }

    fn fleet() -> Value {
        json!({"folder": "/f", "url": "http://127.0.0.1/", "proxy": {"kind": "own", "control": "/c"}})
    }

    #[test]
    fn a_revision_outside_its_range_of_schemas_is_refused() {
        let targets = target(|c| c["revisions"]["v1"]["schema_range"] = json!([6, 7])).unwrap();
        let target = targets.of(&Context::detached("shop")).unwrap();
        for (revision, live, refused) in [
            ("v1", Some(6), false),
            ("v1", Some(7), false),
            ("v1", Some(8), true),
            ("v1", None, true),
            ("v2", None, false),
        ] {
            let failure = target.carries(revision, live).err();
            assert_eq!(failure.is_some(), refused, "{revision} {live:?}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_an_error() {
        let text = json!({"revision_file": "/r", "health_url": "http://a/", "revision": {}});
        let error = serde_json::from_value::<DeploymentTarget>(text).unwrap_err();
        assert!(error.to_string().contains("unknown field `revision`"), "{error}");
    }
}
