//! Whether a value that has the shape of a credential is one: not a placeholder, not a published
//! sample, not made of words.

use aho_corasick::AhoCorasick;
use regex::bytes::RegexSet;

/// Of a value's SHA-256, in hexadecimal digits; what the list of published samples holds.
const SAMPLE_DIGITS: usize = 16;

/// What only looks like a credential.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) values: RegexSet,
    pub(super) samples: Vec<String>,
    pub(super) words: AhoCorasick,
}

impl Allowed {
    /// Whether nobody has to worry about this value.
    pub(super) fn stands_for_nothing(&self, value: &[u8], entropy_min: f64) -> bool {
        entropy(value) < entropy_min || self.values.is_match(value) || self.is_sample(value)
    }

    /// Whether a person wrote it: hardly any random value has a word of four letters.
    pub(super) fn is_made_of_words(&self, value: &[u8]) -> bool {
        let mut words = self.words.find_overlapping_iter(value);
        words.any(|word| is_of_one_case(&value[word.range()]))
    }

    fn is_sample(&self, value: &[u8]) -> bool {
        let digest = deadelus_runtime::sha256(value);
        self.samples.iter().any(|sample| *sample == digest.as_str()[..SAMPLE_DIGITS])
    }
}

/// Whether a word keeps to one case: `sumo`, `SUMO` and `Sumo`, but not the beginning of `sumObj`.
pub(super) fn is_of_one_case(word: &[u8]) -> bool {
    let rest = word.get(1..).unwrap_or_default();
    !rest.iter().any(u8::is_ascii_uppercase) || !word.iter().any(u8::is_ascii_lowercase)
}

/// Shannon's, of the bytes: 0 for `aaaa`, 4 for sixteen different ones.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in value {
        counts[usize::from(byte)] += 1;
    }
    let total = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let share = |count: &u32| f64::from(*count) / total;
    counts.iter().filter(|count| **count > 0).map(share).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_shannons() {
        for (value, bits) in [("", 0.0), ("aaaa", 0.0), ("abab", 1.0), ("0123456789abcdef", 4.0)] {
            assert!((entropy(value.as_bytes()) - bits).abs() < 1e-9, "{value}");
        }
    }
}
