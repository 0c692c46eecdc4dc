//! Comparisons, extremes and neighbours.

use std::cmp::Ordering;

use crate::coefficient::Coefficient;
use crate::{Context, Decimal, Kind, Rounding, Status};

impl Context {
    /// The next larger number.
    pub fn next_plus(&self, number: &Decimal, status: &mut Status) -> Decimal {
        self.next(number, false, status)
    }

    /// The next smaller number.
    pub fn next_minus(&self, number: &Decimal, status: &mut Status) -> Decimal {
        self.next(number, true, status)
    }

    fn next(&self, number: &Decimal, down: bool, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        if number.is_infinite() {
            if number.negative == down {
                return number.clone();
            }
            return self.largest(number.negative, status);
        }
        let rounding = if down {
            Rounding::Floor
        } else {
            Rounding::Ceiling
        };
        let context = Self {
            rounding,
            ..self.clone()
        };
        let mut ignored = Status::default();
        let rounded = context.finalize(number.clone(), &mut ignored);
        if rounded.compare(number) != Some(Ordering::Equal) {
            return rounded;
        }
        let step = Decimal::finite(down, Coefficient::ONE, self.etiny() - 1);
        let next = context.add(&rounded, &step, &mut ignored);
        *status |= ignored & Status::OUT_OF_MEMORY;
        next
    }

    /// The next number in the direction of another one.
    pub fn next_toward(&self, number: &Decimal, other: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number, other], status) {
            return nan;
        }
        let next = match number.compare(other) {
            Some(Ordering::Less) => self.next_plus(number, status),
            Some(Ordering::Greater) => self.next_minus(number, status),
            _ => return number.with_sign(other.negative),
        };
        if next.is_infinite() {
            *status |= Status::OVERFLOW | Status::INEXACT | Status::ROUNDED;
        } else if next.is_zero() || next.is_subnormal(self) {
            *status |= Status::UNDERFLOW | Status::SUBNORMAL | Status::INEXACT | Status::ROUNDED;
            if next.is_zero() {
                *status |= Status::CLAMPED;
            }
        }
        next
    }

    /// -1, 0 or 1, as the first number is less, equal or greater.
    pub fn compare(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return nan;
        }
        order_number(left.compare(right).unwrap_or(Ordering::Equal))
    }

    /// The same, where each NaN is an invalid operation.
    pub fn compare_signal(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if left.is_nan() || right.is_nan() {
            *status |= Status::INVALID_OPERATION;
        }
        self.compare(left, right, status)
    }

    /// The larger number; that of a number and a quiet NaN is the number.
    pub fn max(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.extreme(left, right, Decimal::compare, Ordering::Greater, status)
    }

    /// The smaller number; that of a number and a quiet NaN is the number.
    pub fn min(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.extreme(left, right, Decimal::compare, Ordering::Less, status)
    }

    /// The number that is larger without its sign.
    pub fn max_magnitude(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.extreme(left, right, compare_magnitudes, Ordering::Greater, status)
    }

    /// The number that is smaller without its sign.
    pub fn min_magnitude(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        self.extreme(left, right, compare_magnitudes, Ordering::Less, status)
    }

    fn extreme(
        &self,
        left: &Decimal,
        right: &Decimal,
        compare: impl Fn(&Decimal, &Decimal) -> Option<Ordering>,
        wanted: Ordering,
        status: &mut Status,
    ) -> Decimal {
        let number = match (left.is_nan(), right.is_nan()) {
            (true, false) if !left.is_signaling() => right,
            (false, true) if !right.is_signaling() => left,
            (false, false) => {
                let order = match compare(left, right) {
                    Some(Ordering::Equal) | None => left.compare_total(right),
                    Some(order) => order,
                };
                if order == wanted || order == Ordering::Equal {
                    left
                } else {
                    right
                }
            }
            _ => {
                return self
                    .propagate(&[left, right], status)
                    .unwrap_or(Decimal::NAN);
            }
        };
        self.finalize(number.clone(), status)
    }
}

fn compare_magnitudes(left: &Decimal, right: &Decimal) -> Option<Ordering> {
    Some(left.compare_magnitude(right))
}

fn order_number(order: Ordering) -> Decimal {
    Decimal::from_i64(order as i64)
}

impl Decimal {
    /// The order of two numbers; `None` where one is a NaN.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.is_nan() || other.is_nan() {
            return None;
        }
        let (left, right) = (self.signum(), other.signum());
        if left != right || left == 0 {
            return Some(left.cmp(&right));
        }
        let order = self.compare_magnitude(other);
        Some(if self.negative {
            order.reverse()
        } else {
            order
        })
    }

    fn signum(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    /// The order without the signs; neither is a NaN.
    pub(crate) fn compare_magnitude(&self, other: &Self) -> Ordering {
        match (self.is_infinite(), other.is_infinite()) {
            (false, false) => {}
            (left, right) => return left.cmp(&right),
        }
        if self.is_zero() || other.is_zero() {
            return other.is_zero().cmp(&self.is_zero());
        }
        if self.exponent == other.exponent {
            return self.coefficient.cmp(&other.coefficient);
        }
        self.adjusted().cmp(&other.adjusted()).then_with(|| {
            // As many digits apart as the one has more than the other.
            let exponent = self.exponent.min(other.exponent);
            self.digits_from(exponent).cmp(&other.digits_from(exponent))
        })
    }

    /// The digits of the number at an exponent that is not larger than its own.
    pub(crate) fn digits_from(&self, exponent: i64) -> Coefficient {
        self.coefficient
            .times_ten_to(self.exponent.abs_diff(exponent))
    }

    /// The total order of the specification, in which each number differs from each other one.
    pub fn compare_total(&self, other: &Self) -> Ordering {
        if self.negative != other.negative {
            return other.negative.cmp(&self.negative);
        }
        let order = self.compare_total_magnitude(other);
        if self.negative {
            order.reverse()
        } else {
            order
        }
    }

    /// The same, without the signs.
    pub fn compare_total_magnitude(&self, other: &Self) -> Ordering {
        let rank = |number: &Self| match number.kind {
            Kind::Finite | Kind::Infinite => 0,
            Kind::Signaling => 1,
            Kind::Quiet => 2,
        };
        rank(self).cmp(&rank(other)).then_with(|| {
            if self.is_nan() {
                return self.coefficient.cmp(&other.coefficient);
            }
            self.compare_magnitude(other)
                .then(self.exponent.cmp(&other.exponent))
        })
    }
}
