//! Deprecation, sunset and stability: what was announced, and whether it was in time.

use serde_json::Value;

/// How long something must stay after it was deprecated, and the day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Days since 1970-01-01.
    pub today: i64,
    /// Days between the deprecation of what is stable and its end; 0 asks for no announced end.
    pub stable_days: i64,
    /// The same for what is beta. What is alpha or a draft promises nothing.
    pub beta_days: i64,
}

/// The default notice for what is stable, as `oasdiff` has it: half a year.
pub(super) const STABLE_DAYS: u16 = 180;

/// The default notice for what is beta, as `oasdiff` has it: a month.
pub(super) const BETA_DAYS: u16 = 31;

/// What happened to something that exists on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Unchanged,
    Reactivated,
    Deprecated,
    WithSunset,
    SunsetMissing,
    SunsetInvalid,
    TooSoon,
    SunsetDeleted,
    MovedTooSoon,
}

/// Whether something that is gone had been announced to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Unannounced,
    BeforeSunset,
    Announced,
    SunsetInvalid,
}

/// `x-stability-level`, from the least promised to the most.
const STABILITY: [&str; 4] = ["draft", "alpha", "beta", "stable"];

enum Sunset {
    Missing,
    Invalid,
    At(i64),
}

impl Policy {
    /// With `oasdiff`'s periods.
    pub fn on(today: i64) -> Self {
        Self { today, stable_days: STABLE_DAYS.into(), beta_days: BETA_DAYS.into() }
    }

    /// What happened to an operation, a parameter or a schema.
    pub(super) fn life(&self, a: &Value, b: &Value) -> Life {
        let days = match stability(b) {
            Some(Some(0 | 1)) => 0,
            Some(Some(2)) => self.beta_days,
            Some(Some(_) | None) | None => self.stable_days,
        };
        match (deprecated(a), deprecated(b), sunset(b)) {
            (false, false, _) => Life::Unchanged,
            (true, false, _) => Life::Reactivated,
            (false, true, Sunset::Missing) if days > 0 => Life::SunsetMissing,
            (false, true, Sunset::Missing) => Life::Deprecated,
            (_, true, Sunset::Invalid) => Life::SunsetInvalid,
            (false, true, Sunset::At(day)) if day - self.today < days => Life::TooSoon,
            (false, true, Sunset::At(_)) => Life::WithSunset,
            (true, true, new) => match (sunset(a), new) {
                (Sunset::At(_), Sunset::Missing) => Life::SunsetDeleted,
                (Sunset::At(old), Sunset::At(new)) if new < old && new - self.today < days => {
                    Life::MovedTooSoon
                }
                _ => Life::Unchanged,
            },
        }
    }

    /// Whether something that is gone had been announced to go.
    pub(super) fn end(&self, gone: &Value) -> End {
        if matches!(stability(gone), Some(Some(0 | 1))) {
            return End::Announced;
        }
        match (deprecated(gone), sunset(gone)) {
            (false, _) => End::Unannounced,
            (true, Sunset::Missing) => End::Announced,
            (true, Sunset::Invalid) => End::SunsetInvalid,
            (true, Sunset::At(day)) if self.today < day => End::BeforeSunset,
            (true, Sunset::At(_)) => End::Announced,
        }
    }

    /// The aspects of a schema's life.
    pub(super) fn schema(&self, a: &Value, b: &Value) -> Vec<(&'static str, String)> {
        let life = match self.life(a, b) {
            Life::Unchanged => None,
            Life::Reactivated => Some(("reactivated", "it is no longer deprecated")),
            Life::Deprecated => Some(("deprecated", "it was deprecated")),
            Life::WithSunset => Some(("deprecated-with-sunset", "it was deprecated, with an end")),
            Life::SunsetMissing | Life::SunsetDeleted => {
                Some(("deprecated-sunset-missing", "it is deprecated and says no end"))
            }
            Life::SunsetInvalid => Some(("deprecated-sunset-invalid", "x-sunset is no date")),
            Life::TooSoon | Life::MovedTooSoon => {
                Some(("sunset-date-too-small", "it is deprecated, and ends too soon"))
            }
        };
        let stability = match stability_turn(a, b) {
            Turn::Same | Turn::Invalid => None,
            Turn::Increased => Some(("stability-increased", "it promises more")),
            Turn::Decreased => Some(("stability-decreased", "it promises less")),
        };
        let owned = |(aspect, text): (&'static str, &str)| (aspect, text.to_owned());
        life.into_iter().chain(stability).map(owned).collect()
    }
}

/// How `x-stability-level` changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Same,
    Increased,
    Decreased,
    Invalid,
}

