//! The marks of a chart as shapes: lines, bars, pies and so on.

use tiny_skia::{Path, PathBuilder, Rect};

use crate::axis::Scale;
use crate::color::Color;
use crate::draw::{SIZE, text};
use crate::figure::{Align, Axes, Bar, Group, Mark, Marker, Pen, Place, Share};
use crate::scene::{Layer, Text, line, polygon, rectangle};

/// The place of marks.
pub(crate) struct Plot {
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) frame: Rect,
}

impl Plot {
    fn place(&self, x: Place, y: Place) -> Option<(f32, f32)> {
        Some((self.x.place(x?)?, self.y.place(y?)?))
    }

    /// A corner of something that lies along one of the axes.
    fn along(&self, horizontal: bool, across: f64, along: f64) -> Option<(f32, f32)> {
        Some(if horizontal {
            (self.x.place_or_end(along)?, self.y.place(across)?)
        } else {
            (self.x.place(across)?, self.y.place_or_end(along)?)
        })
    }

    fn rectangle(&self, horizontal: bool, across: [f64; 2], along: [f64; 2]) -> Option<Path> {
        let one = self.along(horizontal, across[0], along[0])?;
        rectangle(one, self.along(horizontal, across[1], along[1])?)
    }

    fn line(&self, horizontal: bool, across: [f64; 2], along: [f64; 2]) -> Option<Path> {
        let one = self.along(horizontal, across[0], along[0])?;
        line(one, self.along(horizontal, across[1], along[1])?)
    }
}

/// Draws everything but pies, and returns places at which there is something.
pub(crate) fn draw_marks(axes: &Axes, plot: &Plot, layer: &mut Layer) -> Vec<(f32, f32)> {
    let mut busy = Vec::new();
    for mark in &axes.marks {
        match mark {
            Mark::Line {
                x,
                y,
                pen,
                marker,
                size,
                color,
                ..
            } => {
                let points = points(plot, x, y);
                if let Some(pen) = pen {
                    layer.stroke(polyline(&points), pen.clone());
                }
                for point in points.iter().flatten() {
                    if let Some(marker) = marker {
                        draw_marker(*marker, *point, *size, *color, layer);
                    }
                }
                add_steps(&points, &mut busy);
            }
            Mark::Scatter {
                x,
                y,
                marker,
                sizes,
                colors,
                ..
            } => {
                for (number, point) in points(plot, x, y).into_iter().enumerate() {
                    let (Some(point), Some(size), Some(color)) =
                        (point, cycle(sizes, number), cycle(colors, number))
                    else {
                        continue;
                    };
                    draw_marker(*marker, point, size, color, layer);
                    busy.push(point);
                }
            }
            Mark::Bars {
                bars,
                horizontal,
                edge,
                ..
            } => {
                for bar in bars {
                    draw_bar(bar, *horizontal, edge.as_ref(), plot, layer, &mut busy);
                }
            }
            Mark::Area {
                x,
                low,
                high,
                color,
                ..
            } => {
                let mut outline: Vec<_> = points(plot, x, high).into_iter().flatten().collect();
                outline.extend(points(plot, x, low).into_iter().rev().flatten());
                layer.fill(polygon(&outline), *color);
                busy.extend(outline);
            }
            Mark::Rule {
                at,
                horizontal,
                pen,
                ..
            } => {
                let frame = plot.frame;
                let path = if *horizontal {
                    let y = plot.y.place(*at);
                    y.and_then(|y| line((frame.left(), y), (frame.right(), y)))
                } else {
                    let x = plot.x.place(*at);
                    x.and_then(|x| line((x, frame.top()), (x, frame.bottom())))
                };
                layer.stroke(path, pen.clone());
            }
            Mark::Span {
                from,
                to,
                horizontal,
                color,
                ..
            } => {
                let scale = if *horizontal { &plot.y } else { &plot.x };
                let (Some(from), Some(to)) = (scale.place(*from), scale.place(*to)) else {
                    continue;
                };
                let frame = plot.frame;
                let path = if *horizontal {
                    rectangle((frame.left(), from), (frame.right(), to))
                } else {
                    rectangle((from, frame.top()), (to, frame.bottom()))
                };
                layer.fill(path, *color);
            }
            Mark::Boxes {
                groups,
                thickness,
                horizontal,
                filled,
                outliers,
            } => {
                for group in groups {
                    let look = BoxLook {
                        thickness: *thickness,
                        horizontal: *horizontal,
                        filled: *filled,
                        outliers: *outliers,
                    };
                    draw_box(group, &look, plot, layer);
                }
            }
            Mark::Text {
                x,
                y,
                text: words,
                color,
                size,
                horizontal,
                vertical,
                turn,
            } => {
                if let Some((x, y)) = plot.place(Some(*x), Some(*y)) {
                    layer.text(Text {
                        x,
                        y,
                        color: *color,
                        horizontal: *horizontal,
                        vertical: *vertical,
                        turn: *turn,
                        ..text(words, *size)
                    });
                }
            }
            Mark::Pie { .. } => {}
        }
    }
    busy
}

