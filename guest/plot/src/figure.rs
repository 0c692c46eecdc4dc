//! The description of a figure. `library/wardian/_figure.py` writes it, as JSON.

use serde::Deserialize;

use crate::color::Color;

/// A picture: axes in cells of a table. Lengths are in points, of which 72 make an inch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) title: String,
    pub(crate) background: Option<Color>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// All charts have one range: from left to right, from bottom to top.
    pub(crate) share: [bool; 2],
    pub(crate) axes: Vec<Axes>,
}

/// One chart of a figure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axes {
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) marks: Vec<Mark>,
    pub(crate) legend: Option<Legend>,
    /// The frame, the ticks and the labels are drawn.
    pub(crate) framed: bool,
}

/// A direction of a chart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Kind,
    /// The names at 0, 1, 2 and so on of an axis of categories.
    pub(crate) names: Vec<String>,
    /// The ends, as far as they were set.
    pub(crate) limits: [Option<f64>; 2],
    pub(crate) ticks: Option<Vec<f64>>,
    pub(crate) tick_labels: Option<Vec<String>>,
    /// The turn of the labels of ticks, in degrees against the clock.
    pub(crate) turn: Option<f32>,
    pub(crate) grid: bool,
    pub(crate) inverted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Linear,
    Log,
    /// Days since 1970.
    Date,
    Category,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Legend {
    pub(crate) location: Location,
    pub(crate) title: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Location {
    #[serde(rename = "best")]
    Best,
    #[serde(rename = "upper right")]
    UpperRight,
    #[serde(rename = "upper left")]
    UpperLeft,
    #[serde(rename = "lower left")]
    LowerLeft,
    #[serde(rename = "lower right")]
    LowerRight,
    #[serde(rename = "center left")]
    CenterLeft,
    #[serde(rename = "center right")]
    CenterRight,
    #[serde(rename = "lower center")]
    LowerCenter,
    #[serde(rename = "upper center")]
    UpperCenter,
    #[serde(rename = "center")]
    Center,
    /// To the right of the chart.
    #[serde(rename = "outside")]
    Outside,
}

/// The look of a line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pen {
    pub(crate) color: Color,
    pub(crate) width: f32,
    #[serde(default)]
    pub(crate) dash: Dash,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dash {
    #[default]
    Solid,
    Dashed,
    Dotted,
    Mixed,
}

/// A sign at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Marker {
    #[serde(rename = "o")]
    Circle,
    #[serde(rename = ".")]
    Dot,
    #[serde(rename = "s")]
    Square,
    #[serde(rename = "^")]
    Up,
    #[serde(rename = "v")]
    Down,
    #[serde(rename = "D")]
    Diamond,
    #[serde(rename = "x")]
    Cross,
    #[serde(rename = "+")]
    Plus,
    #[serde(rename = "*")]
    Star,
}

/// A coordinate; `None` where there is none.
pub(crate) type Place = Option<f64>;

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Mark {
    /// Points, joined by a line if it has a pen.
    Line {
        x: Vec<Place>,
        y: Vec<Place>,
        label: String,
        pen: Option<Pen>,
        marker: Option<Marker>,
        /// The width of a marker.
        size: f32,
        color: Color,
    },
    Scatter {
        x: Vec<Place>,
        y: Vec<Place>,
        label: String,
        marker: Marker,
        /// The width of each marker, from the first one again when they end; so the colours.
        sizes: Vec<f32>,
        colors: Vec<Color>,
    },
    Bars {
        bars: Vec<Bar>,
        horizontal: bool,
        label: String,
        edge: Option<Pen>,
    },
    Area {
        x: Vec<Place>,
        low: Vec<Place>,
        high: Vec<Place>,
        label: String,
        color: Color,
    },
    /// A line from end to end.
    Rule {
        at: f64,
        horizontal: bool,
        label: String,
        pen: Pen,
    },
    /// A stretch from end to end.
    Span {
        from: f64,
        to: f64,
        horizontal: bool,
        label: String,
        color: Color,
    },
    Pie {
        shares: Vec<Share>,
        /// The angle at which the first begins, in degrees against the clock from the right.
        start: f64,
        clockwise: bool,
        /// The radius of the hole, as a part of the whole one.
        hole: f32,
    },
    Boxes {
        groups: Vec<Group>,
        thickness: f64,
        horizontal: bool,
        filled: bool,
        outliers: bool,
    },
    Text {
        x: f64,
        y: f64,
        text: String,
        color: Color,
        size: f32,
        horizontal: Align,
        vertical: Align,
        turn: f32,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bar {
    pub(crate) at: f64,
    pub(crate) name: String,
    pub(crate) length: Place,
    pub(crate) base: f64,
    pub(crate) thickness: f64,
    /// Half the length of the line for its error; 0 for none.
    pub(crate) error: f64,
    pub(crate) color: Color,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    pub(crate) value: f64,
    /// The text beside it.
    pub(crate) label: String,
    /// The text in a legend.
    pub(crate) name: String,
    /// The text inside.
    pub(crate) note: String,
    pub(crate) color: Color,
    /// The distance from the middle, as a part of the radius.
    pub(crate) apart: f32,
}

/// The numbers of a group that a box shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) at: f64,
    pub(crate) label: String,
    pub(crate) low: f64,
    pub(crate) first: f64,
    pub(crate) median: f64,
    pub(crate) third: f64,
    pub(crate) high: f64,
    pub(crate) outliers: Vec<f64>,
    pub(crate) color: Color,
}

/// The side of a text that is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Align {
    /// Its left, or its top.
    Start,
    Middle,
    End,
}

impl Mark {
    /// The name of it in a legend; none if it has none.
    pub(crate) fn label(&self) -> Option<&str> {
        let (Self::Line { label, .. }
        | Self::Scatter { label, .. }
        | Self::Bars { label, .. }
        | Self::Area { label, .. }
        | Self::Rule { label, .. }
        | Self::Span { label, .. }) = self
        else {
            return None;
        };
        (!label.is_empty()).then_some(label)
    }
}
