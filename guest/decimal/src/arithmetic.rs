//! Operations whose results are exact before they are rounded, or cut off after enough digits.

use std::cmp::Ordering;

use crate::coefficient::{Coefficient, Dropped};
use crate::{Context, Decimal, Kind, MAX_DIGITS, MAX_EXPONENT, Rounding, Status};

impl Context {
    /// Rounds a result to the precision, and brings its exponent within the bounds.
    pub fn finalize(&self, number: Decimal, status: &mut Status) -> Decimal {
        match number.kind {
            Kind::Finite => {}
            Kind::Infinite => return number,
            Kind::Quiet | Kind::Signaling => return self.cut_payload(number),
        }
        if number.coefficient.is_zero() {
            let top = if self.clamp { self.etop() } else { self.emax };
            let exponent = number.exponent.clamp(self.etiny(), top.max(self.etiny()));
            if exponent != number.exponent {
                *status |= Status::CLAMPED;
            }
            return number.with_exponent(exponent);
        }
        let digits = number.coefficient.digits() as i64;
        // The exponent at which the digits would fill the precision.
        let full = number.exponent.saturating_add(digits - self.precision);
        if full > self.etop() {
            return self.overflow(number.negative, status);
        }
        let subnormal = full < self.etiny();
        let least = full.max(self.etiny());
        if subnormal {
            *status |= Status::SUBNORMAL;
        }
        if number.exponent < least {
            return self.round_to(number, least, subnormal, status);
        }
        if self.clamp && number.exponent > self.etop() {
            *status |= Status::CLAMPED;
            return self.rescale_exactly(number, self.etop(), status);
        }
        number
    }

    /// The same of a number that is kept.
    pub fn round_copy(&self, number: &Decimal, status: &mut Status) -> Decimal {
        self.finalize(number.clone(), status)
    }

    fn round_to(
        &self,
        number: Decimal,
        exponent: i64,
        subnormal: bool,
        status: &mut Status,
    ) -> Decimal {
        let negative = number.negative;
        let (mut rounded, dropped) = self.round(&number, exponent);
        *status |= Status::ROUNDED;
        if dropped != Dropped::Zero {
            *status |= Status::INEXACT;
            if subnormal {
                *status |= Status::UNDERFLOW;
            }
        }
        let mut exponent = exponent;
        if rounded.is_zero() {
            *status |= Status::CLAMPED;
        } else if rounded.digits() as i64 > self.precision {
            (rounded, _) = rounded.without(1);
            exponent += 1;
            if exponent > self.etop() {
                return self.overflow(negative, status);
            }
        }
        Decimal::finite(negative, rounded, exponent)
    }

    /// The digits of a number at a larger exponent, rounded, and what was rounded away.
    fn round(&self, number: &Decimal, exponent: i64) -> (Coefficient, Dropped) {
        let (kept, dropped) = number
            .coefficient
            .without(exponent.abs_diff(number.exponent));
        let up = dropped != Dropped::Zero
            && match self.rounding {
                Rounding::Up => true,
                Rounding::Down => false,
                Rounding::Ceiling => !number.negative,
                Rounding::Floor => number.negative,
                Rounding::HalfUp => matches!(dropped, Dropped::Half | Dropped::AboveHalf),
                Rounding::HalfDown => dropped == Dropped::AboveHalf,
                Rounding::HalfEven => {
                    dropped == Dropped::AboveHalf || dropped == Dropped::Half && kept.is_odd()
                }
                Rounding::ZeroFiveUp => kept.is_multiple_of_five(),
            };
        let rounded = if up {
            kept.plus(&Coefficient::ONE)
        } else {
            kept
        };
        (rounded, dropped)
    }

