//! Shapes and texts, which SVG and PNG are written from.

use tiny_skia::{Path, PathBuilder, Rect};

use crate::color::Color;
use crate::figure::{Align, Dash, Pen};

pub(crate) struct Scene {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) layers: Vec<Layer>,
}

/// Items that are drawn one over the other, and not outside of a rectangle.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) clip: Option<Rect>,
    pub(crate) items: Vec<Item>,
}

pub(crate) enum Item {
    Shape {
        path: Path,
        fill: Option<Color>,
        pen: Option<Pen>,
    },
    Text(Text),
}

/// A line of text. What it is aligned by is at its place, and it turns around that.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) text: String,
    pub(crate) size: f32,
    pub(crate) color: Color,
    pub(crate) horizontal: Align,
    pub(crate) vertical: Align,
    /// Degrees against the clock.
    pub(crate) turn: f32,
}

impl Layer {
    pub(crate) fn fill(&mut self, path: Option<Path>, fill: Color) {
        self.shape(path, Some(fill), None);
    }

    pub(crate) fn stroke(&mut self, path: Option<Path>, pen: Pen) {
        self.shape(path, None, Some(pen));
    }

    pub(crate) fn shape(&mut self, path: Option<Path>, fill: Option<Color>, pen: Option<Pen>) {
        // No path: nothing that could be drawn, such as a line of one point.
        if let Some(path) = path {
            self.items.push(Item::Shape { path, fill, pen });
        }
    }

    pub(crate) fn text(&mut self, text: Text) {
        for (line, words) in text.text.split('\n').enumerate() {
            let down = line as f32 * 1.2 * text.size;
            let turn = text.turn.to_radians();
            let words = words.trim_end_matches('\r');
            if !words.is_empty() {
                self.items.push(Item::Text(Text {
                    x: text.x + down * turn.sin(),
                    y: text.y + down * turn.cos(),
                    text: words.to_owned(),
                    ..text.clone()
                }));
            }
        }
    }
}

pub(crate) fn line(from: (f32, f32), to: (f32, f32)) -> Option<Path> {
    let mut builder = PathBuilder::new();
    builder.move_to(from.0, from.1);
    builder.line_to(to.0, to.1);
    builder.finish()
}

/// A rectangle between two corners, whichever they are.
pub(crate) fn rectangle(one: (f32, f32), other: (f32, f32)) -> Option<Path> {
    let ((left, right), (top, bottom)) = (sort(one.0, other.0), sort(one.1, other.1));
    Rect::from_ltrb(left, top, right, bottom).map(PathBuilder::from_rect)
}

fn sort(one: f32, other: f32) -> (f32, f32) {
    (one.min(other), one.max(other))
}

pub(crate) fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    builder.move_to(first.0, first.1);
    for (x, y) in rest {
        builder.line_to(*x, *y);
    }
    builder.close();
    builder.finish()
}

impl Pen {
    pub(crate) fn new(color: Color, width: f32) -> Self {
        Self {
            color,
            width,
            dash: Dash::Solid,
        }
    }

    /// The lengths of its strokes and gaps; none if it has no gaps.
    pub(crate) fn dashes(&self) -> Vec<f32> {
        let parts: &[f32] = match self.dash {
            Dash::Solid => &[],
            Dash::Dashed => &[3.7, 1.6],
            Dash::Dotted => &[1.0, 1.65],
            Dash::Mixed => &[6.4, 1.6, 1.0, 1.6],
        };
        parts.iter().map(|part| part * self.width).collect()
    }
}
