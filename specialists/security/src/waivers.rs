//! Accepted findings: who accepted what, why, and until when. One JSON object a line, so that a
//! change is one line of a diff and its undo removes exactly that line.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::{Date, Duration, Month, OffsetDateTime};

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiver {
    pub(crate) fingerprint: String,
    pub(crate) reason: String,
    pub(crate) by: String,
    /// The last day it counts.
    pub(crate) until: Day,
}

/// A day of the calendar, in UTC: `2026-01-31`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Day(Date);

/// Not a day: use `2026-01-31`.
#[derive(Debug, thiserror::Error)]
#[error("not a day, as 2026-01-31 is")]
pub struct NoDay;

impl Day {
    pub(crate) fn today() -> Self {
        Self(OffsetDateTime::now_utc().date())
    }

    /// That many days later.
    pub(crate) fn after(self, days: i64) -> Self {
        Self(self.0.saturating_add(Duration::days(days)))
    }
}

impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let mut parts = text.splitn(3, '-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
        };
        let (year, month, day) = (number(4), number(2), number(2));
        let day = (|| {
            let month = Month::try_from(u8::try_from(month?).ok()?).ok()?;
            Date::from_calendar_date(year?.into(), month, u8::try_from(day?).ok()?).ok()
        })();
        day.map(Self).ok_or(NoDay)
    }
}

impl TryFrom<String> for Day {
    type Error = NoDay;

    fn try_from(text: String) -> Result<Self, NoDay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The lines of a file of waivers; each ends with a line end, also the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines(Vec<String>);

impl Lines {
    /// Of a file's text.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.lines().map(|line| format!("{line}\n")).collect())
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        self.0.concat()
    }

    /// SHA-256 of the text.
    pub(crate) fn fingerprint(&self) -> String {
        deadelus_runtime::sha256(self.text().as_bytes()).to_string()
    }

    /// The waivers, with their places.
    pub(crate) fn waivers(&self) -> impl Iterator<Item = (usize, Waiver)> {
        let parsed = self.0.iter().map(|line| serde_json::from_str(line).ok()).enumerate();
        parsed.filter_map(|(place, waiver)| Some((place, waiver?)))
    }

    /// The same with one more, at a place or at the end.
    pub(crate) fn with(&self, place: usize, waiver: &Waiver) -> Self {
        let mut lines = self.clone();
        let line = serde_json::json!(waiver).to_string();
        lines.0.insert(place.min(lines.0.len()), format!("{line}\n"));
        lines
    }

    /// The same without the line at a place.
    pub(crate) fn without(&self, place: usize) -> Self {
        let kept = self.0.iter().enumerate().filter(|(at, _)| *at != place);
        Self(kept.map(|(_, line)| line.clone()).collect())
    }
}

/// Which line of a file is no waiver.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no waiver")]
pub(crate) struct NoWaiver {
    line: usize,
    source: serde_json::Error,
}

/// Every waiver of a file; empty lines are fine.
pub(crate) fn parse(text: &str) -> Result<Vec<Waiver>, NoWaiver> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(place, line)| {
            serde_json::from_str(line).map_err(|source| NoWaiver { line: place + 1, source })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_written_the_same() {
        let day: Day = "2026-02-28".parse().unwrap();
        assert_eq!(day.to_string(), "2026-02-28");
        for wrong in
            ["2026-02-30", "28.2.2026", "", "2026-02-28T00:00:00Z", "+026-01-01", "2026-1-01"]
        {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_that_comes_and_goes_leaves_no_trace() {
        let waiver = |fingerprint: &str| Waiver {
            fingerprint: fingerprint.to_owned(),
            reason: "r".to_owned(),
            by: "b".to_owned(),
            until: "2026-01-01".parse().unwrap(),
        };
        let lines = Lines::new("").with(0, &waiver("a")).with(9, &waiver("c"));
        let more = lines.with(1, &waiver("b"));
        let places: Vec<_> = more.waivers().map(|(at, w)| (at, w.fingerprint)).collect();
        assert_eq!(places, [(0, "a".into()), (1, "b".into()), (2, "c".into())]);
        assert_eq!(more.without(1), lines);
        assert_eq!(more.without(1).fingerprint(), lines.fingerprint());
        assert_eq!(Lines::new(&more.text()), more);
        assert_eq!(Lines::new(more.text().trim_end()), more);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = r#"{"fingerprint":"f","reason":"r","by":"b","until":"2026-01-01"}"#;
        assert_eq!(parse(&format!("\n{good}\n")).unwrap().len(), 1);
        let error = parse(&format!("{good}\n{{}}\n")).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is no waiver");
    }
}
