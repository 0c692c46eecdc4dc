//! The ticks of an axis: their places and their labels.

use crate::axis::Range;
use crate::figure::{Axis, Kind};

pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// Returns the ticks of an axis, so many at most if it does not say them itself.
pub(crate) fn ticks(axis: &Axis, range: &Range, most: usize) -> Vec<Tick> {
    let mut ticks = match (&axis.ticks, axis.scale) {
        (Some(places), Kind::Date) => {
            let unit = places
                .iter()
                .map(|place| Unit::of(*place))
                .min()
                .unwrap_or(Unit::Day);
            let tick = |at: &f64| Tick {
                at: *at,
                label: unit.format(*at),
            };
            places.iter().map(tick).collect()
        }
        (Some(places), Kind::Category) => {
            let tick = |at: &f64| {
                // What is no place of a name is none.
                let name = (at.fract() == 0.0 && *at >= 0.0).then(|| axis.names.get(*at as usize));
                let label = name.flatten().cloned().unwrap_or_default();
                Tick { at: *at, label }
            };
            places.iter().map(tick).collect()
        }
        (Some(places), _) => labelled(places.clone(), decimals(places)),
        (None, Kind::Linear) => linear(range, most),
        (None, Kind::Log) => powers(range, most),
        (None, Kind::Date) => dates(range, most),
        (None, Kind::Category) => {
            let names = axis.names.iter().enumerate();
            let tick = |(place, name): (usize, &String)| Tick {
                at: place as f64,
                label: name.clone(),
            };
            names.map(tick).collect()
        }
    };
    if let Some(labels) = &axis.tick_labels {
        let labels = labels
            .iter()
            .cloned()
            .chain(std::iter::repeat(String::new()));
        for (tick, label) in ticks.iter_mut().zip(labels) {
            tick.label = label;
        }
    }
    ticks
}

fn linear(range: &Range, most: usize) -> Vec<Tick> {
    let least = (range.high - range.low) / most.max(1) as f64;
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = steps.iter().find(|step| *step * power >= least * 0.999_999);
    let step = step.copied().unwrap_or(10.0) * power;
    if !step.is_normal() {
        return Vec::new();
    }
    let places = multiples(range, step);
    let decimals = decimals(&places);
    labelled(places, decimals)
}

/// The multiples of a step that lie in a range, some dozens.
fn multiples(range: &Range, step: f64) -> Vec<f64> {
    let first = (range.low / step - 1e-6).ceil();
    let last = (range.high / step + 1e-6).floor();
    let count = (last - first).clamp(-1.0, 100.0) as i64 + 1;
    (0..count)
        .map(|place| (first + place as f64) * step)
        .collect()
}

/// Counts the decimals that tell the numbers exactly, or nearly.
fn decimals(places: &[f64]) -> usize {
    let largest = places
        .iter()
        .fold(0f64, |most, place| most.max(place.abs()));
    let exact = |decimals: usize| {
        let power = 10f64.powi(decimals as i32);
        let near = largest * power * 1e-9;
        places
            .iter()
            .all(|place| ((place * power).round() - place * power).abs() <= near)
    };
    (0..10).find(|decimals| exact(*decimals)).unwrap_or(10)
}

fn labelled(places: Vec<f64>, decimals: usize) -> Vec<Tick> {
    let largest = places
        .iter()
        .fold(0f64, |most, place| most.max(place.abs()));
    let tick = |at: f64| {
        let label = if largest >= 1e10 || decimals > 6 {
            format!("{}", Exponent(at))
        } else {
            format!("{at:.decimals$}")
        };
        let is_zero = label
            .trim_start_matches('-')
            .chars()
            .all(|digit| matches!(digit, '0' | '.'));
        let label = if is_zero {
            label.trim_start_matches('-').to_owned()
        } else {
            label
        };
        Tick {
            at,
            label: label.replace('-', "\u{2212}"),
        }
    };
    places.into_iter().map(tick).collect()
}

/// A number with an exponent, of four digits.
struct Exponent(f64);

impl std::fmt::Display for Exponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.3e}", self.0);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{digits}e{exponent}")
    }
}

