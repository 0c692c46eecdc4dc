//! `time.strftime` in the C locale as on Linux, which RustPython leaves to a system that is not
//! here.

use rustpython_vm::builtins::{PyStr, PyStrRef, PyTuple};
use rustpython_vm::common::wtf8::{CodePoint, Wtf8Buf};
use rustpython_vm::function::OptionalArg;
use rustpython_vm::{PyObjectRef, PyPayload, PyResult, VirtualMachine};

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment in parts: C's `struct tm`, but with the year as it is.
struct Parts {
    year: i64,
    /// From 1, as the day.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From 0 for Sunday.
    weekday: i64,
    /// From 1.
    yearday: i64,
    zone: String,
}

/// The flags and the width between `%` and a letter, which GNU's C library knows.
#[derive(Clone, Copy, Default)]
struct Options {
    pad: Option<char>,
    upper: bool,
    swap: bool,
    width: usize,
}

/// `strftime(format[, time_tuple])`.
pub(crate) fn strftime(
    format: PyStrRef,
    time: OptionalArg<PyObjectRef>,
    vm: &VirtualMachine,
) -> PyResult<PyStrRef> {
    let time = match time {
        OptionalArg::Present(time) => time,
        OptionalArg::Missing => vm.call_method(&*vm.import("time", 0)?, "localtime", ())?,
    };
    let parts = Parts::read(time, vm)?;
    let mut written = Wtf8Buf::new();
    let codes: Vec<CodePoint> = format.as_wtf8().code_points().collect();
    let mut rest = &codes[..];
    while let [code, after @ ..] = rest {
        rest = match (code.to_char() == Some('%'))
            .then(|| parts.directive(after))
            .flatten()
        {
            Some((text, used)) => {
                written.push_str(&text);
                &after[used..]
            }
            None => {
                written.push(*code);
                after
            }
        };
    }
    Ok(PyStr::from(written).into_ref(&vm.ctx))
}

impl Parts {
    /// Reads the nine numbers of a time tuple, with the checks of CPython's `checktm`.
    fn read(time: PyObjectRef, vm: &VirtualMachine) -> PyResult<Self> {
        let zone = time.get_attr("tm_zone", vm).ok();
        let Some(tuple) = time.downcast_ref::<PyTuple>() else {
            return Err(vm.new_type_error("Tuple or struct_time argument required"));
        };
        let mut numbers = Vec::new();
        for number in tuple.as_slice().iter().take(9) {
            numbers.push(number.try_index(vm)?.try_to_primitive::<i32>(vm)?.into());
        }
        let Ok([year, month, day, hour, minute, second, weekday, yearday, _]) =
            <[i64; 9]>::try_from(numbers)
        else {
            return Err(vm.new_type_error("strftime(): illegal time tuple argument"));
        };
        let parts = Self {
            year,
            // A tuple that has only some of its parts has zeros for the others.
            month: if month == 0 { 1 } else { month },
            day: if day == 0 { 1 } else { day },
            hour,
            minute,
            second,
            weekday: (weekday + 1) % 7,
            yearday: if yearday == 0 { 1 } else { yearday },
            zone: match zone.as_ref().and_then(|zone| zone.downcast_ref::<PyStr>()) {
                Some(zone) => zone.to_string_lossy().into_owned(),
                None => "UTC".to_owned(),
            },
        };
        for (name, value, range) in [
            ("month", parts.month, 1..=12),
            ("day of month", parts.day, 1..=31),
            ("hour", parts.hour, 0..=23),
            ("minute", parts.minute, 0..=59),
            ("seconds", parts.second, 0..=61),
            ("day of week", parts.weekday, 0..=6),
            ("day of year", parts.yearday, 1..=366),
        ] {
            if !range.contains(&value) {
                return Err(vm.new_value_error(format!("{name} out of range")));
            }
        }
        Ok(parts)
    }

    /// Writes the directive after a `%`, and counts its code points; `None` if it is none, and
    /// stays as it is.
    fn directive(&self, codes: &[CodePoint]) -> Option<(String, usize)> {
        let mut options = Options::default();
        let mut used = 0;
        loop {
            let letter = codes.get(used)?.to_char()?;
            used += 1;
            match letter {
                '_' | '-' | '0' if options.width == 0 => options.pad = Some(letter),
                '^' => options.upper = true,
                '#' => options.swap = true,
                '0'..='9' => {
                    let digit = usize::try_from(letter.to_digit(10)?).ok()?;
                    options.width = options.width.checked_mul(10)?.checked_add(digit)?;
                    // As much as CPython gives its buffer at first; no format has more.
                    if options.width > 1024 {
                        return None;
                    }
                }
                // The modifiers for other calendars and digits, which the C locale has none of.
                'E' | 'O' => {}
                letter => return Some((self.expand(letter, options)?, used)),
            }
        }
    }

