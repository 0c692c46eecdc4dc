//! A figure as shapes: where its charts are, and what is around their marks.

use tiny_skia::Rect;

use crate::axis::{Direction, Range, Scale};
use crate::color::Color;
use crate::figure::{Align, Axes, Figure, Kind, Legend, Location, Mark, Pen};
use crate::font::Font;
use crate::marks::{Plot, draw_marks, draw_pies, sample};
use crate::scene::{Layer, Scene, Text, line, rectangle};
use crate::ticks::{Tick, ticks};

/// The size of letters; titles have the next.
pub(crate) const SIZE: f32 = 10.0;
const TITLE: f32 = 12.0;

/// The room around a figure, and between things.
const EDGE: f32 = 7.0;
const GAP: f32 = 4.0;
const TICK: f32 = 3.5;

/// A chart with what its place is computed from.
struct Chart<'a> {
    axes: &'a Axes,
    ranges: [Range; 2],
    ticks: [Vec<Tick>; 2],
    turns: [f32; 2],
    /// The room for labels: left, top, right, bottom.
    room: [f32; 4],
    legend: Option<Entries>,
}

/// The names of marks in a legend, each with the number of the mark, and of the share of a pie.
struct Entries {
    names: Vec<(String, usize, usize)>,
    width: f32,
    height: f32,
}

pub(crate) fn draw(figure: &Figure, font: &Font) -> Scene {
    let mut layers = Vec::new();
    let mut whole = Layer::default();
    if let Some(color) = figure.background {
        whole.fill(rectangle((0.0, 0.0), (figure.width, figure.height)), color);
    }
    let mut top = EDGE;
    if !figure.title.is_empty() {
        whole.text(Text {
            x: figure.width / 2.0,
            y: top,
            ..text(&figure.title, TITLE)
        });
        top += TITLE * 1.2 * lines(&figure.title) + GAP;
    }
    layers.push(whole);
    let (rows, columns) = (figure.rows.clamp(1, 64), figure.columns.clamp(1, 64));
    let cell = (
        figure.width / columns as f32,
        (figure.height - top) / rows as f32,
    );
    let charts: Vec<_> = figure
        .axes
        .iter()
        .map(|axes| Chart::new(axes, figure.ranges(axes), cell, font))
        .collect();
    // Charts that are one below the other begin and end at the same places.
    let widest = |number: fn(&Axes) -> usize, place: usize, side: usize| {
        let room = charts.iter().filter(|chart| number(chart.axes) == place);
        room.fold(0f32, |widest, chart| widest.max(chart.room[side]))
    };
    let share = |count: usize, all: f32, number: fn(&Axes) -> usize, sides: [usize; 2]| {
        let rooms: Vec<_> = (0..count)
            .map(|place| sides.map(|side| widest(number, place, side)))
            .collect();
        let labels: f32 = rooms.iter().flatten().sum();
        let gaps = 3.0 * GAP * (count - 1) as f32;
        let length = ((all - labels - gaps) / count as f32).max(1.0);
        let mut at = 0.0;
        let mut stretches = Vec::new();
        for [before, after] in rooms {
            stretches.push((at + before, at + before + length));
            at += before + length + after + 3.0 * GAP;
        }
        stretches
    };
    let across = share(
        columns,
        figure.width - 2.0 * EDGE,
        |axes| axes.column,
        [0, 2],
    );
    let down = share(rows, figure.height - top - EDGE, |axes| axes.row, [1, 3]);
    for chart in charts {
        let (Some((left, right)), Some((upper, lower))) = (
            across.get(chart.axes.column).copied(),
            down.get(chart.axes.row).copied(),
        ) else {
            continue;
        };
        let frame = Rect::from_ltrb(EDGE + left, top + upper, EDGE + right, top + lower);
        if let Some(frame) = frame {
            chart.draw(frame, font, &mut layers);
        }
    }
    Scene {
        width: figure.width,
        height: figure.height,
        layers,
    }
}

