//! Powers.

use std::cmp::Ordering;

use malachite_bigint::{BigInt, Sign};
use num_integer::Integer as _;
use num_traits::{One as _, Zero as _};

use crate::arithmetic::{has_room, invalid};
use crate::coefficient::Coefficient;
use crate::elementary::{bits, exp_of_fixed, ln, near_one, to_fixed};
use crate::{Context, Decimal, MAX_EXPONENT, Rounding, Status};

impl Context {
    /// One number to the power of another one.
    pub fn power(&self, base: &Decimal, exponent: &Decimal, status: &mut Status) -> Decimal {
        if let Some(nan) = self.propagate(&[base, exponent], status) {
            return nan;
        }
        if exponent.is_zero() {
            return if base.is_zero() {
                invalid(status)
            } else {
                Decimal::from_i64(1)
            };
        }
        let is_integer = exponent.is_integer();
        let negative = base.negative && is_integer && exponent.is_odd();
        if base.negative && !base.is_zero() && !is_integer && !exponent.is_infinite() {
            return invalid(status);
        }
        if base.is_zero() {
            return self.to_zero_or_infinity(!exponent.negative, negative);
        }
        if base.is_infinite() {
            if base.negative && !is_integer {
                return invalid(status);
            }
            return self.to_zero_or_infinity(exponent.negative, negative);
        }
        let one = Decimal::from_i64(1);
        let from_one = base.compare_magnitude(&one);
        if exponent.is_infinite() {
            if base.negative {
                return invalid(status);
            }
            return match from_one {
                Ordering::Equal => self.one_in_full(false, status),
                order => self
                    .to_zero_or_infinity(exponent.negative == (order == Ordering::Greater), false),
            };
        }
        if from_one == Ordering::Equal {
            return self.power_of_one(base, exponent, negative, is_integer, status);
        }
        if let Some(result) = self.power_beyond_exponents(base, exponent, negative, status) {
            return result;
        }
        if is_integer {
            self.integer_power(base, exponent, negative, status)
        } else {
            self.general_power(base, exponent, status)
        }
    }

    fn to_zero_or_infinity(&self, zero: bool, negative: bool) -> Decimal {
        if zero {
            Decimal::finite(negative, Coefficient::ZERO, 0)
        } else {
            Decimal::infinity(negative)
        }
    }

    /// 1 with all digits that the precision has.
    fn one_in_full(&self, negative: bool, status: &mut Status) -> Decimal {
        *status |= Status::INEXACT | Status::ROUNDED;
        self.one_with(self.precision - 1, negative, status)
    }

    fn one_with(&self, zeros: i64, negative: bool, status: &mut Status) -> Decimal {
        if !has_room(zeros.unsigned_abs(), status) {
            return Decimal::NAN;
        }
        Decimal::finite(
            negative,
            Coefficient::power_of_ten(zeros.unsigned_abs()),
            -zeros,
        )
    }

    /// The power of 1, which may be written with digits behind the point.
    fn power_of_one(
        &self,
        base: &Decimal,
        exponent: &Decimal,
        negative: bool,
        is_integer: bool,
        status: &mut Status,
    ) -> Decimal {
        if !is_integer {
            return self.one_in_full(negative, status);
        }
        let times = match exponent.to_int() {
            Some(_) if exponent.negative => 0,
            Some(times) => i64::try_from(&times).unwrap_or(i64::MAX),
            None => i64::MAX,
        };
        let zeros = base
            .exponent
            .unsigned_abs()
            .saturating_mul(times.unsigned_abs());
        let most = self.precision.unsigned_abs() - 1;
        if zeros > most {
            *status |= Status::ROUNDED;
        }
        self.one_with(zeros.min(most) as i64, negative, status)
    }

    /// The result where it is certain that its exponent has no room.
    fn power_beyond_exponents(
        &self,
        base: &Decimal,
        exponent: &Decimal,
        negative: bool,
        status: &mut Status,
    ) -> Option<Decimal> {
        // The first digit of the logarithm to base 10: what its exponent is multiplied with.
        let logarithm = match base.adjusted() {
            0 | -1 => {
                let near_one = near_one(base) as i64;
                -near_one - 2
            }
            adjusted => (adjusted.unsigned_abs().ilog10() as i64) - 1,
        };
        if exponent.adjusted() + logarithm > 19 {
            let grows = base.adjusted() >= 0;
            let small = grows == exponent.negative;
            return Some(self.beyond_exponents(small, negative, status));
        }
        // The power of a number that is so near to 1 that the precision does not show the
        // difference.
        let change = exponent.adjusted()
            + if base.adjusted().abs() <= 1 {
                1 - near_one(base) as i64
            } else {
                20
            };
        if change < -(self.precision + 2) && !exponent.is_integer() {
            let below = (base.adjusted() < 0) != exponent.negative;
            return Some(self.beside_one(below, status));
        }
        None
    }

