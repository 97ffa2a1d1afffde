//! Means, percentages, and how far the mean of a few runs can be trusted. Pure and seeded: the
//! same runs give the same verdict.
//!
//! The run is the unit: requests of one run share their minute and its noise, and a thousand of
//! them tell no more about the next minute than their p95 does. With three runs a side a clock
//! alone is fooled by chance too often to decide anything; see `compare`.

use fastrand::Rng;

/// Fewer runs have no spread to speak of.
pub(crate) const RUNS_FOR_AN_INTERVAL: usize = 3;
/// Percentiles at 2.5 % stand on 50 resamples each.
const RESAMPLES: usize = 2_000;
/// Half of what is outside a 95 % interval.
const TAIL: f64 = 0.025;

/// A 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Of the mean of the runs' values.
    pub(crate) fn of_mean(values: &[f64], seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let resampled = Self::of_resamples(|| resampled_mean(values, &mut rng));
        resampled.widened(mean(values), values.len())
    }

    /// Of the mean after minus the mean before.
    pub(crate) fn of_difference(before: &[f64], after: &[f64], seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut difference = || resampled_mean(after, &mut rng) - resampled_mean(before, &mut rng);
        let resampled = Self::of_resamples(&mut difference);
        resampled.widened(mean(after) - mean(before), before.len().min(after.len()))
    }

    /// Percentile bootstrap.
    fn of_resamples(resample: impl FnMut() -> f64) -> Self {
        let mut means: Vec<f64> = std::iter::repeat_with(resample).take(RESAMPLES).collect();
        means.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "constants")]
        let cut = (RESAMPLES as f64 * TAIL) as usize;
        Self { low: means[cut], high: means[RESAMPLES - 1 - cut] }
    }

    /// Resampling n values gives a spread that is too narrow by the root of (n - 1) / n, which
    /// is much when n is three (Hesterberg, What Teachers Should Know about the Bootstrap, 2015).
    fn widened(self, center: f64, n: usize) -> Self {
        let factor = if n > 1 { (n as f64 / (n - 1) as f64).sqrt() } else { 1.0 };
        Self {
            low: center - (center - self.low) * factor,
            high: center + (self.high - center) * factor,
        }
    }
}

/// Zero for no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// How much less `after` is, in per cent of `before`: negative when it is more.
pub(crate) fn drop_percent(before: f64, after: f64) -> f64 {
    if before == 0.0 {
        if after == 0.0 { 0.0 } else { -100.0 }
    } else {
        (before - after) / before * 100.0
    }
}

fn resampled_mean(values: &[f64], rng: &mut Rng) -> f64 {
    let sum: f64 = (0..values.len()).map(|_| values[rng.usize(..values.len())]).sum();
    sum / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_and_is_about_as_wide_as_the_runs_are_apart() {
        let values = [10.0, 12.0, 17.0];
        let interval = Interval::of_mean(&values, 1);
        assert!(interval.low < mean(&values) && mean(&values) < interval.high);
        assert!(interval.low > 6.0 && interval.high < 21.0, "{interval:?}");
        assert_eq!(interval, Interval::of_mean(&values, 1));
    }

    #[test]
    fn the_difference_is_after_minus_before() {
        let faster = Interval::of_difference(&[40.0, 41.0, 42.0], &[1.0, 2.0, 3.0], 1);
        assert!(faster.low >= -42.0 && faster.high <= -36.0, "{faster:?}");
        let same = Interval::of_difference(&[40.0, 41.0, 42.0], &[41.0, 40.0, 42.0], 1);
        assert!(same.low < 0.0 && 0.0 < same.high, "{same:?}");
    }

    #[test]
    fn a_drop_is_counted_from_before() {
        assert_eq!(drop_percent(200.0, 50.0), 75.0);
        assert_eq!(drop_percent(50.0, 200.0), -300.0);
        assert_eq!(drop_percent(0.0, 0.0), 0.0);
        assert_eq!(drop_percent(0.0, 1.0), -100.0);
    }
}