impl Figure {
    /// The ranges of a chart, with those of all others where they share one.
    fn ranges(&self, axes: &Axes) -> [Range; 2] {
        let mut ranges = [Direction::X, Direction::Y].map(|direction| axes.range(direction));
        for (direction, range) in [Direction::X, Direction::Y].into_iter().zip(&mut ranges) {
            if self.share[direction as usize] {
                for other in self.axes.iter().map(|other| other.range(direction)) {
                    range.low = range.low.min(other.low);
                    range.high = range.high.max(other.high);
                }
            }
        }
        ranges
    }
}

/// A text in the middle below its place, to be changed.
pub(crate) fn text(words: &str, size: f32) -> Text {
    Text {
        x: 0.0,
        y: 0.0,
        text: words.to_owned(),
        size,
        color: Color::BLACK,
        horizontal: Align::Middle,
        vertical: Align::Start,
        turn: 0.0,
    }
}

fn lines(text: &str) -> f32 {
    text.split('\n').count() as f32
}

fn width(text: &str, font: &Font) -> f32 {
    let widths = text.split('\n').map(|line| font.width(line, SIZE));
    widths.fold(0.0, f32::max)
}

impl<'a> Chart<'a> {
    fn new(axes: &'a Axes, ranges: [Range; 2], cell: (f32, f32), font: &Font) -> Self {
        let most = |length: f32, letters: f32| ((length / (SIZE * letters)) as usize).clamp(1, 9);
        let x_ticks = ticks(&axes.x, &ranges[0], most(cell.0 - 60.0, 3.0));
        let y_ticks = ticks(&axes.y, &ranges[1], most(cell.1 - 50.0, 2.0));
        let [widest_x, widest_y] = [&x_ticks, &y_ticks].map(|ticks| {
            let widths = ticks.iter().map(|tick| width(&tick.label, font));
            widths.fold(0.0, f32::max)
        });
        // Names that would run into each other are turned.
        let is_narrow = axes.x.scale == Kind::Category
            && x_ticks.len() as f32 * (widest_x + GAP) > (cell.0 - 60.0).max(1.0);
        let x_turn = axes.x.turn.unwrap_or(if is_narrow { 45.0 } else { 0.0 });
        let y_turn = axes.y.turn.unwrap_or(0.0);
        let legend = axes
            .legend
            .as_ref()
            .and_then(|legend| Entries::new(axes, legend, font));
        let mut room = [0.0; 4];
        if axes.framed {
            // The height of a text that is turned.
            let turned = |width: f32, turn: f32| {
                let turn = turn.to_radians();
                width * turn.sin().abs() + SIZE * turn.cos().abs()
            };
            let label = |label: &str| {
                if label.is_empty() {
                    0.0
                } else {
                    SIZE * 1.2 * lines(label) + GAP
                }
            };
            if widest_y > 0.0 {
                room[0] = TICK + GAP + turned(widest_y, 90.0 - y_turn);
            }
            room[0] += label(&axes.y.label);
            if widest_x > 0.0 {
                room[3] = TICK + GAP + turned(widest_x, x_turn);
            }
            room[3] += label(&axes.x.label);
            // The last label sticks out.
            let last = x_ticks.last().map_or(0.0, |tick| width(&tick.label, font));
            room[2] = if x_turn == 0.0 { last / 4.0 } else { 0.0 };
            room[1] = SIZE / 2.0;
        }
        if !axes.title.is_empty() {
            room[1] = TITLE * 1.2 * lines(&axes.title) + GAP;
        }
        if let (Some(legend), Some(entries)) = (&axes.legend, &legend)
            && legend.location == Location::Outside
        {
            room[2] += entries.width + 2.0 * GAP;
        }
        Self {
            axes,
            ranges,
            ticks: [x_ticks, y_ticks],
            turns: [x_turn, y_turn],
            room,
            legend,
        }
    }

