//! The curves of a soak.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::{Findings, LATE_MS, Sample};

const SIZE: (u32, u32) = (900, 760);
const CURVE: RGBColor = RGBColor(9, 105, 218);
const PROMISE: RGBColor = RGBColor(207, 34, 46);

type Measure = fn(&Sample) -> f64;

/// Draws what the process held, and how late its runs ended.
pub(crate) fn draw(
    file: &Path,
    samples: &[Sample],
    late: &[u64],
    findings: &Findings,
) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let runs: u64 = findings
        .runs
        .values()
        .flat_map(|endings| endings.values())
        .sum();
    let title = format!(
        "{} minutes, {runs} runs, hostile and benign; seed {}, {} stops, {} steps of the clock",
        findings.minutes,
        findings.seed,
        findings.stops,
        findings.clock_steps.unwrap_or(0)
    );
    let area = area.titled(&title, ("sans-serif", 17))?;
    let [memory, descriptors, threads, lateness] =
        <[_; 4]>::try_from(area.split_evenly((4, 1))).map_err(|_| "four parts")?;
    let curves: [(_, _, Measure); 3] = [
        (memory, "resident memory, MiB", |sample| sample.memory_mib),
        (descriptors, "descriptors", |sample| sample.descriptors),
        (threads, "threads", |sample| sample.threads),
    ];
    let end = samples.last().map_or(1.0, |sample| sample.seconds / 60.0);
    for (area, name, of) in curves {
        let most = samples.iter().map(of).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .caption(name, ("sans-serif", 14))
            .x_label_area_size(22)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..end, 0.0..most * 1.1)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .y_labels(4)
            .draw()?;
        let points = samples
            .iter()
            .map(|sample| (sample.seconds / 60.0, of(sample)));
        chart.draw_series(LineSeries::new(points, CURVE))?;
    }
    let mut sorted = late.to_vec();
    sorted.sort_unstable();
    let most = sorted.last().copied().unwrap_or(0).max(LATE_MS) as f64;
    let mut chart = ChartBuilder::on(&lateness)
        .margin(8)
        .caption(
            format!("how late {} runs ended that came to their time limit, ms, sorted (red: the promise at \
                     p99.9)", late.len()),
            ("sans-serif", 14),
        )
        .x_label_area_size(22)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..100.0, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(4)
        .x_label_formatter(&|percent| format!("{percent:.0} %"))
        .draw()?;
    let last = sorted.len().saturating_sub(1).max(1) as f64;
    let points = sorted.iter().enumerate();
    let points = points.map(|(at, ms)| (at as f64 / last * 100.0, *ms as f64));
    chart.draw_series(LineSeries::new(points, CURVE))?;
    let promise = [(0.0, LATE_MS as f64), (100.0, LATE_MS as f64)];
    chart.draw_series(LineSeries::new(promise, PROMISE))?;
    area.present()?;
    Ok(())
}
