//! When the periods of a price begin: what an invoice is held against. Pure, and the provider is not
//! asked.

use time::{Date, Duration, Month, OffsetDateTime};

use crate::catalogue::declared::{Interval, Recurring};

/// The beginning of the `n`th period after `anchor`, in Unix seconds; none beyond the calendar. A
/// month that is too short for the anchor's day has its period begin on its last day, and the next
/// one begins on the anchor's day again: <https://docs.stripe.com/billing/subscriptions/billing-cycle>.
pub(crate) fn start(anchor: i64, every: &Recurring, n: i64) -> Option<i64> {
    let from = OffsetDateTime::from_unix_timestamp(anchor).ok()?;
    let units = n.checked_mul(every.interval_count.into())?;
    let to = match every.interval {
        Interval::Day => from.checked_add(Duration::days(units))?,
        Interval::Week => from.checked_add(Duration::days(units.checked_mul(7)?))?,
        Interval::Month => from.replace_date(months_after(from.date(), units)?),
        Interval::Year => from.replace_date(months_after(from.date(), units.checked_mul(12)?)?),
    };
    Some(to.unix_timestamp())
}

/// `anchor` some months later.
pub(crate) fn months_later(anchor: i64, months: i64) -> Option<i64> {
    start(anchor, &Recurring { interval: Interval::Month, interval_count: 1 }, months)
}

fn months_after(date: Date, months: i64) -> Option<Date> {
    let since_year_0 = i64::from(date.year()) * 12 + i64::from(u8::from(date.month()) - 1) + months;
    let month = u8::try_from(since_year_0.rem_euclid(12)).ok()? + 1;
    let (year, month) = (since_year_0.div_euclid(12), Month::try_from(month).ok()?);
    let year = i32::try_from(year).ok()?;
    // The last day that there is, from the anchor's day down.
    (1..=date.day()).rev().find_map(|day| Date::from_calendar_date(year, month, day).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_month_does_not_shorten_the_next_one() {
        // 2024-01-31T12:00:00Z, by `date -u -d 2024-01-31T12:00 +%s`.
        let anchor = 1_706_702_400;
        for (interval, interval_count, n, expected) in [
            (Interval::Month, 1, 1, 1_709_208_000), // 2024-02-29T12:00
            (Interval::Month, 1, 2, 1_711_886_400), // 2024-03-31T12:00
            (Interval::Month, 1, 3, 1_714_478_400), // 2024-04-30T12:00
            (Interval::Month, 3, 4, 1_738_324_800), // 2025-01-31T12:00
            (Interval::Year, 1, 1, 1_738_324_800),  // 2025-01-31T12:00
            (Interval::Week, 2, 1, 1_707_912_000),  // 2024-02-14T12:00
            (Interval::Day, 1, 29, 1_709_208_000),  // 2024-02-29T12:00
        ] {
            let every = Recurring { interval, interval_count };
            assert_eq!(start(anchor, &every, n), Some(expected), "{every:?} {n}");
        }
        let yearly = Recurring { interval: Interval::Year, interval_count: u32::MAX };
        assert_eq!(start(anchor, &yearly, 1), None);
    }
}