    fn overflow(&self, negative: bool, status: &mut Status) -> Decimal {
        *status |= Status::OVERFLOW | Status::INEXACT | Status::ROUNDED;
        let to_infinity = match self.rounding {
            Rounding::Up | Rounding::HalfUp | Rounding::HalfDown | Rounding::HalfEven => true,
            Rounding::Down | Rounding::ZeroFiveUp => false,
            Rounding::Ceiling => !negative,
            Rounding::Floor => negative,
        };
        if to_infinity {
            return Decimal::infinity(negative);
        }
        self.largest(negative, status)
    }

    /// The largest finite number.
    pub(crate) fn largest(&self, negative: bool, status: &mut Status) -> Decimal {
        if !has_room(self.precision.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        let digits = Coefficient::nines(self.precision.unsigned_abs());
        Decimal::finite(negative, digits, self.etop())
    }

    /// A payload has room for one digit less than the precision where exponents are clamped.
    fn cut_payload(&self, number: Decimal) -> Decimal {
        let room = self.precision.unsigned_abs() - u64::from(self.clamp);
        let coefficient = number.coefficient.last(room);
        Decimal {
            coefficient,
            ..number
        }
    }

    /// The same number at an exponent that is not larger.
    fn rescale_exactly(&self, number: Decimal, exponent: i64, status: &mut Status) -> Decimal {
        if !number.is_zero() && !has_room(number.exponent.abs_diff(exponent), status) {
            return Decimal::NAN;
        }
        let coefficient = number.digits_from(exponent);
        Decimal::finite(number.negative, coefficient, exponent)
    }

    /// The result of an operation of which a NaN takes part, if one does.
    pub(crate) fn propagate(&self, operands: &[&Decimal], status: &mut Status) -> Option<Decimal> {
        if operands.iter().all(|number| !number.is_nan()) {
            return None;
        }
        let signaling = operands.iter().find(|number| number.is_signaling());
        if signaling.is_some() {
            *status |= Status::INVALID_OPERATION;
        }
        let nan = signaling.or_else(|| operands.iter().find(|number| number.is_nan()))?;
        let quiet = Decimal {
            kind: Kind::Quiet,
            ..(**nan).clone()
        };
        Some(self.cut_payload(quiet))
    }

    /// The number itself, rounded.
    pub fn plus(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        let negative = number.negative && !(number.is_zero() && self.rounding != Rounding::Floor);
        self.finalize(number.with_sign(negative), status)
    }

    /// The number with the other sign, rounded.
    pub fn minus(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        self.plus(&number.with_sign(!number.negative), status)
    }

    /// The number without its sign, rounded.
    pub fn abs(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        self.finalize(number.with_sign(false), status)
    }

    /// The sum.
    pub fn add(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return nan;
        }
        match (left.is_infinite(), right.is_infinite()) {
            (true, true) if left.negative != right.negative => return invalid(status),
            (true, _) => return left.clone(),
            (_, true) => return right.clone(),
            (false, false) => {}
        }
        let Some(sum) = self.sum(left, right, status) else {
            return Decimal::NAN;
        };
        self.finalize(sum, status)
    }

