//! Whose turn it is. A pure function from weights to an order that repeats: within one round every
//! server is named exactly as often as its weight says, and as evenly spread as can be.

/// The indices of the servers, in turn, for one round; empty when no server has a weight.
///
/// Smooth weighted round-robin, as nginx does it (its commit 52327e0627f4): everybody gains their
/// weight, who has most goes and pays the sum.
pub(crate) fn schedule(weights: &[u16]) -> Vec<usize> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor);
    if divisor == 0 {
        return vec![];
    }
    let weights: Vec<i64> = weights.iter().map(|w| i64::from(w / divisor)).collect();
    let sum: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    let mut turn = || {
        credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
        // The first of those who have most: `max_by_key` alone would name the last.
        let next = (0..credit.len()).rev().max_by_key(|&i| credit[i])?;
        credit[next] -= sum;
        Some(next)
    };
    (0..sum).filter_map(|_| turn()).collect()
}

fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_their_turn_by_weight_and_evenly() {
        for (weights, expected) in [
            (&[][..], &[][..]),
            (&[0, 0], &[]),
            (&[0, 7], &[1]),
            (&[100, 100], &[0, 1]),
            (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]),
            (&[90, 10], &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            assert_eq!(schedule(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn one_round_is_exactly_the_weights_whatever_they_are() {
        let weights: Vec<u16> = (0..64).map(|n| (n * 37 + 11) % 257).collect();
        let round = schedule(&weights);
        for (index, weight) in weights.iter().enumerate() {
            assert_eq!(round.iter().filter(|i| **i == index).count(), usize::from(*weight));
        }
    }
}
