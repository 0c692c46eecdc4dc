//! The data of charts in the form of E2B's `Result.chart`, so that a page can draw them itself.

use serde_json::{Value, json};

use crate::axis::Direction;
use crate::figure::{Axes, Bar, Figure, Group, Kind, Mark, Place, Share};
use crate::marks::angles;
use crate::ticks::{iso, ticks};

pub(crate) fn data(figure: &Figure) -> Value {
    match figure.axes.as_slice() {
        [axes] => chart(axes),
        axes => json!({
            "type": "superchart",
            "title": title(&figure.title),
            "elements": axes.iter().map(chart).collect::<Vec<_>>(),
        }),
    }
}

fn title(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        text.into()
    }
}

/// One type for a chart, by the first of its marks that has one; the other marks are left out.
fn chart(axes: &Axes) -> Value {
    let kind = axes.marks.iter().find_map(kind_of);
    let marks = axes.marks.iter().enumerate();
    let elements: Vec<_> = marks
        .filter(|(_, mark)| kind_of(mark) == kind)
        .flat_map(|(number, mark)| elements(mark, number, axes))
        .collect();
    let kind = kind.unwrap_or("unknown");
    let mut chart = json!({"type": kind, "title": title(&axes.title), "elements": elements});
    if matches!(kind, "pie" | "unknown") {
        return chart;
    }
    for (name, direction) in [("x", Direction::X), ("y", Direction::Y)] {
        let axis = axes.axis(direction);
        chart[format!("{name}_label")] = title(&axis.label);
        chart[format!("{name}_unit")] = unit(&axis.label);
        if matches!(kind, "line" | "scatter") {
            let ticks = ticks(axis, &axes.range(direction), 9);
            let places: Vec<_> = ticks
                .iter()
                .map(|tick| coordinate(axes, direction, tick.at))
                .collect();
            let labels: Vec<_> = ticks.iter().map(|tick| tick.label.as_str()).collect();
            chart[format!("{name}_ticks")] = places.into();
            chart[format!("{name}_tick_labels")] = labels.into();
            chart[format!("{name}_scale")] = match axis.scale {
                Kind::Linear => "linear",
                Kind::Log => "log",
                Kind::Date => "datetime",
                Kind::Category => "categorical",
            }
            .into();
        }
    }
    chart
}

/// The text in brackets at the end of a label: its unit.
fn unit(label: &str) -> Value {
    let inner = label
        .trim_end()
        .strip_suffix(')')
        .and_then(|label| label.rsplit_once('('));
    inner.map_or(Value::Null, |(_, unit)| title(unit.trim()))
}

fn kind_of(mark: &Mark) -> Option<&'static str> {
    match mark {
        Mark::Line { .. } => Some("line"),
        Mark::Scatter { .. } => Some("scatter"),
        Mark::Bars { .. } => Some("bar"),
        Mark::Pie { .. } => Some("pie"),
        Mark::Boxes { .. } => Some("box_and_whisker"),
        Mark::Area { .. } | Mark::Rule { .. } | Mark::Span { .. } | Mark::Text { .. } => None,
    }
}

fn coordinate(axes: &Axes, direction: Direction, value: f64) -> Value {
    let axis = axes.axis(direction);
    match axis.scale {
        Kind::Linear | Kind::Log => value.into(),
        Kind::Date => iso(value).into(),
        Kind::Category => {
            let name = (value >= 0.0).then(|| axis.names.get(value as usize));
            name.flatten()
                .map_or(Value::Null, |name| name.as_str().into())
        }
    }
}

fn elements(mark: &Mark, number: usize, axes: &Axes) -> Vec<Value> {
    let named = |label: &str| {
        if label.is_empty() {
            format!("series {}", number + 1)
        } else {
            label.to_owned()
        }
    };
    match mark {
        Mark::Line { x, y, label, .. } | Mark::Scatter { x, y, label, .. } => {
            let point = |(x, y): (&Place, &Place)| {
                let x = coordinate(axes, Direction::X, (*x)?);
                Some(json!([x, coordinate(axes, Direction::Y, (*y)?)]))
            };
            let points: Vec<_> = x.iter().zip(y).filter_map(point).collect();
            vec![json!({"label": named(label), "points": points})]
        }
        Mark::Bars { bars, label, .. } => {
            let element = |bar: &Bar| {
                let group = named(label);
                json!({"label": bar.name, "group": group, "value": bar.length})
            };
            bars.iter().map(element).collect()
        }
        Mark::Pie {
            shares,
            start,
            clockwise,
            ..
        } => {
            let angles = angles(shares, *start, *clockwise);
            let element = |(share, [from, to]): (&Share, [f64; 2])| {
                json!({
                    "label": if share.label.is_empty() { &share.name } else { &share.label },
                    "angle": (to - from).abs(),
                    "radius": 1.0,
                    "autopct": title(&share.note),
                })
            };
            shares.iter().zip(angles).map(element).collect()
        }
        Mark::Boxes { groups, .. } => {
            let element = |group: &Group| {
                json!({
                    "label": group.label,
                    "min": group.low,
                    "first_quartile": group.first,
                    "median": group.median,
                    "third_quartile": group.third,
                    "max": group.high,
                    "outliers": group.outliers,
                })
            };
            groups.iter().map(element).collect()
        }
        Mark::Area { .. } | Mark::Rule { .. } | Mark::Span { .. } | Mark::Text { .. } => Vec::new(),
    }
}