    /// A number that rounds as the sum of two finite ones does.
    fn sum(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Option<Decimal> {
        let (upper, lower) = if left.exponent >= right.exponent {
            (left, right)
        } else {
            (right, left)
        };
        if upper.is_zero() || lower.is_zero() {
            return self.sum_with_zero(left, right, lower.exponent, status);
        }
        // Of a number that is far below the last digit that counts, only the sign does.
        let least =
            upper.exponent + (upper.coefficient.digits() as i64 - self.precision - 2).min(-1);
        let distant = Decimal::finite(lower.negative, Coefficient::ONE, least);
        let lower = if lower.adjusted() < least {
            &distant
        } else {
            lower
        };
        let exponent = lower.exponent;
        if !has_room(upper.exponent.abs_diff(exponent), status) {
            return None;
        }
        let digits = upper.digits_from(exponent);
        if upper.negative == lower.negative {
            let sum = digits.plus(&lower.coefficient);
            return Some(Decimal::finite(upper.negative, sum, exponent));
        }
        Some(match digits.cmp(&lower.coefficient) {
            Ordering::Equal => {
                let negative = self.rounding == Rounding::Floor;
                Decimal::finite(negative, Coefficient::ZERO, exponent)
            }
            Ordering::Greater => {
                Decimal::finite(upper.negative, digits.minus(&lower.coefficient), exponent)
            }
            Ordering::Less => {
                Decimal::finite(lower.negative, lower.coefficient.minus(&digits), exponent)
            }
        })
    }

    fn sum_with_zero(
        &self,
        left: &Decimal,
        right: &Decimal,
        exponent: i64,
        status: &mut Status,
    ) -> Option<Decimal> {
        let other = match (left.is_zero(), right.is_zero()) {
            (true, true) => {
                let negative = if left.negative == right.negative {
                    left.negative
                } else {
                    self.rounding == Rounding::Floor
                };
                return Some(Decimal::finite(negative, Coefficient::ZERO, exponent));
            }
            (true, false) => right,
            _ => left,
        };
        // As near to the zero's exponent as the precision lets it.
        let room = self.precision - other.coefficient.digits() as i64;
        let exponent = exponent
            .max(other.exponent - room.max(0) - 1)
            .min(other.exponent);
        has_room(other.exponent.abs_diff(exponent), status)
            .then(|| Decimal::finite(other.negative, other.digits_from(exponent), exponent))
    }

    /// The difference.
    pub fn subtract(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return nan;
        }
        self.add(left, &right.with_sign(!right.negative), status)
    }

