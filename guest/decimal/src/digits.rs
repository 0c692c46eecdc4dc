//! Operations on the digits of a number.

use crate::arithmetic::{has_room, invalid};
use crate::coefficient::Coefficient;
use crate::{Context, Decimal, Status};

impl Context {
    /// The digits moved to the left, or to the right by a negative number; what leaves the
    /// precision is lost.
    pub fn shift(&self, number: &Decimal, by: &Decimal, status: &mut Status) -> Decimal {
        self.move_digits(number, by, status, |digits, by| {
            if by >= 0 {
                digits.times_ten_to(by.unsigned_abs())
            } else {
                digits.without(by.unsigned_abs()).0
            }
        })
    }

    /// The same, where what leaves the precision comes in at the other end.
    pub fn rotate(&self, number: &Decimal, by: &Decimal, status: &mut Status) -> Decimal {
        let precision = self.precision.unsigned_abs();
        self.move_digits(number, by, status, |digits, by| {
            let left = if by >= 0 {
                by.unsigned_abs()
            } else {
                precision - by.unsigned_abs()
            };
            let right = precision - left;
            let low = digits.last(right).times_ten_to(left);
            low.plus(&digits.without(right).0)
        })
    }

    fn move_digits(
        &self,
        number: &Decimal,
        by: &Decimal,
        status: &mut Status,
        act: impl Fn(&Coefficient, i64) -> Coefficient,
    ) -> Decimal {
        if let Some(nan) = self.propagate(&[number, by], status) {
            return nan;
        }
        let within = |by: &i64| by.unsigned_abs() <= self.precision.unsigned_abs();
        let Some(by) = by.as_small_int().filter(within) else {
            return invalid(status);
        };
        if number.is_infinite() {
            return number.clone();
        }
        let precision = self.precision.unsigned_abs();
        if !number.is_zero() && !has_room(by.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        let moved = act(&number.coefficient.last(precision), by).last(precision);
        Decimal::finite(number.negative, moved, number.exponent)
    }

    /// The digits of two numbers of zeros and ones, each combined by `and`.
    pub fn logical_and(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.combine(left, right, status, |left, right| left && right)
    }

    /// The digits of two numbers of zeros and ones, each combined by `or`.
    pub fn logical_or(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.combine(left, right, status, |left, right| left || right)
    }

    /// The digits of two numbers of zeros and ones, each combined by `xor`.
    pub fn logical_xor(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.combine(left, right, status, |left, right| left != right)
    }

    /// The ones as zeros and the zeros, as many as the precision has, as ones.
    pub fn logical_invert(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if !has_room(self.precision.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        let precision = usize::try_from(self.precision).unwrap_or(usize::MAX);
        let ones = Decimal::finite(false, Coefficient::from_digits(&"1".repeat(precision)), 0);
        self.logical_xor(number, &ones, status)
    }

    fn combine(
        &self,
        left: &Decimal,
        right: &Decimal,
        status: &mut Status,
        act: impl Fn(bool, bool) -> bool,
    ) -> Decimal {
        let (Some(left), Some(right)) = (left.logical_digits(), right.logical_digits()) else {
            return invalid(status);
        };
        let length = left.len().max(right.len());
        let padded = |digits: &str| format!("{digits:0>length$}");
        let digits: String = padded(&left)
            .chars()
            .zip(padded(&right).chars())
            .map(|(left, right)| {
                if act(left == '1', right == '1') {
                    '1'
                } else {
                    '0'
                }
            })
            .collect();
        let digits = Coefficient::from_digits(&digits).last(self.precision.unsigned_abs());
        Decimal::finite(false, digits, 0)
    }
}

impl Decimal {
    /// The digits of a number that has none but zeros and ones; `None` for another one.
    fn logical_digits(&self) -> Option<String> {
        if !self.is_finite() || self.negative || self.exponent != 0 {
            return None;
        }
        let digits = self.coefficient.to_string();
        digits
            .bytes()
            .all(|digit| matches!(digit, b'0' | b'1'))
            .then_some(digits)
    }
}
