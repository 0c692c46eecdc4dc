//! Exponential and logarithms, correctly rounded: computed with binary integers as fixed-point
//! numbers, again with more digits where these do not tell which way to round.

use malachite_bigint::{BigInt, Sign};
use num_integer::{Integer as _, Roots as _};
use num_traits::{Signed as _, ToPrimitive as _, Zero as _};

use crate::arithmetic::{has_room, invalid};
use crate::coefficient::Coefficient;
use crate::{Context, Decimal, MAX_EXPONENT, Rounding, Status};

/// The digits that are computed beyond the precision at first.
const GUARD: u64 = 8;

/// The most units of its last digit by which an approximation may differ from the result.
const WRONG: u128 = 1000;

/// The largest precision of these functions, whose time grows faster than the digits do.
const MAX_PRECISION: u64 = 1 << 20;

/// An approximation: at least as many digits as asked for, and an exponent.
pub(crate) type Approximation = (BigInt, i64);

impl Context {
    /// e to the power of the number.
    pub fn exp(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[number], status) {
            return nan;
        }
        if number.is_infinite() {
            return if number.is_negative() {
                Decimal::finite(false, Coefficient::ZERO, 0)
            } else {
                number.clone()
            };
        }
        if number.is_zero() {
            return Decimal::from_i64(1);
        }
        if number.adjusted() > 19 {
            return self
                .nearest()
                .beyond_exponents(number.is_negative(), false, status);
        }
        if number.adjusted() < -(self.precision + 2) {
            return self.nearest().beside_one(number.is_negative(), status);
        }
        self.nearest()
            .round_approximation(status, |digits| exp(number, digits))
    }

    /// The natural logarithm.
    pub fn ln(&self, number: &Decimal, status: &mut Status) -> Decimal {
        match self.logarithm_of_special(number, status) {
            Some(result) => result,
            None => self.nearest().round_approximation(status, |digits| {
                let bits = bits(digits + 2 + near_one(number));
                to_decimal(&ln(number, bits), bits, digits)
            }),
        }
    }

    /// The logarithm to base 10.
    pub fn log10(&self, number: &Decimal, status: &mut Status) -> Decimal {
        if let Some(result) = self.logarithm_of_special(number, status) {
            return result;
        }
        let zeros = number.coefficient.digits() - 1;
        if number.coefficient == Coefficient::power_of_ten(zeros) {
            return self.finalize(Decimal::from_i64(number.adjusted()), status);
        }
        self.nearest().round_approximation(status, |digits| {
            let bits = bits(digits + 2 + near_one(number));
            let quotient = (ln(number, bits) << bits) / ln_10(bits);
            to_decimal(&quotient, bits, digits)
        })
    }

    fn logarithm_of_special(&self, number: &Decimal, status: &mut Status) -> Option<Decimal> {
        if let Some(nan) = self.propagate(&[number], status) {
            return Some(nan);
        }
        if number.is_zero() {
            return Some(Decimal::infinity(true));
        }
        if number.is_negative() {
            return Some(invalid(status));
        }
        if number.is_infinite() {
            return Some(number.clone());
        }
        let is_one = number.compare(&Decimal::from_i64(1)) == Some(std::cmp::Ordering::Equal);
        is_one.then(|| Decimal::from_i64(0))
    }

    /// A result that is larger, or smaller, than any exponent has room for.
    pub(crate) fn beyond_exponents(
        &self,
        small: bool,
        negative: bool,
        status: &mut Status,
    ) -> Decimal {
        let exponent = if small {
            -3 * MAX_EXPONENT
        } else {
            3 * MAX_EXPONENT
        };
        self.finalize(
            Decimal::finite(negative, Coefficient::ONE, exponent),
            status,
        )
    }

    /// A result that is so near to 1 that the precision does not tell the difference.
    pub(crate) fn beside_one(&self, below: bool, status: &mut Status) -> Decimal {
        if !has_room(self.precision.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        let digits = self.precision + 2;
        let one = Coefficient::power_of_ten(digits.unsigned_abs());
        let beside = if below {
            one.minus(&Coefficient::ONE)
        } else {
            one.plus(&Coefficient::ONE)
        };
        self.finalize(Decimal::finite(false, beside, -digits), status)
    }

    pub(crate) fn nearest(&self) -> Self {
        Self {
            rounding: Rounding::HalfEven,
            ..self.clone()
        }
    }

    /// Rounds what `compute` gives for a number of digits, of which more are asked for where they
    /// decide.
    pub(crate) fn round_approximation(
        &self,
        status: &mut Status,
        compute: impl Fn(u64) -> Approximation,
    ) -> Decimal {
        let precision = self.precision.unsigned_abs();
        if precision > MAX_PRECISION {
            *status |= Status::OUT_OF_MEMORY;
            return Decimal::NAN;
        }
        let mut guard = GUARD;
        loop {
            let (value, exponent) = compute(precision + guard);
            let digits = Coefficient::from(value.magnitude().clone());
            let surplus = digits.digits().saturating_sub(precision);
            let unit = Coefficient::power_of_ten(surplus);
            // Twice what is beyond the precision lies between these where the digits decide.
            let rest = digits.last(surplus);
            let rest = rest.plus(&rest);
            let wrong = Coefficient::from(2 * WRONG);
            let near =
                |bound: &Coefficient| rest.plus(&wrong) > *bound && rest < bound.plus(&wrong);
            let end = unit.plus(&unit);
            let has_end = near(&Coefficient::ZERO) || near(&end);
            let result = Decimal::finite(value.is_negative(), digits, exponent);
            if !has_end && !near(&unit) {
                return self.finalize(result, status);
            }
            guard *= 2;
            if guard > 4 * GUARD {
                // The power of a number with an end may have one.
                let digits = self.precision + if has_end { 0 } else { 1 };
                let result = self
                    .with(digits, Rounding::HalfEven)
                    .finalize(result, status);
                let mut conditions = Status::INEXACT | Status::ROUNDED;
                let result = self.finalize(result, &mut conditions);
                if conditions.contains(Status::SUBNORMAL) {
                    conditions |= Status::UNDERFLOW;
                }
                *status |= conditions;
                return result;
            }
        }
    }
}

