//! Advisories about packages, from a folder: a checkout of the RustSec database, or OSV documents.

use std::{collections::BTreeMap, fs, path::Path};

use deadelus_runtime::{ErrorClass, Failure};
use ignore::WalkBuilder;
use semver::{Version, VersionReq};
use serde::Deserialize;
use serde_json::Value;

use crate::{finding::Level, waivers::Day};

/// All of RustSec are about a thousand, all of OSV for crates a few thousand.
const ADVISORIES_MAX: usize = 100_000;
/// Of one advisory; the longest known has a few pages.
const ADVISORY_MAX_BYTES: u64 = 1 << 20;

/// One advisory about one package.
#[derive(Debug, Clone)]
pub(crate) struct Advisory {
    pub(crate) id: String,
    pub(crate) package: String,
    pub(crate) level: Level,
    /// When it became known.
    pub(crate) date: Day,
    affected: Affected,
}

#[derive(Debug, Clone)]
enum Affected {
    /// All versions but those that match one of these.
    AllBut(Vec<VersionReq>),
    /// From the first on, until before the second or through the third.
    Ranges(Vec<Range>),
}

#[derive(Debug, Clone)]
struct Range {
    introduced: Version,
    fixed: Option<Version>,
    last_affected: Option<Version>,
}

impl Advisory {
    /// Whether this version is affected. A pre-release counts as affected unless it is named:
    /// whether it already has what its release has, nobody says.
    pub(crate) fn affects(&self, version: &Version) -> bool {
        match &self.affected {
            Affected::AllBut(safe) => !safe.iter().any(|safe| safe.matches(version)),
            Affected::Ranges(ranges) => ranges.iter().any(|range| {
                range.introduced <= *version
                    && range.fixed.as_ref().is_none_or(|fixed| version < fixed)
                    && range.last_affected.as_ref().is_none_or(|last| version <= last)
            }),
        }
    }

    /// What to move to: `>= 0.6.10`.
    pub(crate) fn way_out(&self) -> String {
        let parts: Vec<String> = match &self.affected {
            Affected::AllBut(safe) => safe.iter().map(VersionReq::to_string).collect(),
            Affected::Ranges(ranges) => {
                ranges.iter().filter_map(|r| r.fixed.as_ref()).map(|f| format!(">= {f}")).collect()
            }
        };
        if parts.is_empty() {
            "no version is known to be safe".to_owned()
        } else {
            parts.join(" or ")
        }
    }
}