fn powers(range: &Range, most: usize) -> Vec<Tick> {
    let step = ((range.high - range.low) / most.max(1) as f64)
        .ceil()
        .max(1.0);
    let places = multiples(range, step);
    if places.len() < 2 {
        // Less than two powers of ten: as on a plain axis.
        let plain = Range {
            kind: Kind::Linear,
            low: 10f64.powf(range.low),
            high: 10f64.powf(range.high),
        };
        return linear(&plain, most);
    }
    let tick = |power: f64| {
        let digit = |digit: char| match digit {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => digit
                .to_digit(10)
                .and_then(|digit| char::from_u32(0x2070 + digit))
                .unwrap_or(digit),
        };
        let power_text = (power as i64).to_string();
        Tick {
            at: 10f64.powf(power),
            label: format!("10{}", power_text.chars().map(digit).collect::<String>()),
        }
    };
    places.into_iter().map(tick).collect()
}

/// The part of a date that a tick tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

const SECONDS_OF_A_DAY: f64 = 86_400.0;

impl Unit {
    /// The largest that a time is a whole one of.
    fn of(days: f64) -> Self {
        let seconds = (days * SECONDS_OF_A_DAY).round() as i64;
        if seconds % 60 != 0 {
            return Self::Second;
        }
        match (seconds % 3600, seconds % 86_400) {
            (0, 0) => match civil(seconds.div_euclid(86_400)) {
                (_, 1, 1) => Self::Year,
                (_, _, 1) => Self::Month,
                _ => Self::Day,
            },
            (0, _) => Self::Hour,
            _ => Self::Minute,
        }
    }

    fn format(self, days: f64) -> String {
        let seconds = (days * SECONDS_OF_A_DAY).round() as i64;
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        match self {
            Self::Year => format!("{year}"),
            Self::Month => format!("{year}-{month:02}"),
            Self::Day => format!("{year}-{month:02}-{day:02}"),
            Self::Hour => format!("{month:02}-{day:02} {hour:02}"),
            Self::Minute => format!("{day:02} {hour:02}:{minute:02}"),
            Self::Second => format!("{hour:02}:{minute:02}:{second:02}"),
        }
    }
}

fn dates(range: &Range, most: usize) -> Vec<Tick> {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3600.0;
    /// Steps in seconds, each with what it shows.
    const STEPS: [(f64, Unit); 15] = [
        (1.0, Unit::Second),
        (5.0, Unit::Second),
        (15.0, Unit::Second),
        (30.0, Unit::Second),
        (MINUTE, Unit::Minute),
        (5.0 * MINUTE, Unit::Minute),
        (15.0 * MINUTE, Unit::Minute),
        (30.0 * MINUTE, Unit::Minute),
        (HOUR, Unit::Hour),
        (3.0 * HOUR, Unit::Hour),
        (6.0 * HOUR, Unit::Hour),
        (12.0 * HOUR, Unit::Hour),
        (24.0 * HOUR, Unit::Day),
        (48.0 * HOUR, Unit::Day),
        (7.0 * 24.0 * HOUR, Unit::Day),
    ];
    /// Steps in months.
    const MONTHS: [i64; 12] = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000];
    let days = range.high - range.low;
    // Dates are long: half as many as numbers.
    let most = (most as f64 / 1.5).max(1.0);
    let step = STEPS
        .iter()
        .find(|(step, _)| days * SECONDS_OF_A_DAY / step <= most);
    if let Some((step, unit)) = step {
        let tick = |at: f64| Tick {
            at,
            label: unit.format(at),
        };
        return multiples(range, step / SECONDS_OF_A_DAY)
            .into_iter()
            .map(tick)
            .collect();
    }
    let step = MONTHS
        .iter()
        .find(|step| days / (30.44 * **step as f64) <= most);
    let step = *step.unwrap_or(&12_000);
    let unit = if step < 12 { Unit::Month } else { Unit::Year };
    let (year, month, _) = civil(range.low.clamp(-1e9, 1e9) as i64);
    let first = (year * 12 + month - 1).div_euclid(step);
    let places = (first..first + 100).map(|place| {
        let month = place * step;
        days_since_1970(month.div_euclid(12), month.rem_euclid(12) + 1) as f64
    });
    let inside = places
        .skip_while(|at| *at < range.low)
        .take_while(|at| *at <= range.high);
    let tick = |at: f64| Tick {
        at,
        label: unit.format(at),
    };
    inside.map(tick).collect()
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // The year from March on, so that a leap day is its last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The first day of a month.
fn days_since_1970(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A date as ISO 8601 writes it.
pub(crate) fn iso(days: f64) -> String {
    let seconds = (days * SECONDS_OF_A_DAY).round() as i64;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}