    /// The product.
    pub fn multiply(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return nan;
        }
        let Some(product) = exact_product(left, right) else {
            return invalid(status);
        };
        self.finalize(product, status)
    }

    /// The product of two numbers and the sum with a third one, rounded once.
    pub fn fused_multiply_add(
        &self,
        left: &Decimal,
        right: &Decimal,
        third: &Decimal,
        status: &mut Status,
    ) -> Decimal {
        // That the product is not defined comes before what would be added to it.
        if left.is_nan() || right.is_nan() {
            let nan = self.propagate(&[left, right, third], status);
            return nan.unwrap_or(Decimal::NAN);
        }
        let Some(product) = exact_product(left, right) else {
            return invalid(status);
        };
        self.add(&product, third, status)
    }

    /// The quotient.
    pub fn divide(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return nan;
        }
        let negative = left.negative != right.negative;
        match (left.is_infinite(), right.is_infinite()) {
            (true, true) => return invalid(status),
            (true, false) => return Decimal::infinity(negative),
            (false, true) => {
                *status |= Status::CLAMPED;
                return Decimal::finite(negative, Coefficient::ZERO, self.etiny());
            }
            (false, false) => {}
        }
        if right.is_zero() {
            return divided_by_zero(left, negative, status);
        }
        let ideal = left.exponent - right.exponent;
        if left.is_zero() {
            return self.finalize(Decimal::finite(negative, Coefficient::ZERO, ideal), status);
        }
        let (of, by) = (&left.coefficient, &right.coefficient);
        let shift = by.digits() as i64 - of.digits() as i64 + self.precision + 1;
        if !has_room(shift.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        let (quotient, remainder) = if shift >= 0 {
            of.times_ten_to(shift.unsigned_abs()).div_rem(by)
        } else {
            of.div_rem(&by.times_ten_to(shift.unsigned_abs()))
        };
        let exponent = ideal - shift;
        let quotient = if remainder.is_zero() {
            let (quotient, zeros) =
                quotient.without_zeros((ideal - exponent).max(0).unsigned_abs());
            Decimal::finite(negative, quotient, exponent + zeros as i64)
        } else {
            Decimal::finite(negative, with_rest(quotient), exponent)
        };
        self.finalize(quotient, status)
    }

    /// The quotient towards zero, and the remainder, which has the sign of the number that is
    /// divided.
    pub fn divide_with_remainder(
        &self,
        left: &Decimal,
        right: &Decimal,
        status: &mut Status,
    ) -> (Decimal, Decimal) {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return (nan.clone(), nan);
        }
        let negative = left.negative != right.negative;
        if left.is_infinite() {
            let nan = invalid(status);
            let quotient = if right.is_infinite() {
                Decimal::NAN
            } else {
                Decimal::infinity(negative)
            };
            return (quotient, nan);
        }
        if right.is_zero() {
            if left.is_zero() {
                *status |= Status::DIVISION_UNDEFINED;
                return (Decimal::NAN, Decimal::NAN);
            }
            *status |= Status::DIVISION_BY_ZERO | Status::INVALID_OPERATION;
            return (Decimal::infinity(negative), Decimal::NAN);
        }
        match self.integer_division(left, right, status) {
            Some((quotient, remainder)) => {
                let quotient = Decimal::finite(negative, quotient, 0);
                (quotient, self.finalize(remainder, status))
            }
            None => (Decimal::NAN, Decimal::NAN),
        }
    }

    /// The quotient towards zero.
    pub fn divide_int(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return nan;
        }
        let negative = left.negative != right.negative;
        if left.is_infinite() {
            if right.is_infinite() {
                return invalid(status);
            }
            return Decimal::infinity(negative);
        }
        if right.is_zero() {
            return divided_by_zero(left, negative, status);
        }
        match self.integer_division(left, right, status) {
            Some((quotient, _)) => Decimal::finite(negative, quotient, 0),
            None => Decimal::NAN,
        }
    }

    /// The remainder of the quotient towards zero.
    pub fn remainder(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        match self.remainder_of_special(left, right, status) {
            Some(result) => result,
            None => match self.integer_division(left, right, status) {
                Some((_, remainder)) => self.finalize(remainder, status),
                None => Decimal::NAN,
            },
        }
    }

    /// The remainder of the quotient that is nearest; of the even one between two.
    pub fn remainder_near(&self, left: &Decimal, right: &Decimal, status: &mut Status) -> Decimal {
        if let Some(result) = self.remainder_of_special(left, right, status) {
            return result;
        }
        let Some((quotient, mut remainder)) = self.integer_division(left, right, status) else {
            return Decimal::NAN;
        };
        // A number that is so much smaller than half of the other one is the remainder itself.
        let is_small = left.is_zero() || left.adjusted() - right.adjusted() <= -2;
        if right.is_finite() && !is_small {
            let exponent = remainder.exponent;
            let by = right.digits_from(exponent);
            let rest = &remainder.coefficient;
            let up = match rest.plus(rest).cmp(&by) {
                Ordering::Greater => true,
                Ordering::Equal => quotient.is_odd(),
                Ordering::Less => false,
            };
            if up {
                let next = quotient.plus(&Coefficient::ONE);
                if next.digits() as i64 > self.precision {
                    *status |= Status::DIVISION_IMPOSSIBLE;
                    return Decimal::NAN;
                }
                remainder = Decimal::finite(!left.negative, by.minus(rest), exponent);
            }
        }
        self.finalize(remainder, status)
    }

    fn remainder_of_special(
        &self,
        left: &Decimal,
        right: &Decimal,
        status: &mut Status,
    ) -> Option<Decimal> {
        if let Some(nan) = self.propagate(&[left, right], status) {
            return Some(nan);
        }
        if left.is_infinite() {
            return Some(invalid(status));
        }
        if right.is_zero() {
            *status |= if left.is_zero() {
                Status::DIVISION_UNDEFINED
            } else {
                Status::INVALID_OPERATION
            };
            return Some(Decimal::NAN);
        }
        None
    }

    /// The integer quotient without its sign and the exact remainder of a finite number.
    fn integer_division(
        &self,
        left: &Decimal,
        right: &Decimal,
        status: &mut Status,
    ) -> Option<(Coefficient, Decimal)> {
        if right.is_infinite() {
            return Some((Coefficient::ZERO, left.clone()));
        }
        let exponent = left.exponent.min(right.exponent);
        let apart = left.adjusted() - right.adjusted();
        if left.is_zero() || apart <= -2 {
            let digits = left.digits_from(exponent);
            return Some((
                Coefficient::ZERO,
                Decimal::finite(left.negative, digits, exponent),
            ));
        }
        if apart > self.precision {
            *status |= Status::DIVISION_IMPOSSIBLE;
            return None;
        }
        if !has_room(left.exponent.abs_diff(right.exponent), status) {
            return None;
        }
        let (quotient, remainder) = left
            .digits_from(exponent)
            .div_rem(&right.digits_from(exponent));
        if quotient.digits() as i64 > self.precision {
            *status |= Status::DIVISION_IMPOSSIBLE;
            return None;
        }
        Some((
            quotient,
            Decimal::finite(left.negative, remainder, exponent),
        ))
    }

    /// The square root.
    pub fn sqrt(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        let ideal = number.exponent.div_euclid(2);
        if number.is_zero() {
            return self.finalize(
                Decimal::finite(number.negative, Coefficient::ZERO, ideal),
                status,
            );
        }
        if number.negative {
            return invalid(status);
        }
        if number.is_infinite() {
            return number.clone();
        }
        // Two more digits than the precision, from an even exponent.
        let digits = number.coefficient.digits() as i64;
        let wanted = 2 * (self.precision.min(MAX_EXPONENT) + 2);
        let mut shift = wanted - digits;
        if (number.exponent - shift) % 2 != 0 {
            shift += 1;
        }
        if !has_room(shift.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        let (scaled, cut) = if shift >= 0 {
            (
                number.coefficient.times_ten_to(shift.unsigned_abs()),
                Dropped::Zero,
            )
        } else {
            number.coefficient.without(shift.unsigned_abs())
        };
        let (root, is_exact) = scaled.sqrt();
        let exponent = (number.exponent - shift) / 2;
        let root = if is_exact && cut == Dropped::Zero {
            let (root, zeros) = root.without_zeros((ideal - exponent).max(0).unsigned_abs());
            Decimal::finite(false, root, exponent + zeros as i64)
        } else {
            Decimal::finite(false, with_rest(root), exponent)
        };
        self.nearest().finalize(root, status)
    }

    /// The number with the exponent of another one.
    pub fn quantize(&self, number: &Decimal, like: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number, like], status) {
            return nan;
        }
        match (number.is_infinite(), like.is_infinite()) {
            (true, true) => return number.clone(),
            (false, false) => {}
            _ => return invalid(status),
        }
        self.quantize_to(number, like.exponent, status)
    }

    fn quantize_to(&self, number: &Decimal, exponent: i64, status: &mut Status) -> Decimal {
        if !(self.etiny()..=self.emax).contains(&exponent) {
            return invalid(status);
        }
        if number.is_zero() {
            return self.finalize(number.clone().with_exponent(exponent), status);
        }
        if number.adjusted() > self.emax || number.adjusted() - exponent >= self.precision {
            return invalid(status);
        }
        let mut conditions = Status::default();
        let result = self.rescale(number, exponent, &mut conditions);
        if result.adjusted() > self.emax || result.coefficient.digits() as i64 > self.precision {
            return invalid(status);
        }
        if result.is_subnormal(self) {
            conditions |= Status::SUBNORMAL;
        }
        *status |= conditions;
        self.finalize(result, status)
    }

    /// The number at an exponent, however many digits that makes.
    pub fn rescale(&self, number: &Decimal, exponent: i64, status: &mut Status) -> Decimal {
        if !number.is_finite() {
            return number.clone();
        }
        if number.is_zero() {
            return number.clone().with_exponent(exponent);
        }
        if number.exponent >= exponent {
            return self.rescale_exactly(number.clone(), exponent, status);
        }
        *status |= Status::ROUNDED;
        let (rounded, dropped) = self.round(number, exponent);
        if dropped != Dropped::Zero {
            *status |= Status::INEXACT;
        }
        Decimal::finite(number.negative, rounded, exponent)
    }

    /// The number as an integer, which says if it was none.
    pub fn to_integral_exact(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        if number.is_infinite() || number.exponent >= 0 {
            return number.clone();
        }
        self.rescale(number, 0, status)
    }

    /// The number as an integer.
    pub fn to_integral_value(&self, number: &Decimal, status: &mut Status) -> Decimal {
        let mut conditions = Status::default();
        let result = self.to_integral_exact(number, &mut conditions);
        *status |= conditions & Status::INVALID;
        result
    }

    /// The number without zeros at its end, rounded.
    pub fn reduce(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        let number = self.finalize(number.clone(), status);
        if !number.is_finite() {
            return number;
        }
        if number.is_zero() {
            return number.with_exponent(0);
        }
        let top = if self.clamp { self.etop() } else { self.emax };
        let limit = (top - number.exponent).max(0).unsigned_abs();
        let (coefficient, zeros) = number.coefficient.without_zeros(limit);
        Decimal::finite(number.negative, coefficient, number.exponent + zeros as i64)
    }

    /// The power of ten of the first digit, as a number.
    pub fn logb(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        if number.is_infinite() {
            return Decimal::infinity(false);
        }
        if number.is_zero() {
            *status |= Status::DIVISION_BY_ZERO;
            return Decimal::infinity(true);
        }
        self.finalize(Decimal::from_i64(number.adjusted()), status)
    }

    /// The number times a power of ten.
    pub fn scaleb(&self, number: &Decimal, by: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number, by], status) {
            return nan;
        }
        let limit = 2 * (self.emax + self.precision);
        let Some(by) = by
            .as_small_int()
            .filter(|by| by.unsigned_abs() <= limit.unsigned_abs())
        else {
            return invalid(status);
        };
        if number.is_infinite() {
            return number.clone();
        }
        let exponent = number.exponent.saturating_add(by);
        self.finalize(number.clone().with_exponent(exponent), status)
    }
}