/// All advisories of a folder, by package.
///
/// # Errors
/// `unavailable` when there are none: no data is not no danger.
pub(crate) fn load(folder: &Path) -> Result<BTreeMap<String, Vec<Advisory>>, Failure> {
    let unavailable = |what: String| {
        Failure::new(ErrorClass::Unavailable, format!("advisories {}: {what}", folder.display()))
            .help("put a checkout of the RustSec advisory database or OSV documents there")
    };
    let mut advisories: BTreeMap<String, Vec<Advisory>> = BTreeMap::new();
    let mut read = 0;
    for entry in WalkBuilder::new(folder).standard_filters(false).build() {
        let entry = entry.map_err(|e| unavailable(e.to_string()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let rustsec = name.starts_with("RUSTSEC-") && name.ends_with(".md");
        if !rustsec && !name.ends_with(".json") {
            continue;
        }
        let path = entry.path();
        let wrong = |what: String| unavailable(format!("{}: {what}", path.display()));
        let size = entry.metadata().map_err(|e| wrong(e.to_string()))?.len();
        if size > ADVISORY_MAX_BYTES || read == ADVISORIES_MAX {
            return Err(wrong(format!(
                "more than {ADVISORY_MAX_BYTES} bytes or {ADVISORIES_MAX} files"
            )));
        }
        read += 1;
        let text = fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let found = if rustsec { from_rustsec(&text) } else { from_osv(&text) };
        for advisory in found.map_err(wrong)? {
            advisories.entry(advisory.package.clone()).or_default().push(advisory);
        }
    }
    if advisories.is_empty() {
        return Err(unavailable("there is none".to_owned()));
    }
    Ok(advisories)
}

/// The front matter of a page of the RustSec database; nothing when it was withdrawn.
fn from_rustsec(text: &str) -> Result<Vec<Advisory>, String> {
    #[derive(Deserialize)]
    struct Page {
        advisory: Head,
        #[serde(default)]
        versions: Versions,
    }
    #[derive(Deserialize)]
    struct Head {
        id: String,
        package: String,
        date: Day,
        informational: Option<String>,
        withdrawn: Option<String>,
    }
    #[derive(Default, Deserialize)]
    struct Versions {
        #[serde(default)]
        patched: Vec<VersionReq>,
        #[serde(default)]
        unaffected: Vec<VersionReq>,
    }
    let front = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
    let page: Page = toml::from_str(front.ok_or("no front matter")?)
        .map_err(|e| format!("no front matter: {}", e.message()))?;
    let Head { id, package, date, informational, withdrawn } = page.advisory;
    if withdrawn.is_some() {
        return Ok(vec![]);
    }
    let level = level(informational.as_deref());
    let safe = page.versions.patched.into_iter().chain(page.versions.unaffected).collect();
    Ok(vec![Advisory { id, package, level, date, affected: Affected::AllBut(safe) }])
}

/// The packages of crates.io in an OSV document; nothing when it was withdrawn.
fn from_osv(text: &str) -> Result<Vec<Advisory>, String> {
    let document: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
    let id = document["id"].as_str().ok_or("no OSV document: it has no id")?;
    if document["withdrawn"].is_string() {
        return Ok(vec![]);
    }
    let said = document["published"].as_str().or_else(|| document["modified"].as_str());
    let day = said.and_then(|said| said.get(..10)).and_then(|day| day.parse().ok());
    let date: Day = day.ok_or("no OSV document: neither published nor modified")?;
    let mut advisories = vec![];
    for affected in document["affected"].as_array().into_iter().flatten() {
        if affected["package"]["ecosystem"] != "crates.io" {
            continue;
        }
        let package = affected["package"]["name"].as_str().ok_or("a package without a name")?;
        let mut ranges = vec![];
        for range in affected["ranges"].as_array().into_iter().flatten() {
            if range["type"] == "SEMVER" {
                ranges.extend(events(&range["events"])?);
            }
        }
        advisories.push(Advisory {
            id: id.to_owned(),
            package: package.to_owned(),
            level: level(affected["database_specific"]["informational"].as_str()),
            date,
            affected: Affected::Ranges(ranges),
        });
    }
    Ok(advisories)
}

/// Pairs of events, in their order.
fn events(events: &Value) -> Result<Vec<Range>, String> {
    let version = |value: &Value| -> Result<Option<Version>, String> {
        let Some(text) = value.as_str() else { return Ok(None) };
        let text = if text == "0" { "0.0.0-0" } else { text };
        text.parse().map(Some).map_err(|e| format!("version {text}: {e}"))
    };
    let mut ranges: Vec<Range> = vec![];
    for event in events.as_array().into_iter().flatten() {
        if let Some(introduced) = version(&event["introduced"])? {
            ranges.push(Range { introduced, fixed: None, last_affected: None });
        }
        if let Some(open) = ranges.last_mut() {
            open.fixed = version(&event["fixed"])?.or_else(|| open.fixed.take());
            open.last_affected =
                version(&event["last_affected"])?.or_else(|| open.last_affected.take());
        }
    }
    Ok(ranges)
}

/// What is only information says what kind: nobody looks after it, or it breaks promises.
fn level(informational: Option<&str>) -> Level {
    match informational {
        None => Level::Error,
        Some("unsound") => Level::Warning,
        Some(_) => Level::Note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(more: &str, versions: &str) -> String {
        format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"a\"\ndate = \"2026-01-02\"\n{more}\n[versions]\n{versions}\n```\n# Title\n"
        )
    }

    fn affects(advisory: &Advisory, version: &str) -> bool {
        advisory.affects(&version.parse().unwrap())
    }

    #[test]
    fn a_page_names_the_versions_that_are_safe() {
        let text = page("", "patched = [\">= 0.6.10\"]\nunaffected = [\"< 0.6.5\"]");
        let [advisory] = &from_rustsec(&text).unwrap()[..] else { panic!("one") };
        let of = ["0.6.4", "0.6.5", "0.6.9", "0.6.10", "1.0.0"].map(|v| affects(advisory, v));
        assert_eq!(of, [false, true, true, false, false]);
        assert_eq!(
            (advisory.level, advisory.way_out().as_str()),
            (Level::Error, ">=0.6.10 or <0.6.5")
        );
        let [never] = &from_rustsec(&page("", "patched = []")).unwrap()[..] else { panic!("one") };
        assert!(affects(never, "99.0.0") && never.way_out().starts_with("no version"));
        let informational = from_rustsec(&page("informational = \"unmaintained\"", "patched = []"));
        assert_eq!(informational.unwrap()[0].level, Level::Note);
        assert!(
            from_rustsec(&page("withdrawn = \"2026-02-02\"", "patched = []")).unwrap().is_empty()
        );
        assert!(
            from_rustsec("# Title").is_err() && from_rustsec(&page("", "patched = 1")).is_err()
        );
    }

    #[test]
    fn a_document_names_the_versions_that_are_not() {
        let text = serde_json::json!({
            "id": "GHSA-1", "published": "2026-01-02T00:00:00Z",
            "affected": [
                { "package": { "ecosystem": "npm", "name": "b" } },
                { "package": { "ecosystem": "crates.io", "name": "a" }, "ranges": [
                    { "type": "SEMVER", "events": [
                        { "introduced": "0" }, { "fixed": "1.2.0" },
                        { "introduced": "2.0.0" }, { "last_affected": "2.1.0" },
                    ] },
                ] },
            ],
        });
        let [advisory] = &from_osv(&text.to_string()).unwrap()[..] else { panic!("one") };
        let of = ["0.1.0", "1.2.0", "2.0.0", "2.1.0", "2.1.1"].map(|v| affects(advisory, v));
        assert_eq!(of, [true, false, true, true, false]);
        for wrong in ["", "{}", r#"{"id":"x"}"#] {
            assert!(from_osv(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_data_is_unavailable() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), &folder.path().join("missing")] {
            assert_eq!(load(path).unwrap_err().class, ErrorClass::Unavailable);
        }
        fs::write(folder.path().join("RUSTSEC-2026-0001.md"), "no page").unwrap();
        let failure = load(folder.path()).unwrap_err();
        assert!(failure.message.contains("RUSTSEC-2026-0001.md"), "{failure}");
    }
}
