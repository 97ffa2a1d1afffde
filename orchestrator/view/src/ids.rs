//! Names that this program gives: of workflows and of messages.

use deadelus_proto::WorkflowId;

use crate::{ViewError, time};

/// Digits and small letters without those that look alike, as Crockford chose them.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 45 bits of milliseconds: until the year 3084.
const MOMENT_CHARS: u32 = 9;

/// 20 bits of chance: a thousand workflows in one millisecond of one person are not started.
const CHANCE_CHARS: u32 = 4;

/// `wf-1jdx3k9qz-7f3k`: sorts by time.
///
/// # Errors
/// Never; the alphabet is one of ids.
pub fn workflow() -> Result<WorkflowId, ViewError> {
    let now = u64::try_from(time::now_unix_ms()).unwrap_or_default();
    let id =
        format!("wf-{}-{}", base32(now, MOMENT_CHARS), base32(fastrand::u64(..), CHANCE_CHARS));
    id.parse().map_err(|e| ViewError::BadId(format!("{e}")))
}

/// Of a message, the same when it is sent again.
pub fn message(from: &str) -> String {
    format!("{from}-{:032x}", fastrand::u128(..))
}

/// The lowest `chars` digits.
fn base32(number: u64, chars: u32) -> String {
    let digit = |n: u32| char::from(ALPHABET[((number >> (5 * n)) & 31) as usize]);
    (0..chars).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_ids() {
        let numbers = [0, 31, 32, 1_763_735_202_000, 1_763_735_202_001, u64::MAX >> 19];
        let texts = numbers.map(|n| base32(n, MOMENT_CHARS));
        assert!(texts.is_sorted(), "{texts:?}");
        assert!(workflow().unwrap().as_str().starts_with("wf-1"));
    }
}
