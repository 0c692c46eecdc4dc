//! Python's format specifications for numbers.

use std::ops::RangeInclusive;

use crate::{Context, Decimal, MAX_DIGITS, Rounding, Status};

/// A format specification:
/// `[[fill]align][sign][z][#][0][width][grouping][.[precision][grouping]][type]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    fill: char,
    align: char,
    sign: char,
    no_negative_zero: bool,
    with_point: bool,
    zero_padded: bool,
    width: u64,
    separator: Option<char>,
    precision: Option<u64>,
    fraction_separator: Option<char>,
    kind: char,
}

impl Format {
    /// The specification that a text is; `None` for none. `capitals` decides what no type stands
    /// for.
    pub fn parse(text: &str, capitals: bool) -> Option<Self> {
        let is_align = |align: &char| matches!(align, '<' | '>' | '=' | '^');
        let mut rest = text.chars().peekable();
        let mut two = text.chars();
        let (first, second) = (two.next(), two.next());
        let fill = first.filter(|_| second.as_ref().is_some_and(is_align));
        if fill.is_some() {
            rest.next();
        }
        let align = rest.next_if(is_align);
        let sign = rest.next_if(|sign| matches!(sign, '-' | '+' | ' '));
        let no_negative_zero = rest.next_if_eq(&'z').is_some();
        let with_point = rest.next_if_eq(&'#').is_some();
        let zero_padded = rest.next_if_eq(&'0').is_some();
        if zero_padded && align.is_some() {
            return None;
        }
        let number = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut digits = None;
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                let digit = u64::from(digit.to_digit(10)?);
                digits = Some(
                    digits
                        .unwrap_or(0_u64)
                        .saturating_mul(10)
                        .saturating_add(digit),
                );
            }
            digits
        };
        let is_separator = |separator: &char| matches!(separator, ',' | '_');
        let width = number(&mut rest).unwrap_or(0);
        let separator = rest.next_if(is_separator);
        let (mut precision, mut fraction_separator) = (None, None);
        if rest.next_if_eq(&'.').is_some() {
            precision = number(&mut rest);
            fraction_separator = rest.next_if(is_separator);
            if precision.is_none() && fraction_separator.is_none() {
                return None;
            }
        }
        let kind =
            rest.next_if(|kind| matches!(kind, 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%'));
        if rest.next().is_some() || kind == Some('n') && separator.is_some() {
            return None;
        }
        let kind = match kind {
            // The locale is always C, which groups nothing.
            Some('n') => 'g',
            None if capitals => 'G',
            None => 'g',
            Some(kind) => kind,
        };
        if precision == Some(0) && matches!(kind, 'g' | 'G') {
            precision = Some(1);
        }
        Some(Self {
            fill: fill.unwrap_or(' '),
            align: align.unwrap_or('>'),
            sign: sign.unwrap_or('-'),
            no_negative_zero,
            with_point,
            zero_padded,
            width,
            separator,
            precision,
            fraction_separator,
            kind,
        })
    }

    /// The number as this says; `None` if that is more text than there is memory for.
    pub fn apply(&self, number: &Decimal, rounding: Rounding) -> Option<String> {
        let allowed: RangeInclusive<u64> = 0..=MAX_DIGITS;
        if !allowed.contains(&self.width) || !allowed.contains(&self.precision.unwrap_or(0)) {
            return None;
        }
        if !number.is_finite() {
            let mut body = number.with_sign(false).to_scientific(true);
            if self.kind == '%' {
                body.push('%');
            }
            return Some(self.pad(self.sign_of(number.is_negative()), &body));
        }
        let mut number = number.clone();
        if self.kind == '%' {
            number.exponent += 2;
        }
        let number = self.round(number, rounding)?;
        let negative = number.is_negative() && !(self.no_negative_zero && number.is_zero());
        let digits = number.coefficient.to_string();
        let point = number.exponent + digits.len() as i64;
        let whole = match self.kind {
            'f' | 'F' | '%' => point,
            'e' | 'E' => match self.precision {
                Some(precision) if number.is_zero() => 1 - precision as i64,
                _ => 1,
            },
            _ if number.exponent <= 0 && point > -6 => point,
            _ => 1,
        };
        if whole.unsigned_abs() > MAX_DIGITS {
            return None;
        }
        let (before, after) = split_at_point(&digits, whole);
        Some(self.join(negative, &before, &after, point - whole))
    }

    fn round(&self, mut number: Decimal, rounding: Rounding) -> Option<Decimal> {
        let context = Context::EXACT.with(Context::EXACT.precision, rounding);
        let mut status = Status::default();
        if let Some(precision) = self.precision {
            let precision = precision as i64;
            let digits = number.coefficient.digits() as i64;
            number = match self.kind {
                'f' | 'F' | '%' => context.rescale(&number, -precision, &mut status),
                'e' | 'E' => {
                    let mut rounded = number.to_digits(precision + 1, &context, &mut status);
                    if number.is_zero() {
                        rounded.exponent = number.exponent;
                    }
                    rounded
                }
                _ if digits > precision => number.to_digits(precision, &context, &mut status),
                _ => number,
            };
        }
        if number.is_zero() && number.exponent > 0 && matches!(self.kind, 'f' | 'F' | '%') {
            number.exponent = 0;
        }
        (!status.contains(Status::OUT_OF_MEMORY)).then_some(number)
    }

    fn join(&self, negative: bool, before: &str, after: &str, exponent: i64) -> String {
        let sign = self.sign_of(negative);
        let mut tail = String::new();
        if !after.is_empty() || self.with_point {
            tail.push('.');
        }
        for (index, digit) in after.chars().enumerate() {
            if let Some(separator) = self.fraction_separator
                && index > 0
                && index % 3 == 0
            {
                tail.push(separator);
            }
            tail.push(digit);
        }
        if exponent != 0 || matches!(self.kind, 'e' | 'E') {
            let letter = if matches!(self.kind, 'e' | 'g') {
                'e'
            } else {
                'E'
            };
            tail += &format!("{letter}{exponent:+}");
        }
        if self.kind == '%' {
            tail.push('%');
        }
        let least = if self.zero_padded {
            self.width.saturating_sub((sign.len() + tail.len()) as u64) as usize
        } else {
            0
        };
        let body = group(before, self.separator, least) + &tail;
        self.pad(sign, &body)
    }

    fn sign_of(&self, negative: bool) -> &'static str {
        match (negative, self.sign) {
            (true, _) => "-",
            (false, '+') => "+",
            (false, ' ') => " ",
            _ => "",
        }
    }

    fn pad(&self, sign: &str, body: &str) -> String {
        let missing = (self.width as usize).saturating_sub(sign.len() + body.len());
        let fill = |count: usize| self.fill.to_string().repeat(count);
        match self.align {
            '<' => format!("{sign}{body}{}", fill(missing)),
            '=' => format!("{sign}{}{body}", fill(missing)),
            '^' => {
                let left = missing / 2;
                format!("{}{sign}{body}{}", fill(left), fill(missing - left))
            }
            _ => format!("{}{sign}{body}", fill(missing)),
        }
    }
}

