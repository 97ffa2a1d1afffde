//! Moments and durations as people read them. No clock but [`now_unix_ms`].

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, by this machine's clock.
pub fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2025-11-21 14:26:42 UTC`
pub fn moment(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02} UTC")
}

/// `14:26:42`
pub fn clock(unix_ms: i64) -> String {
    moment(unix_ms).get(11..19).unwrap_or_default().to_owned()
}

/// `340 ms`, `1.2 s`, `2m 05s`, `3h 07m`, `2d 04h`
pub fn span(ms: i64) -> String {
    let s = ms / 1000;
    match ms.max(0) {
        0..1000 => format!("{} ms", ms.max(0)),
        1000..60_000 => format!("{}.{} s", s, ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m {:02}s", s / 60, s % 60),
        3_600_000..86_400_000 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// Year, month and day of a day since the epoch, by Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_827_696_789), "2000-02-29 12:34:56 UTC");
        assert_eq!(clock(951_827_696_789), "12:34:56");
    }

    #[test]
    fn durations_keep_two_figures() {
        let shown: Vec<_> = [0, 999, 1_250, 61_000, 3_661_000, 90_000_000].map(span).into();
        assert_eq!(shown, ["0 ms", "999 ms", "1.2 s", "1m 01s", "1h 01m", "1d 01h"]);
    }
}
