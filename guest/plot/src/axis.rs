//! The range of an axis, and places along it.

use crate::figure::{Axes, Axis, Kind, Mark};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    X,
    Y,
}

/// From where to where an axis goes: in powers of ten if its scale is logarithmic.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) kind: Kind,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A range along a stretch of the picture.
pub(crate) struct Scale {
    range: Range,
    from: f32,
    to: f32,
}

/// The share of a range that is left free at either end.
const MARGIN: f64 = 0.05;

/// Nothing in a picture is farther out than this: renderers compute with 32 bits.
const FAR: f64 = 1e6;

impl Axes {
    pub(crate) fn axis(&self, direction: Direction) -> &Axis {
        match direction {
            Direction::X => &self.x,
            Direction::Y => &self.y,
        }
    }

    /// The range that the marks need, or that the axis says.
    pub(crate) fn range(&self, direction: Direction) -> Range {
        let axis = self.axis(direction);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        // Where bars stand no room is left free.
        let mut bases = Vec::new();
        for mark in &self.marks {
            mark.visit(direction, &mut |value, is_base| {
                let value = transform(axis.scale, value);
                if value.is_finite() {
                    (low, high) = (low.min(value), high.max(value));
                    if is_base {
                        bases.push(value);
                    }
                }
            });
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low == high {
            let room = if low == 0.0 { 1.0 } else { low.abs() };
            (low, high) = (low - MARGIN * room, high + MARGIN * room);
        } else {
            let room = MARGIN * (high - low);
            let [at_low, at_high] = [low, high].map(|end| bases.contains(&end));
            low -= if at_low { 0.0 } else { room };
            high += if at_high { 0.0 } else { room };
        }
        let limit = |limit: Option<f64>, otherwise: f64| {
            let limit = limit.map(|limit| transform(axis.scale, limit));
            limit.filter(|limit| limit.is_finite()).unwrap_or(otherwise)
        };
        let (mut low, mut high) = (limit(axis.limits[0], low), limit(axis.limits[1], high));
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        if low > high {
            // From high to low: `Axis::inverted` says so, too.
            (low, high) = (high, low);
        }
        Range {
            kind: axis.scale,
            low,
            high,
        }
    }
}

fn transform(kind: Kind, value: f64) -> f64 {
    match kind {
        Kind::Log => value.log10(),
        _ => value,
    }
}

impl Scale {
    pub(crate) fn new(range: Range, from: f32, to: f32, inverted: bool) -> Self {
        let (from, to) = if inverted { (to, from) } else { (from, to) };
        Self { range, from, to }
    }

    /// Returns the place of a value; none if it is no number, or none that the scale has.
    pub(crate) fn place(&self, value: f64) -> Option<f32> {
        let Range { kind, low, high } = self.range;
        let part = (transform(kind, value) - low) / (high - low);
        let place = f64::from(self.from) + part * f64::from(self.to - self.from);
        (!place.is_nan()).then_some(place.clamp(-FAR, FAR) as f32)
    }

    /// Returns the place of a value, or the end of the axis that it is beyond: zero on a
    /// logarithmic one.
    pub(crate) fn place_or_end(&self, value: f64) -> Option<f32> {
        if self.range.kind == Kind::Log && value <= 0.0 {
            return Some(self.from);
        }
        self.place(value)
    }

    /// Tells if a place is on the axis.
    pub(crate) fn holds(&self, place: f32) -> bool {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        (low - 0.01..=high + 0.01).contains(&place)
    }
}

impl Mark {
    /// Tells every coordinate in a direction, and if bars stand there.
    fn visit(&self, direction: Direction, tell: &mut impl FnMut(f64, bool)) {
        let is_x = direction == Direction::X;
        let mut all = |values: &[Option<f64>]| {
            for value in values.iter().flatten() {
                tell(*value, false);
            }
        };
        match self {
            Self::Line { x, y, .. } | Self::Scatter { x, y, .. } => all(if is_x { x } else { y }),
            Self::Area { x, .. } if is_x => all(x),
            Self::Area { low, high, .. } => {
                all(low);
                all(high);
            }
            Self::Bars {
                bars, horizontal, ..
            } => {
                for bar in bars {
                    if *horizontal != is_x {
                        tell(bar.at - bar.thickness / 2.0, false);
                        tell(bar.at + bar.thickness / 2.0, false);
                    } else if let Some(length) = bar.length {
                        tell(bar.base, true);
                        tell(bar.base + length - bar.error, false);
                        tell(bar.base + length + bar.error, false);
                    }
                }
            }
            Self::Rule { at, horizontal, .. } if *horizontal != is_x => tell(*at, false),
            Self::Span {
                from,
                to,
                horizontal,
                ..
            } if *horizontal != is_x => {
                tell(*from, false);
                tell(*to, false);
            }
            Self::Boxes {
                groups,
                thickness,
                horizontal,
                outliers,
                ..
            } => {
                for group in groups {
                    if *horizontal != is_x {
                        tell(group.at - thickness, false);
                        tell(group.at + thickness, false);
                    } else {
                        tell(group.low, false);
                        tell(group.high, false);
                        let shown = group.outliers.iter().filter(|_| *outliers);
                        shown.for_each(|value| tell(*value, false));
                    }
                }
            }
            Self::Rule { .. } | Self::Span { .. } | Self::Pie { .. } | Self::Text { .. } => {}
        }
    }
}