    fn draw(self, frame: Rect, font: &Font, layers: &mut Vec<Layer>) {
        let axes = self.axes;
        let [x, y] = self.ranges;
        let plot = Plot {
            x: Scale::new(x, frame.left(), frame.right(), axes.x.inverted),
            y: Scale::new(y, frame.bottom(), frame.top(), axes.y.inverted),
            frame,
        };
        let mut below = Layer::default();
        let mut above = Layer::default();
        let [x_ticks, y_ticks] = &self.ticks;
        if axes.framed {
            let grid = Pen::new(Color::GRID, 0.8);
            let pen = Pen::new(Color::BLACK, 0.8);
            for tick in x_ticks {
                let Some(at) = plot.x.place(tick.at).filter(|at| plot.x.holds(*at)) else {
                    continue;
                };
                if axes.x.grid {
                    below.stroke(line((at, frame.bottom()), (at, frame.top())), grid.clone());
                }
                let end = frame.bottom() + TICK;
                above.stroke(line((at, frame.bottom()), (at, end)), pen.clone());
                let turn = self.turns[0];
                above.text(
                    Text {
                        x: at,
                        y: end + GAP,
                        horizontal: if turn == 0.0 || turn.abs() >= 90.0 {
                            Align::Middle
                        } else if turn > 0.0 {
                            Align::End
                        } else {
                            Align::Start
                        },
                        turn,
                        ..text(&tick.label, SIZE)
                    }
                    .upright(font),
                );
            }
            for tick in y_ticks {
                let Some(at) = plot.y.place(tick.at).filter(|at| plot.y.holds(*at)) else {
                    continue;
                };
                if axes.y.grid {
                    below.stroke(line((frame.left(), at), (frame.right(), at)), grid.clone());
                }
                let end = frame.left() - TICK;
                above.stroke(line((frame.left(), at), (end, at)), pen.clone());
                above.text(Text {
                    x: end - GAP,
                    y: at,
                    horizontal: Align::End,
                    vertical: Align::Middle,
                    turn: self.turns[1],
                    ..text(&tick.label, SIZE)
                });
            }
            let corners = ((frame.left(), frame.top()), (frame.right(), frame.bottom()));
            above.stroke(rectangle(corners.0, corners.1), pen);
            if !axes.x.label.is_empty() {
                let room = self.room[3] - SIZE * 1.2 * lines(&axes.x.label);
                above.text(Text {
                    x: f32::midpoint(frame.left(), frame.right()),
                    y: frame.bottom() + room,
                    ..text(&axes.x.label, SIZE)
                });
            }
            if !axes.y.label.is_empty() {
                above.text(Text {
                    x: frame.left() - self.room[0],
                    y: f32::midpoint(frame.top(), frame.bottom()),
                    turn: 90.0,
                    ..text(&axes.y.label, SIZE)
                });
            }
        }
        if !axes.title.is_empty() {
            above.text(Text {
                x: f32::midpoint(frame.left(), frame.right()),
                y: frame.top() - TITLE * 1.2 * lines(&axes.title) - GAP / 2.0,
                ..text(&axes.title, TITLE)
            });
        }
        let mut marks = Layer {
            clip: Some(frame),
            items: Vec::new(),
        };
        let busy = draw_marks(axes, &plot, &mut marks);
        draw_pies(axes, frame, &mut above);
        layers.extend([below, marks, above]);
        if let (Some(legend), Some(entries)) = (&axes.legend, self.legend) {
            layers.push(entries.draw(axes, legend, frame, &busy));
        }
    }
}

impl Text {
    /// Lets a text that stands on its end hang from its place.
    fn upright(mut self, font: &Font) -> Self {
        if self.turn.abs() >= 90.0 {
            self.y += font.width(&self.text, self.size) / 2.0;
            self.vertical = Align::Middle;
        }
        self
    }
}

/// The length of the samples in a legend, and the height of its lines.
const SAMPLE: f32 = 20.0;
const LINE: f32 = 14.0;

