//! What time it is, asked in one place.

use std::time::SystemTime;

/// Seconds since 1970. Before that, 0: no token was good then.
pub(crate) fn now_unix_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