impl Decimal {
    /// The value of an integer that is written as one, with exponent 0.
    pub(crate) fn as_small_int(&self) -> Option<i64> {
        if !self.is_finite() || self.exponent != 0 {
            return None;
        }
        let value = i64::try_from(self.coefficient.to_u64()?).ok()?;
        Some(if self.negative { -value } else { value })
    }
}

/// The product of two numbers that are not NaNs; `None` for zero times infinity.
fn exact_product(left: &Decimal, right: &Decimal) -> Option<Decimal> {
    let negative = left.negative != right.negative;
    if left.is_infinite() || right.is_infinite() {
        let is_undefined = left.is_zero() || right.is_zero();
        return (!is_undefined).then(|| Decimal::infinity(negative));
    }
    let digits = left.coefficient.times(&right.coefficient);
    Some(Decimal::finite(
        negative,
        digits,
        left.exponent + right.exponent,
    ))
}

fn divided_by_zero(left: &Decimal, negative: bool, status: &mut Status) -> Decimal {
    if left.is_zero() {
        *status |= Status::DIVISION_UNDEFINED;
        return Decimal::NAN;
    }
    *status |= Status::DIVISION_BY_ZERO;
    Decimal::infinity(negative)
}

pub(crate) fn invalid(status: &mut Status) -> Decimal {
    *status |= Status::INVALID_OPERATION;
    Decimal::NAN
}

pub(crate) fn has_room(digits: u64, status: &mut Status) -> bool {
    let has_room = digits <= MAX_DIGITS;
    if !has_room {
        *status |= Status::OUT_OF_MEMORY;
    }
    has_room
}

/// Digits after which others follow that are not zeros: no half, and not exact.
pub(crate) fn with_rest(digits: Coefficient) -> Coefficient {
    if digits.is_multiple_of_five() {
        digits.plus(&Coefficient::ONE)
    } else {
        digits
    }
}