impl Entries {
    fn new(axes: &Axes, legend: &Legend, font: &Font) -> Option<Self> {
        let mut names = Vec::new();
        for (mark, drawn) in axes.marks.iter().enumerate() {
            if let Some(label) = drawn.label() {
                names.push((label.replace('\n', " "), mark, 0));
            }
            if let Mark::Pie { shares, .. } = drawn {
                let shares = shares.iter().enumerate();
                let named = shares.filter(|(_, share)| !share.name.is_empty());
                names.extend(named.map(|(place, share)| (share.name.clone(), mark, place)));
            }
        }
        if names.is_empty() {
            return None;
        }
        let widths = names.iter().map(|(name, ..)| font.width(name, SIZE));
        let widest = widths.fold(font.width(&legend.title, SIZE), f32::max);
        let titled = f32::from(u8::from(!legend.title.is_empty()));
        Some(Self {
            width: SAMPLE + widest + 4.0 * GAP,
            height: LINE * (names.len() as f32 + titled) + GAP,
            names,
        })
    }

    /// Returns its place in a frame: its left and its top.
    fn place(&self, location: Location, frame: Rect, busy: &[(f32, f32)]) -> (f32, f32) {
        let gap = 1.5 * GAP;
        let (left, top) = (frame.left() + gap, frame.top() + gap);
        let right = frame.right() - self.width - gap;
        let bottom = frame.bottom() - self.height - gap;
        let middle = f32::midpoint(left, right);
        let center = f32::midpoint(top, bottom);
        match location {
            Location::UpperRight => (right, top),
            Location::UpperLeft => (left, top),
            Location::LowerLeft => (left, bottom),
            Location::LowerRight => (right, bottom),
            Location::CenterLeft => (left, center),
            Location::CenterRight => (right, center),
            Location::LowerCenter => (middle, bottom),
            Location::UpperCenter => (middle, top),
            Location::Center => (middle, center),
            Location::Outside => (frame.right() + 2.0 * GAP, frame.top()),
            Location::Best => {
                let places = [
                    (right, top),
                    (left, top),
                    (left, bottom),
                    (right, bottom),
                    (right, center),
                    (left, center),
                    (middle, top),
                    (middle, bottom),
                ];
                let hidden = |(left, top): (f32, f32)| {
                    let is_hidden = |(x, y): &&(f32, f32)| {
                        (left..left + self.width).contains(x)
                            && (top..top + self.height).contains(y)
                    };
                    busy.iter().filter(is_hidden).count()
                };
                let best = places.into_iter().min_by_key(|place| hidden(*place));
                best.unwrap_or((right, top))
            }
        }
    }

    fn draw(&self, axes: &Axes, legend: &Legend, frame: Rect, busy: &[(f32, f32)]) -> Layer {
        let (left, top) = self.place(legend.location, frame, busy);
        let mut layer = Layer::default();
        let pale = Color([255, 255, 255, 204]);
        let border = Pen::new(Color([0xcc, 0xcc, 0xcc, 204]), 0.8);
        let corner = (left + self.width, top + self.height);
        layer.shape(rectangle((left, top), corner), Some(pale), Some(border));
        let mut y = top + GAP / 2.0 + LINE / 2.0;
        if !legend.title.is_empty() {
            layer.text(Text {
                x: left + self.width / 2.0,
                y,
                vertical: Align::Middle,
                ..text(&legend.title, SIZE)
            });
            y += LINE;
        }
        for (name, mark, share) in &self.names {
            if let Some(mark) = axes.marks.get(*mark) {
                sample(mark, *share, (left + GAP, y), SAMPLE, &mut layer);
            }
            layer.text(Text {
                x: left + SAMPLE + 2.5 * GAP,
                y,
                horizontal: Align::Start,
                vertical: Align::Middle,
                ..text(name, SIZE)
            });
            y += LINE;
        }
        layer
    }
}
