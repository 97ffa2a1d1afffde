//! How often somebody may ask: a bucket that fills with time and that every request takes one from.
//! Pure: the moment is an argument.

use std::time::Duration;

/// Of one token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    left: f64,
    /// Since some moment that stays the same.
    last: Duration,
}

impl Bucket {
    pub(crate) fn full(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (f64::from(per_second), f64::from(burst));
        Self { per_second, burst, left: burst, last: Duration::ZERO }
    }

    /// One more at this moment; or after how many whole seconds to ask again.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), u64> {
        let passed = now.saturating_sub(self.last).as_secs_f64();
        self.last = self.last.max(now);
        self.left = passed.mul_add(self.per_second, self.left).min(self.burst);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / self.per_second).as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_often_waits() {
        let mut bucket = Bucket::full(2, 3);
        let at = Duration::from_millis;
        assert_eq!([(); 4].map(|()| bucket.take(at(0))), [Ok(()), Ok(()), Ok(()), Err(1)]);
        assert_eq!(bucket.take(at(499)), Err(1));
        assert_eq!(bucket.take(at(500)), Ok(()));
        assert_eq!(bucket.take(at(400)), Err(1), "a clock that goes back gives nothing");
        assert_eq!([(); 4].map(|()| bucket.take(at(60_000)))[3], Err(1), "no more than the burst");
    }
}
