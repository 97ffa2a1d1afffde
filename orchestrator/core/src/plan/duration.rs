//! `120s`, `500ms`, `2m`, `1h`.

use crate::limits::TIMEOUT_MAX_MS;

/// Milliseconds of a duration as a plan writes it.
pub(crate) fn parse_ms(text: &str) -> Result<i64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit_ms: i64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad(text)),
    };
    let ms = number.parse::<i64>().ok().and_then(|n| n.checked_mul(unit_ms));
    ms.filter(|ms| (1..=TIMEOUT_MAX_MS).contains(ms)).ok_or_else(|| bad(text))
}

fn bad(text: &str) -> String {
    format!("{:?} is not a duration of 1ms to 24h; write 500ms, 120s, 2m or 1h", crate::shown(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for (text, ms) in [("500ms", 500), ("120s", 120_000), ("2m", 120_000), ("24h", 86_400_000)]
        {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "s", "0s", "1", "-1s", "1.5s", "25h", "99999999999999999999s", "1 s", "1ü"]
        {
            assert!(parse_ms(bad).is_err(), "{bad:?}");
        }
    }
}