/// How `x-stability-level` changed; not to be there is to be stable.
pub(super) fn stability_turn(a: &Value, b: &Value) -> Turn {
    let rank = |level: Option<Option<usize>>| level.unwrap_or(Some(STABILITY.len() - 1));
    match (rank(stability(a)), rank(stability(b))) {
        (_, None) => Turn::Invalid,
        (None, Some(_)) => Turn::Same,
        (Some(old), Some(new)) if new > old => Turn::Increased,
        (Some(old), Some(new)) if new < old => Turn::Decreased,
        (Some(_), Some(_)) => Turn::Same,
    }
}

/// Its rank; an inner none for a level that does not exist.
fn stability(value: &Value) -> Option<Option<usize>> {
    let level = value.get("x-stability-level")?;
    Some(level.as_str().and_then(|level| STABILITY.iter().position(|known| *known == level)))
}

fn deprecated(value: &Value) -> bool {
    value.get("deprecated").and_then(Value::as_bool).unwrap_or(false)
}

fn sunset(value: &Value) -> Sunset {
    match value.get("x-sunset") {
        None => Sunset::Missing,
        Some(date) => date.as_str().and_then(day).map_or(Sunset::Invalid, Sunset::At),
    }
}

/// Days since 1970-01-01 of `2031-05-09` or `2031-05-09T10:00:00Z`.
pub(super) fn day(text: &str) -> Option<i64> {
    let date = text.split_once('T').map_or(text, |(date, _)| date);
    let parts: Vec<i64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month @ 1..=12, day @ 1..=31] = parts[..] else { return None };
    // Days of the civil calendar, after Howard Hinnant: years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_of_the_calendar() {
        assert_eq!(day("1970-01-01"), Some(0));
        assert_eq!(day("2000-03-01T00:00:00Z"), Some(11_017));
        assert_eq!(day("2024-02-29"), Some(19_782));
        assert_eq!((day("2024-13-01"), day("soon"), day("")), (None, None, None));
    }

    #[test]
    fn what_was_announced_and_whether_in_time() {
        let policy = Policy { today: 0, stable_days: 180, beta_days: 31 };
        let plain = json!({});
        let deprecated = |sunset: &str| json!({"deprecated": true, "x-sunset": sunset});
        let far = deprecated("1971-01-01");
        assert_eq!(policy.life(&plain, &far), Life::WithSunset);
        assert_eq!(policy.life(&plain, &deprecated("1970-02-15")), Life::TooSoon);
        assert_eq!(policy.life(&plain, &deprecated("soon")), Life::SunsetInvalid);
        assert_eq!(policy.life(&plain, &json!({"deprecated": true})), Life::SunsetMissing);
        assert_eq!(policy.life(&far, &deprecated("1970-02-15")), Life::MovedTooSoon);
        assert_eq!(policy.life(&far, &json!({"deprecated": true})), Life::SunsetDeleted);
        assert_eq!(policy.life(&far, &plain), Life::Reactivated);
        let beta =
            json!({"deprecated": true, "x-sunset": "1970-02-15", "x-stability-level": "beta"});
        assert_eq!(policy.life(&plain, &beta), Life::WithSunset);
        assert_eq!(policy.end(&plain), End::Unannounced);
        assert_eq!(policy.end(&far), End::BeforeSunset);
        assert_eq!(policy.end(&deprecated("1969-01-01")), End::Announced);
    }
}