    fn expand(&self, letter: char, options: Options) -> Option<String> {
        let (week_year, week) = self.iso_week();
        let hour12 = (self.hour + 11) % 12 + 1;
        let number = |value: i64, digits, pad| Some(options.number(value, digits, pad));
        let text = |text: &str| Some(options.text(text, false));
        let composed = |format: &str| {
            let codes: Vec<CodePoint> = format.chars().map(CodePoint::from_char).collect();
            let parts = codes.split(|code| code.to_char() == Some('%')).skip(1);
            let mut written = String::new();
            for part in parts {
                let (text, used) = self.directive(part)?;
                written += &text;
                written.extend(part[used..].iter().filter_map(|code| code.to_char()));
            }
            Some(options.text(&written, false))
        };
        match letter {
            'a' => text(&DAYS[self.weekday as usize][..3]),
            'A' => text(DAYS[self.weekday as usize]),
            'b' | 'h' => text(&MONTHS[self.month as usize - 1][..3]),
            'B' => text(MONTHS[self.month as usize - 1]),
            'c' => composed("%a %b %e %H:%M:%S %Y"),
            'C' => number(self.year.div_euclid(100), 2, '0'),
            'd' => number(self.day, 2, '0'),
            'D' | 'x' => composed("%m/%d/%y"),
            'e' => number(self.day, 2, ' '),
            'F' => composed("%Y-%m-%d"),
            'g' => number(week_year.rem_euclid(100), 2, '0'),
            'G' => number(week_year, 1, '0'),
            'H' => number(self.hour, 2, '0'),
            'I' => number(hour12, 2, '0'),
            'j' => number(self.yearday, 3, '0'),
            'k' => number(self.hour, 2, ' '),
            'l' => number(hour12, 2, ' '),
            'm' => number(self.month, 2, '0'),
            'M' => number(self.minute, 2, '0'),
            'n' => text("\n"),
            'p' => Some(options.text(if self.hour < 12 { "AM" } else { "PM" }, options.swap)),
            'P' => text(if self.hour < 12 { "am" } else { "pm" }),
            'r' => composed("%I:%M:%S %p"),
            'R' => composed("%H:%M"),
            's' => number(self.timestamp(), 1, '0'),
            'S' => number(self.second, 2, '0'),
            't' => text("\t"),
            'T' | 'X' => composed("%H:%M:%S"),
            'u' => number((self.weekday + 6) % 7 + 1, 1, '0'),
            'U' => number((self.yearday + 6 - self.weekday) / 7, 2, '0'),
            'V' => number(week, 2, '0'),
            'w' => number(self.weekday, 1, '0'),
            'W' => number((self.yearday + 6 - (self.weekday + 6) % 7) / 7, 2, '0'),
            'y' => number(self.year.rem_euclid(100), 2, '0'),
            'Y' => number(self.year, 1, '0'),
            'z' => text("+0000"),
            'Z' => Some(options.text(&self.zone, options.swap)),
            '%' => text("%"),
            _ => None,
        }
    }

    /// The year and the week by ISO 8601, in which weeks begin on Monday and the first has the
    /// year's first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let monday_based = (self.weekday + 6) % 7;
        let week = (self.yearday - 1 - monday_based + 10) / 7;
        if week < 1 {
            let year = self.year - 1;
            return (year, weeks(year));
        }
        if week > weeks(self.year) {
            return (self.year + 1, 1);
        }
        (self.year, week)
    }

    /// Seconds since 1970, as if it were UTC.
    fn timestamp(&self) -> i64 {
        let days = days_before(self.year) - days_before(1970);
        let before_month: i64 = (1..self.month).map(|month| days_in(self.year, month)).sum();
        let days = days + before_month + self.day - 1;
        ((days * 24 + self.hour) * 60 + self.minute) * 60 + self.second
    }
}

impl Options {
    fn number(self, value: i64, digits: usize, pad: char) -> String {
        let pad = self.pad.unwrap_or(if pad == ' ' { '_' } else { '0' });
        let width = if self.width > 0 { self.width } else { digits };
        match pad {
            '-' => value.to_string(),
            '_' => format!("{value:width$}"),
            _ => format!("{value:0width$}"),
        }
    }

    fn text(self, text: &str, lower: bool) -> String {
        let text = match (self.upper || self.swap, lower) {
            (_, true) => text.to_lowercase(),
            (true, false) => text.to_uppercase(),
            (false, false) => text.to_owned(),
        };
        let width = self.width;
        match self.pad {
            Some('0') => format!("{}{text}", "0".repeat(width.saturating_sub(text.len()))),
            _ => format!("{text:>width$}"),
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The days before a year's first, from the first of year 1.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The weeks of a year by ISO 8601.
fn weeks(year: i64) -> i64 {
    // From 0 for Monday, as the first day of year 1 was.
    let first = days_before(year).rem_euclid(7);
    if first == 3 || (first == 2 && is_leap(year)) {
        53
    } else {
        52
    }
}
