//! Does it grow?

use serde::Serialize;

/// The start of a soak in which caches fill, as a share of it.
const WARM_UP: f64 = 0.1;

/// A line through what was measured after the warm-up, by least squares.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Trend {
    pub(crate) mean: f64,
    /// The line's slope.
    pub(crate) per_hour: f64,
    /// By how much the line rises from the warm-up's end to its own.
    pub(crate) drift: f64,
}

impl Trend {
    /// Through points of seconds and amounts.
    pub(crate) fn of(points: &[(f64, f64)]) -> Self {
        let end = points.last().map_or(0.0, |(seconds, _)| *seconds);
        let start = end * WARM_UP;
        let points: Vec<_> = points
            .iter()
            .filter(|(seconds, _)| *seconds >= start)
            .collect();
        let count = points.len().max(1) as f64;
        let mean =
            |of: fn(&(f64, f64)) -> f64| points.iter().map(|point| of(point)).sum::<f64>() / count;
        let (middle, mean) = (mean(|point| point.0), mean(|point| point.1));
        let (mut together, mut spread) = (0.0, 0.0);
        for (seconds, amount) in points {
            together += (seconds - middle) * (amount - mean);
            spread += (seconds - middle).powi(2);
        }
        let slope = if spread > 0.0 { together / spread } else { 0.0 };
        Self {
            mean,
            per_hour: slope * 3_600.0,
            drift: slope * (end - start),
        }
    }
}