/// Digits as bits of a fraction.
pub(crate) fn bits(digits: u64) -> u64 {
    digits * 3402 / 1024 + 16
}

/// The zeros of a number's difference from 1, which its logarithm has too.
pub(crate) fn near_one(number: &Decimal) -> u64 {
    let mut ignored = Status::default();
    let from_one = Context::EXACT.with(MAX_EXPONENT / 4, Rounding::Down);
    if number.adjusted().abs() > 1 {
        return 0;
    }
    let difference = from_one.subtract(number, &Decimal::from_i64(1), &mut ignored);
    (-difference.adjusted()).max(0).unsigned_abs()
}

/// The digits of a fixed-point number, at least `digits` of them if it has so many bits.
pub(crate) fn to_decimal(value: &BigInt, bits: u64, digits: u64) -> Approximation {
    // Its first digit is at this exponent, or at the next lower one.
    let whole = value.bits() as i64 - bits as i64;
    let first = (whole as f64 * std::f64::consts::LOG10_2).floor() as i64;
    let exponent = first - digits as i64;
    let power = BigInt::from(10).pow(exponent.unsigned_abs() as u32);
    let scaled = if exponent < 0 {
        (value * power) >> bits
    } else {
        (value / power) >> bits
    };
    (scaled, exponent)
}

/// A number as a fixed-point one, rounded down.
pub(crate) fn to_fixed(number: &Decimal, bits: u64) -> BigInt {
    let sign = if number.is_negative() {
        Sign::Minus
    } else {
        Sign::Plus
    };
    let digits = BigInt::from_biguint(sign, number.coefficient.to_biguint()) << bits;
    let power = BigInt::from(10).pow(number.exponent.unsigned_abs() as u32);
    if number.exponent < 0 {
        digits.div_floor(&power)
    } else {
        digits * power
    }
}