fn cycle<T: Copy>(values: &[T], number: usize) -> Option<T> {
    values.get(number % values.len().max(1)).copied()
}

fn points(plot: &Plot, x: &[Place], y: &[Place]) -> Vec<Option<(f32, f32)>> {
    let pairs = x.iter().zip(y);
    pairs.map(|(x, y)| plot.place(*x, *y)).collect()
}

/// A line through points, with a gap where there is none.
fn polyline(points: &[Option<(f32, f32)>]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut is_drawing = false;
    for point in points {
        match point {
            Some((x, y)) if is_drawing => builder.line_to(*x, *y),
            Some((x, y)) => builder.move_to(*x, *y),
            None => {}
        }
        is_drawing = point.is_some();
    }
    builder.finish()
}

/// Adds the points of a line, and some between two of them.
fn add_steps(points: &[Option<(f32, f32)>], busy: &mut Vec<(f32, f32)>) {
    for pair in points.windows(2) {
        let [Some(from), Some(to)] = pair else {
            continue;
        };
        let steps = if points.len() > 100 { 1 } else { 10 };
        busy.extend((0..=steps).map(|step| {
            let part = step as f32 / steps as f32;
            (
                from.0 + part * (to.0 - from.0),
                from.1 + part * (to.1 - from.1),
            )
        }));
    }
}