    fn integer_power(
        &self,
        base: &Decimal,
        exponent: &Decimal,
        negative: bool,
        status: &mut Status,
    ) -> Decimal {
        let Some(times) = exponent.to_int() else {
            *status |= Status::OUT_OF_MEMORY;
            return Decimal::NAN;
        };
        let precision = self.precision + exponent.adjusted() + 6;
        if !has_room(
            precision
                .unsigned_abs()
                .min(base.coefficient.digits().saturating_mul(times.bits() * 8)),
            status,
        ) {
            return Decimal::NAN;
        }
        let work = self.with(precision.min(MAX_EXPONENT), Rounding::HalfEven);
        let mut conditions = Status::default();
        let mut base = base.with_sign(false);
        if exponent.negative {
            base = work.divide(&Decimal::from_i64(1), &base, &mut conditions);
        }
        let times = times.magnitude();
        let mut result = base.clone();
        for bit in (0..times.bits().saturating_sub(1)).rev() {
            result = work.multiply(&result, &result, &mut conditions);
            if times.bit(bit) {
                result = work.multiply(&result, &base, &mut conditions);
            }
            if result.is_infinite() || result.is_zero() {
                return self.beyond_exponents(result.is_zero(), negative, status);
            }
        }
        *status |= conditions & (Status::INEXACT | Status::ROUNDED | Status::OUT_OF_MEMORY);
        self.finalize(result.with_sign(negative), status)
    }

    fn general_power(&self, base: &Decimal, exponent: &Decimal, status: &mut Status) -> Decimal {
        let magnitude = base.with_sign(false);
        self.round_approximation(status, |digits| {
            // As many digits before the point as the exponent of the result has.
            let whole = (exponent.adjusted() + 22).max(2).unsigned_abs();
            let zeros = near_one(&magnitude);
            let more = digits + whole + zeros;
            let bits = bits(more);
            let context = Context::EXACT.with((more + 4) as i64, Rounding::Down);
            let exponent = context.finalize(exponent.clone(), &mut Status::default());
            let product = (ln(&magnitude, bits) * to_fixed(&exponent, bits)) >> bits;
            exp_of_fixed(&product, bits, digits)
        })
    }

    /// The integer power of one integer modulo another one, exactly.
    pub fn power_modulo(
        &self,
        base: &Decimal,
        exponent: &Decimal,
        modulus: &Decimal,
        status: &mut Status,
    ) -> Decimal {
        if let Some(nan) = self.propagate(&[base, exponent, modulus], status) {
            return nan;
        }
        let is_defined = base.is_integer()
            && exponent.is_integer()
            && modulus.is_integer()
            && (!exponent.negative || exponent.is_zero())
            && !modulus.is_zero()
            && modulus.adjusted() < self.precision
            && !(base.is_zero() && exponent.is_zero());
        if !is_defined {
            return invalid(status);
        }
        let (Some(modulus), Some(times)) = (modulus.to_int(), exponent.to_int()) else {
            return invalid(status);
        };
        let modulus = BigInt::from_biguint(Sign::Plus, modulus.magnitude().clone());
        let ten = BigInt::from(10).modpow(&BigInt::from(base.exponent.max(0)), &modulus);
        let whole = base.split_or_whole().to_biguint();
        let base_int = (BigInt::from_biguint(Sign::Plus, whole) * ten).mod_floor(&modulus);
        let result = base_int.modpow(&times, &modulus);
        let result = if modulus.is_one() {
            BigInt::zero()
        } else {
            result
        };
        let negative = base.negative && exponent.is_odd();
        Decimal::finite(negative, result.magnitude().clone().into(), 0)
    }
}

impl Decimal {
    /// The digits before the point, of an integer that is not written with an exponent above 0;
    /// else the digits.
    fn split_or_whole(&self) -> Coefficient {
        if self.exponent >= 0 {
            self.coefficient.clone()
        } else {
            self.split_at_point().0
        }
    }

    /// An odd integer; of an integer.
    fn is_odd(&self) -> bool {
        self.is_finite() && self.exponent <= 0 && self.split_at_point().0.is_odd()
    }
}