/// e to the power of a finite number below 10²⁰.
fn exp(number: &Decimal, digits: u64) -> Approximation {
    let whole = (number.adjusted() + 1).max(0).unsigned_abs();
    let bits = bits(digits + whole);
    // Digits that are far behind the point change nothing, and there may be very many.
    let context = Context::EXACT.with((digits + whole + 4) as i64, Rounding::Down);
    let number = context.finalize(number.clone(), &mut Status::default());
    exp_of_fixed(&to_fixed(&number, bits), bits, digits)
}

/// e to the power of a fixed-point number.
pub(crate) fn exp_of_fixed(value: &BigInt, bits: u64, digits: u64) -> Approximation {
    let (tens, rest) = value.div_mod_floor(&ln_10(bits));
    let (mantissa, exponent) = to_decimal(&exp_of_fraction(&rest, bits), bits, digits);
    (mantissa, exponent + tens.to_i64().unwrap_or(0))
}

/// e to the power of a fixed-point number below 3: the series of a number halved some times, then
/// squared as often.
fn exp_of_fraction(value: &BigInt, bits: u64) -> BigInt {
    let halvings = bits.sqrt() / 2 + 2;
    let work = bits + 2 * halvings + 8;
    let value = value << (work - bits - halvings);
    let one = BigInt::from(1) << work;
    let mut sum = one.clone();
    let mut term = one;
    let mut index = 1_u32;
    loop {
        term = ((term * &value) >> work) / index;
        if term.is_zero() || term == BigInt::from(-1) {
            break;
        }
        sum += &term;
        index += 1;
    }
    for _ in 0..halvings {
        sum = (&sum * &sum) >> work;
    }
    sum >> (work - bits)
}

/// The logarithm of a finite positive number, as a fixed-point one: Halley's method for the inverse
/// of the exponential.
pub(crate) fn ln(number: &Decimal, bits: u64) -> BigInt {
    let work = bits + 72;
    let mut tens = number.adjusted();
    let digits = number.coefficient.digits() as i64;
    // Digits that are far behind the first change nothing.
    let kept = (work / 3 + 8) as i64;
    let coefficient = number
        .coefficient
        .without((digits - kept).max(0).unsigned_abs())
        .0;
    let mut scaled = Decimal::finite(false, coefficient, 1 - digits.min(kept));
    let root_of_ten = Decimal::finite(false, 316_u128.into(), -2);
    if scaled.compare(&root_of_ten) == Some(std::cmp::Ordering::Greater) {
        scaled.exponent -= 1;
        tens += 1;
    }
    let target = to_fixed(&scaled, work);
    let near = (&target >> (work - 60)).to_f64().unwrap_or(1.0) / (1_u64 << 60) as f64;
    let near = BigInt::from((near.ln() * (1_u64 << 60) as f64) as i64);
    let mut result = near << (work - 60);
    let mut correct = 48;
    while correct < work {
        let power = exp_of_fraction(&result, work);
        result += ((&target - &power) << (work + 1)) / (&target + &power);
        correct *= 3;
    }
    let tens = BigInt::from(tens) * ln_10(work);
    (result + tens) >> (work - bits)
}

/// The logarithm of 10: a sum of three inverse hyperbolic tangents, after Machin.
pub(crate) fn ln_10(bits: u64) -> BigInt {
    let work = bits + 32;
    let sum: BigInt = [(46, 31_u32), (34, 49), (20, 161)]
        .into_iter()
        .map(|(factor, of): (i32, u32)| BigInt::from(factor) * inverse_tangent(of, work))
        .sum();
    sum >> (work - bits)
}

/// The inverse hyperbolic tangent of 1/n.
fn inverse_tangent(of: u32, bits: u64) -> BigInt {
    let mut power = (BigInt::from(1) << bits) / of;
    let mut sum = BigInt::zero();
    let mut index = 1_u32;
    while !power.is_zero() {
        sum += &power / index;
        power /= of * of;
        index += 2;
    }
    sum
}