fn draw_marker(marker: Marker, at: (f32, f32), size: f32, color: Color, layer: &mut Layer) {
    let (x, y) = at;
    let half = size / 2.0;
    let corner = |right: f32, down: f32| (x + right * half, y + down * half);
    let pen = Pen::new(color, 1.5);
    let cross = |layer: &mut Layer, [one, other]: [[(f32, f32); 2]; 2]| {
        for [from, to] in [one, other] {
            layer.stroke(line(from, to), pen.clone());
        }
    };
    match marker {
        Marker::Circle => layer.fill(PathBuilder::from_circle(x, y, half), color),
        Marker::Dot => layer.fill(PathBuilder::from_circle(x, y, half / 2.0), color),
        Marker::Square => layer.fill(rectangle(corner(-1.0, -1.0), corner(1.0, 1.0)), color),
        Marker::Up => {
            let corners = [corner(0.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
            layer.fill(polygon(&corners), color);
        }
        Marker::Down => {
            let corners = [corner(0.0, 1.0), corner(1.0, -1.0), corner(-1.0, -1.0)];
            layer.fill(polygon(&corners), color);
        }
        Marker::Diamond => {
            let corners = [
                corner(0.0, -1.4),
                corner(1.4, 0.0),
                corner(0.0, 1.4),
                corner(-1.4, 0.0),
            ];
            layer.fill(polygon(&corners), color);
        }
        Marker::Star => {
            let corners: Vec<_> = (0..10u8)
                .map(|number| {
                    let (down, right) = (f32::from(number) * 36f32.to_radians()).sin_cos();
                    let far = if number % 2 == 0 { 1.0 } else { 0.38 };
                    corner(down * far, -right * far)
                })
                .collect();
            layer.fill(polygon(&corners), color);
        }
        Marker::Cross => cross(
            layer,
            [
                [corner(-1.0, -1.0), corner(1.0, 1.0)],
                [corner(-1.0, 1.0), corner(1.0, -1.0)],
            ],
        ),
        Marker::Plus => cross(
            layer,
            [
                [corner(-1.0, 0.0), corner(1.0, 0.0)],
                [corner(0.0, -1.0), corner(0.0, 1.0)],
            ],
        ),
    }
}

fn draw_bar(
    bar: &Bar,
    horizontal: bool,
    edge: Option<&Pen>,
    plot: &Plot,
    layer: &mut Layer,
    busy: &mut Vec<(f32, f32)>,
) {
    let Some(length) = bar.length else {
        return;
    };
    let half = bar.thickness / 2.0;
    let across = [bar.at - half, bar.at + half];
    let end = bar.base + length;
    let path = plot.rectangle(horizontal, across, [bar.base, end]);
    layer.shape(path, Some(bar.color), edge.cloned());
    if bar.error != 0.0 {
        let pen = Pen::new(Color::BLACK, 1.5);
        let ends = [end - bar.error, end + bar.error];
        layer.stroke(plot.line(horizontal, [bar.at, bar.at], ends), pen);
    }
    for step in 0..=4 {
        let along = bar.base + length * f64::from(step) / 4.0;
        let sides = [across[0], bar.at, across[1]];
        let places = sides.map(|across| plot.along(horizontal, across, along));
        busy.extend(places.into_iter().flatten());
    }
}

struct BoxLook {
    thickness: f64,
    horizontal: bool,
    filled: bool,
    outliers: bool,
}

fn draw_box(group: &Group, look: &BoxLook, plot: &Plot, layer: &mut Layer) {
    let flat = look.horizontal;
    let half = look.thickness / 2.0;
    let [at, low, high] = [group.at, group.at - half, group.at + half];
    let pen = Pen::new(Color::BLACK, 1.0);
    let body = plot.rectangle(flat, [low, high], [group.first, group.third]);
    layer.shape(body, look.filled.then_some(group.color), Some(pen.clone()));
    for (end, from) in [(group.low, group.first), (group.high, group.third)] {
        layer.stroke(plot.line(flat, [at, at], [from, end]), pen.clone());
        let cap = [at - half / 2.0, at + half / 2.0];
        layer.stroke(plot.line(flat, cap, [end, end]), pen.clone());
    }
    let median = plot.line(flat, [low, high], [group.median, group.median]);
    layer.stroke(median, Pen::new(Color::MEDIAN, 1.0));
    for outlier in group.outliers.iter().filter(|_| look.outliers) {
        if let Some((x, y)) = plot.along(flat, at, *outlier) {
            layer.stroke(PathBuilder::from_circle(x, y, 3.0), pen.clone());
        }
    }
}

/// Draws pies, whose labels are outside of them.
pub(crate) fn draw_pies(axes: &Axes, frame: Rect, layer: &mut Layer) {
    for mark in &axes.marks {
        let Mark::Pie {
            shares,
            start,
            clockwise,
            hole,
        } = mark
        else {
            continue;
        };
        let middle = (
            f32::midpoint(frame.left(), frame.right()),
            f32::midpoint(frame.top(), frame.bottom()),
        );
        let radius = 0.4 * frame.width().min(frame.height());
        for (share, [from, to]) in shares.iter().zip(angles(shares, *start, *clockwise)) {
            let half = f64::midpoint(from, to);
            let moved = at_angle(middle, half, share.apart * radius);
            let mut builder = PathBuilder::new();
            let (inner, outer) = (radius * hole, radius);
            let steps = ((to - from).abs() / 2.0).ceil().clamp(1.0, 360.0) as u32;
            let angle = |step: u32| from + (to - from) * f64::from(step) / f64::from(steps);
            let first = at_angle(moved, from, inner);
            builder.move_to(first.0, first.1);
            for step in 0..=steps {
                let (x, y) = at_angle(moved, angle(step), outer);
                builder.line_to(x, y);
            }
            if inner > 0.0 {
                for step in (0..=steps).rev() {
                    let (x, y) = at_angle(moved, angle(step), inner);
                    builder.line_to(x, y);
                }
            }
            builder.close();
            let pen = (*hole > 0.0).then(|| Pen::new(Color::WHITE, 1.0));
            layer.shape(builder.finish(), Some(share.color), pen);
            let (x, y) = at_angle(
                moved,
                half,
                radius * 0.6f32.max((1.0 + hole) / 2.0 * hole.ceil()),
            );
            layer.text(Text {
                x,
                y,
                vertical: Align::Middle,
                ..text(&share.note, SIZE)
            });
            let (x, y) = at_angle(moved, half, 1.1 * radius);
            layer.text(Text {
                x,
                y,
                horizontal: if x < moved.0 {
                    Align::End
                } else {
                    Align::Start
                },
                vertical: Align::Middle,
                ..text(&share.label, SIZE)
            });
        }
    }
}

/// Returns the ends of each share, in degrees.
pub(crate) fn angles(shares: &[Share], start: f64, clockwise: bool) -> Vec<[f64; 2]> {
    let total: f64 = shares.iter().map(|share| share.value).sum();
    let way = if clockwise { -360.0 } else { 360.0 };
    let mut from = start;
    let turn = |share: &Share| {
        let to = from + way * share.value / total.max(f64::MIN_POSITIVE);
        [std::mem::replace(&mut from, to), to]
    };
    shares.iter().map(turn).collect()
}

fn at_angle(middle: (f32, f32), degrees: f64, far: f32) -> (f32, f32) {
    let (up, right) = degrees.to_radians().sin_cos();
    (middle.0 + right as f32 * far, middle.1 - up as f32 * far)
}

/// Draws a sample of a mark: so long, from the middle of its left end.
pub(crate) fn sample(mark: &Mark, share: usize, from: (f32, f32), length: f32, layer: &mut Layer) {
    let (x, y) = from;
    let middle = (x + length / 2.0, y);
    let mut patch = |color: Color, edge: Option<Pen>| {
        let path = rectangle((x, y - 3.5), (x + length, y + 3.5));
        layer.shape(path, Some(color), edge);
    };
    match mark {
        Mark::Line {
            pen,
            marker,
            size,
            color,
            ..
        } => {
            if let Some(pen) = pen {
                layer.stroke(line(from, (x + length, y)), pen.clone());
            }
            if let Some(marker) = marker {
                draw_marker(*marker, middle, *size, *color, layer);
            }
        }
        Mark::Scatter { marker, colors, .. } => {
            let color = cycle(colors, 0).unwrap_or(Color::BLACK);
            draw_marker(*marker, middle, 6.0, color, layer);
        }
        Mark::Bars { bars, edge, .. } => {
            if let Some(bar) = bars.first() {
                patch(bar.color, edge.clone());
            }
        }
        Mark::Area { color, .. } | Mark::Span { color, .. } => patch(*color, None),
        Mark::Rule { pen, .. } => layer.stroke(line(from, (x + length, y)), pen.clone()),
        Mark::Pie { shares, .. } => {
            if let Some(share) = shares.get(share) {
                patch(share.color, None);
            }
        }
        Mark::Boxes { .. } | Mark::Text { .. } => {}
    }
}
