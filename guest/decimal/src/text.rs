//! Numbers from text, and as text.

use crate::coefficient::Coefficient;
use crate::{Context, Decimal, Kind, MAX_EXPONENT, MIN_ETINY, Status};

impl Context {
    /// The number that a text stands for, rounded.
    pub fn parse(&self, text: &str, status: &mut Status) -> Decimal {
        match Decimal::parse(text) {
            Some(number) if number.is_nan() && !self.has_room_for_payload(&number) => {
                *status |= Status::CONVERSION_SYNTAX;
                Decimal::NAN
            }
            Some(number) => self.finalize(number, status),
            None => {
                *status |= Status::CONVERSION_SYNTAX;
                Decimal::NAN
            }
        }
    }

    /// A NaN's digits are no more than the precision has.
    pub fn has_room_for_payload(&self, number: &Decimal) -> bool {
        number.coefficient.is_zero()
            || number.coefficient.digits() as i64 <= self.precision - i64::from(self.clamp)
    }

    /// The class of a number, as the specification calls it.
    pub fn number_class(&self, number: &Decimal) -> &'static str {
        let subnormal = number.is_subnormal(self);
        match (number.kind, number.negative) {
            (Kind::Signaling, _) => "sNaN",
            (Kind::Quiet, _) => "NaN",
            (Kind::Infinite, true) => "-Infinity",
            (Kind::Infinite, false) => "+Infinity",
            (Kind::Finite, true) if number.is_zero() => "-Zero",
            (Kind::Finite, false) if number.is_zero() => "+Zero",
            (Kind::Finite, true) if subnormal => "-Subnormal",
            (Kind::Finite, false) if subnormal => "+Subnormal",
            (Kind::Finite, true) => "-Normal",
            (Kind::Finite, false) => "+Normal",
        }
    }
}

impl Decimal {
    /// The number that a text stands for, as it is written; `None` for no number.
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        if text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return Self::parse_finite(negative, text);
        }
        let lower = text.to_ascii_lowercase();
        if matches!(lower.as_str(), "inf" | "infinity") {
            return Some(Self::infinity(negative));
        }
        let (kind, payload) = match lower.strip_prefix("snan") {
            Some(payload) => (Kind::Signaling, payload),
            None => (Kind::Quiet, lower.strip_prefix("nan")?),
        };
        let coefficient = is_digits(payload).then(|| Coefficient::from_digits(payload))?;
        Some(Self {
            coefficient,
            ..Self::special(negative, kind)
        })
    }

    fn parse_finite(negative: bool, text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let coefficient = if fraction.is_empty() {
            Coefficient::from_digits(whole)
        } else {
            Coefficient::from_digits(&format!("{whole}{fraction}"))
        };
        let exponent = exponent.saturating_sub(fraction.len() as i64);
        // Larger ones are out of bounds under every context, and these are not beyond arithmetic.
        let exponent = exponent.clamp(2 * MIN_ETINY, 2 * MAX_EXPONENT);
        Some(Self::finite(negative, coefficient, exponent))
    }

    /// The number that a sign, digits and an exponent make.
    pub fn from_parts(negative: bool, digits: &str, exponent: i64) -> Self {
        Self::finite(negative, Coefficient::from_digits(digits), exponent)
    }

    /// A NaN with digits for a payload.
    pub fn nan(negative: bool, signaling: bool, digits: &str) -> Self {
        let kind = if signaling {
            Kind::Signaling
        } else {
            Kind::Quiet
        };
        Self {
            coefficient: Coefficient::from_digits(digits),
            ..Self::special(negative, kind)
        }
    }

    /// Positive or negative infinity.
    pub fn infinite(negative: bool) -> Self {
        Self::infinity(negative)
    }

    /// In scientific notation where the exponent asks for it.
    pub fn to_scientific(&self, capitals: bool) -> String {
        self.to_text(capitals, |_| 1)
    }

    /// The same with exponents that are multiples of three.
    pub fn to_engineering(&self, capitals: bool) -> String {
        let is_zero = self.is_zero();
        self.to_text(capitals, |adjusted| {
            if is_zero {
                // 0.00E+3 rather than 0E+1: digits are added, not moved.
                (adjusted + 2).rem_euclid(3) - 1
            } else {
                adjusted.rem_euclid(3) + 1
            }
        })
    }

    /// The digits, with the point after as many of them as `whole` says for the exponent of the
    /// first one.
    fn to_text(&self, capitals: bool, whole: impl Fn(i64) -> i64) -> String {
        // Enough for most: it need not grow.
        let mut text = String::with_capacity(32);
        text += if self.negative { "-" } else { "" };
        match self.kind {
            Kind::Infinite => return text + "Infinity",
            Kind::Quiet => text += "NaN",
            Kind::Signaling => text += "sNaN",
            Kind::Finite => {
                let digits = self.coefficient.to_string();
                let adjusted = self.exponent + digits.len() as i64 - 1;
                let is_plain = self.exponent <= 0 && adjusted >= -6;
                let whole = if is_plain {
                    adjusted + 1
                } else {
                    whole(adjusted)
                };
                push_pointed(&mut text, &digits, whole);
                let exponent = adjusted + 1 - whole;
                if exponent != 0 {
                    text.push(if capitals { 'E' } else { 'e' });
                    text += &format!("{exponent:+}");
                }
                return text;
            }
        }
        if !self.coefficient.is_zero() {
            text += &self.coefficient.to_string();
        }
        text
    }
}

/// Digits with a point after the first `whole` of them, and the zeros that this needs.
fn push_pointed(text: &mut String, digits: &str, whole: i64) {
    let zeros = |count: u64| std::iter::repeat_n('0', usize::try_from(count).unwrap_or(usize::MAX));
    match usize::try_from(whole).ok().filter(|whole| *whole > 0) {
        None => {
            *text += "0.";
            text.extend(zeros(whole.unsigned_abs()));
            *text += digits;
        }
        Some(whole) => match digits.split_at_checked(whole) {
            Some((before, after)) => {
                *text += before;
                if !after.is_empty() {
                    text.push('.');
                    *text += after;
                }
            }
            None => {
                *text += digits;
                text.extend(zeros((whole - digits.len()) as u64));
            }
        },
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent; one with too many digits is as large as one can be.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    let value = digits.parse().unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
    Some(if text.starts_with('-') { -value } else { value })
}
