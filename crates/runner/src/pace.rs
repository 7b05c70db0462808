//! How many rows the next batch goes over, and when the last one will be done: pure, from what the last ones took.
//!
//! Not for: signals of the server (see `throttle`).

use std::time::Duration;

use crate::options::PaceLimits;

/// How much the newest batch counts in the average.
const ALPHA: f64 = 0.4;
const GROWTH_MAX: f64 = 1.2;
const SHRINK_MAX: f64 = 0.5;

#[derive(Clone, Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    rows: f64,
    /// Averages; none before the first batch.
    ms_per_row: Option<f64>,
    rows_per_s: Option<f64>,
}

impl Pace {
    pub(crate) fn new(rows: u64, limits: PaceLimits) -> Self {
        let rows = (rows as f64).clamp(1.0, f64::from(limits.rows_max.max(1)));
        Self { limits, rows, ms_per_row: None, rows_per_s: None }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows.round().max(1.0) as u64
    }

    pub(crate) fn aim_at(&mut self, batch: Duration) {
        self.limits.batch = batch;
    }

    /// A batch went over so many rows; with the pause before it, it took `wall`.
    pub(crate) fn took(&mut self, rows: u64, worked: Duration, wall: Duration) {
        // One that found next to nothing says nothing of how long many rows take.
        if (rows as f64) < self.rows / 2.0 {
            return;
        }
        let worked_ms = (worked.as_secs_f64() * 1000.0).max(0.01);
        let ms_per_row = average(self.ms_per_row, worked_ms / rows as f64);
        self.ms_per_row = Some(ms_per_row);
        self.rows_per_s = Some(average(self.rows_per_s, rows as f64 / wall.as_secs_f64().max(0.000_01)));
        let ideal = self.limits.batch.as_secs_f64() * 1000.0 / ms_per_row;
        let (least, most) = (f64::from(self.limits.rows_min.max(1)), f64::from(self.limits.rows_max.max(1)));
        self.rows = ideal.clamp(self.rows * SHRINK_MAX, self.rows * GROWTH_MAX).clamp(least.min(most), most);
    }

    /// Others waited for a batch, or it could not get its rows: the next one is smaller, even below the least.
    pub(crate) fn shrink(&mut self) {
        self.rows = (self.rows * SHRINK_MAX).max(1.0);
    }

    pub(crate) fn rows_per_s(&self) -> Option<u64> {
        self.rows_per_s.map(|rate| rate.round() as u64)
    }

    pub(crate) fn eta_s(&self, visited: i64, total: Option<i64>) -> Option<u64> {
        let left = (total? - visited).max(0) as f64;
        self.rows_per_s.filter(|rate| *rate > 0.0).map(|rate| (left / rate).round() as u64)
    }
}

/// The pause after a batch at a part of full speed: at 25 percent a batch works for a quarter of the time.
pub(crate) fn pause_for_speed(worked: Duration, percent: i32) -> Duration {
    let percent = f64::from(percent.clamp(1, 100));
    worked.mul_f64((100.0 - percent) / percent)
}

fn average(old: Option<f64>, new: f64) -> f64 {
    old.map_or(new, |old| old + ALPHA * (new - old))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PaceLimits =
        PaceLimits { batch: Duration::from_millis(500), rows_min: 10, rows_max: 10_000, passes_max: 5 };

    /// Batches on a server that needs so long for each row.
    fn after(batches: u32, pace: &mut Pace, us_per_row: u64) -> u64 {
        for _ in 0..batches {
            let worked = Duration::from_micros(pace.rows() * us_per_row);
            pace.took(pace.rows(), worked, worked);
        }
        pace.rows()
    }

    #[test]
    fn batches_grow_by_a_fifth_at_most_until_they_take_as_long_as_they_should() {
        let mut pace = Pace::new(1_000, LIMITS);
        assert_eq!(after(1, &mut pace, 100), 1_200);
        assert_eq!(after(30, &mut pace, 100), 5_000);
    }

    #[test]
    fn batches_shrink_when_the_server_slows_down_and_stay_in_bounds() {
        let mut pace = Pace::new(5_000, LIMITS);
        after(5, &mut pace, 100);
        assert_eq!(after(30, &mut pace, 1_000), 500);
        assert_eq!(after(30, &mut pace, 1_000_000), 10);
        assert_eq!(after(90, &mut pace, 1), 10_000);
    }

    #[test]
    fn a_batch_that_found_little_changes_nothing() {
        let mut pace = Pace::new(1_000, LIMITS);
        pace.took(3, Duration::from_millis(400), Duration::from_millis(400));
        pace.took(0, Duration::from_millis(400), Duration::from_millis(400));
        assert_eq!((pace.rows(), pace.eta_s(0, Some(10))), (1_000, None));
    }

    #[test]
    fn who_waited_makes_it_smaller_down_to_one_row() {
        let mut pace = Pace::new(20, LIMITS);
        for expected in [10, 5, 3, 1, 1] {
            pace.shrink();
            assert_eq!(pace.rows(), expected);
        }
    }

    #[test]
    fn the_end_is_told_by_the_average_rate() {
        let mut pace = Pace::new(1_000, LIMITS);
        pace.took(1_000, Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(pace.rows_per_s(), Some(1_000));
        assert_eq!(pace.eta_s(4_000, Some(10_000)), Some(6));
        assert_eq!((pace.eta_s(11_000, Some(10_000)), pace.eta_s(0, None)), (Some(0), None));
    }

    #[test]
    fn speed_is_a_share_of_the_time() {
        let worked = Duration::from_millis(100);
        for (percent, pause_ms) in [(100, 0), (50, 100), (25, 300), (10, 900), (0, 9_900)] {
            assert_eq!(pause_for_speed(worked, percent).as_millis(), pause_ms, "{percent}");
        }
    }
}