impl Decimal {
    /// The number with exactly so many digits.
    fn to_digits(&self, digits: i64, context: &Context, status: &mut Status) -> Self {
        if self.is_zero() {
            return self.clone();
        }
        let rounded = context.rescale(self, self.adjusted() + 1 - digits, status);
        // 9.99 to two digits is 10.0, which has three.
        if rounded.coefficient.digits() as i64 > digits && digits > 0 {
            let (coefficient, _) = rounded.coefficient.without(1);
            return Self::finite(rounded.negative, coefficient, rounded.exponent + 1);
        }
        rounded
    }
}

/// The digits before and after a point that stands after the first `whole` of them, with the zeros
/// that this needs.
fn split_at_point(digits: &str, whole: i64) -> (String, String) {
    let zeros = |count: u64| "0".repeat(usize::try_from(count).unwrap_or(usize::MAX));
    let length = digits.len() as i64;
    if whole <= 0 {
        return ("0".to_owned(), zeros(whole.unsigned_abs()) + digits);
    }
    if whole >= length {
        let missing = (whole - length).unsigned_abs();
        return (format!("{digits}{}", zeros(missing)), String::new());
    }
    let (before, after) = digits.split_at(whole as usize);
    (before.to_owned(), after.to_owned())
}

/// Digits in groups of three, with zeros before them that make the text at least so long.
fn group(digits: &str, separator: Option<char>, least: usize) -> String {
    let Some(separator) = separator else {
        return format!("{digits:0>least$}");
    };
    let mut count = digits.len();
    while count + (count - 1) / 3 < least {
        count += 1;
    }
    let padded = format!("{digits:0>count$}");
    let mut grouped = String::new();
    for (index, digit) in padded.chars().enumerate() {
        if index > 0 && (count - index).is_multiple_of(3) {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    grouped
}
