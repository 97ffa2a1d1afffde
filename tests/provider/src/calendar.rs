//! When the periods of a subscription begin.

use time::{Date, Duration, Month, OffsetDateTime};

/// The beginning of the `n`th period after `anchor`, in Unix seconds. A month that is too short
/// ends the period on its last day; the next one is as long as ever. None when it leaves the
/// calendar, or for an interval that is none.
pub(crate) fn period_start(anchor: i64, interval: &str, count: i64, n: i64) -> Option<i64> {
    let from = OffsetDateTime::from_unix_timestamp(anchor).ok()?;
    let steps = count.checked_mul(n)?;
    let to = match interval {
        "day" => from.checked_add(Duration::days(steps))?,
        "week" => from.checked_add(Duration::weeks(steps))?,
        "month" => from.replace_date(months_later(from.date(), steps)?),
        "year" => from.replace_date(months_later(from.date(), steps.checked_mul(12)?)?),
        _ => return None,
    };
    Some(to.unix_timestamp())
}

fn months_later(date: Date, months: i64) -> Option<Date> {
    let index = i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1 + months;
    let year = i32::try_from(index.div_euclid(12)).ok()?;
    let month = Month::try_from(u8::try_from(index.rem_euclid(12) + 1).ok()?).ok()?;
    Date::from_calendar_date(year, month, date.day().min(month.length(year))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_when_they_end() {
        // 2024-01-31T00:00:00Z
        let anchor = 1_706_659_200;
        let days = |n| (period_start(anchor, "month", 1, n).unwrap() - anchor) / 86_400;
        // 29 February, 31 March, 30 April.
        assert_eq!([days(1), days(2), days(3)], [29, 60, 90]);
        assert_eq!((period_start(anchor, "year", 1, 1).unwrap() - anchor) / 86_400, 366);
        assert_eq!(period_start(anchor, "fortnight", 1, 1), None);
    }
}
