//! A plot of the times of snippets, as bars.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::Row;

const SIZE: (u32, u32) = (900, 620);

/// Wardian's bars, and those of the peers.
const COLOURS: [RGBColor; 4] = [
    RGBColor(9, 105, 218),
    RGBColor(110, 119, 129),
    RGBColor(191, 135, 0),
    RGBColor(26, 127, 55),
];

/// The bars of a snippet, and the space to the next one's.
const GROUP: f64 = 5.0;

/// Draws bars on a logarithmic scale.
pub(crate) fn draw(file: &Path, names: &[String], rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let all = || rows.iter().flat_map(|row| row.ms.iter().flatten()).copied();
    let most = all().fold(1.0, f64::max) * 2.0;
    let least = all().fold(1.0, f64::min) / 2.0;
    let end = rows.len() as f64 * GROUP;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .caption(
            "a fresh sandbox and a snippet, ms (less is better)",
            ("sans-serif", 17),
        )
        .x_label_area_size(30)
        .y_label_area_size(150)
        .build_cartesian_2d((least..most).log_scale(), end..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (engine, (name, colour)) in names.iter().zip(COLOURS).enumerate() {
        let bars = rows.iter().enumerate().filter_map(|(at, row)| {
            let ms = *row.ms.get(engine)?.as_ref().ok()?;
            let top = at as f64 * GROUP + engine as f64 + 0.5;
            Some(Rectangle::new(
                [(least, top), (ms, top + 0.9)],
                colour.filled(),
            ))
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
    }
    for (at, row) in rows.iter().enumerate() {
        let middle = chart.backend_coord(&(least, (at as f64 + 0.5) * GROUP));
        let style = ("sans-serif", 13).into_text_style(&area);
        area.draw(&Text::new(row.name, (8, middle.1 - 6), style))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    Ok(())
}
