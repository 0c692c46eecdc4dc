//! Numbers of other kinds.

use malachite_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer as _;
use num_traits::{One as _, ToPrimitive as _};

use crate::coefficient::Coefficient;
use crate::{Decimal, Kind, MAX_DIGITS};

impl Decimal {
    /// The number of an integer, exactly.
    pub fn from_int(value: &BigInt) -> Self {
        let coefficient = match value.magnitude().to_u64() {
            Some(small) => u128::from(small).into(),
            None => value.magnitude().clone().into(),
        };
        Self::finite(value.sign() == Sign::Minus, coefficient, 0)
    }

    /// The number of a float, exactly.
    pub fn from_f64(value: f64) -> Self {
        let negative = value.is_sign_negative();
        if value.is_nan() {
            return Self::special(negative, Kind::Quiet);
        }
        if value.is_infinite() {
            return Self::infinity(negative);
        }
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
        let mantissa = if exponent == 0 {
            fraction
        } else {
            fraction | 1 << 52
        };
        if mantissa == 0 {
            return Self::finite(negative, Coefficient::ZERO, 0);
        }
        let zeros = mantissa.trailing_zeros();
        let mantissa = BigUint::from(mantissa >> zeros);
        let exponent = exponent.max(1) as i64 - 1075 + i64::from(zeros);
        if exponent >= 0 {
            return Self::finite(negative, (mantissa << exponent as u64).into(), 0);
        }
        // A half is five tenths.
        let fives = BigUint::from(5_u32).pow(exponent.unsigned_abs() as u32);
        Self::finite(negative, (mantissa * fives).into(), exponent)
    }

    /// The integer towards zero; `None` if it has no end or too many digits.
    pub fn to_int(&self) -> Option<BigInt> {
        if !self.is_finite() || !self.is_zero() && self.exponent > MAX_DIGITS as i64 {
            return None;
        }
        let magnitude = if self.exponent >= 0 {
            self.digits_from(0)
        } else {
            self.split_at_point().0
        };
        Some(self.signed(magnitude.to_biguint()))
    }

    /// Numerator and denominator in lowest terms; `None` as for [`to_int`](Self::to_int).
    pub fn to_ratio(&self) -> Option<(BigInt, BigInt)> {
        if self.exponent >= 0 || self.is_zero() {
            return Some((self.to_int()?, BigInt::one()));
        }
        if !self.is_finite() || self.exponent.unsigned_abs() > MAX_DIGITS {
            return None;
        }
        let denominator = Coefficient::power_of_ten(self.exponent.unsigned_abs()).to_biguint();
        let numerator = self.coefficient.to_biguint();
        let common = numerator.gcd(&denominator);
        let denominator = BigInt::from_biguint(Sign::Plus, denominator / &common);
        Some((self.signed(numerator / common), denominator))
    }

    fn signed(&self, magnitude: BigUint) -> BigInt {
        let sign = if self.negative {
            Sign::Minus
        } else {
            Sign::Plus
        };
        BigInt::from_biguint(sign, magnitude)
    }

    /// The remainder of a finite number modulo a prime below 2⁶³, with the number's sign: what
    /// equal numbers of all kinds have in common.
    pub fn residue(&self, prime: u64) -> i64 {
        let times = |left: u64, right: u64| {
            (u128::from(left) * u128::from(right) % u128::from(prime)) as u64
        };
        let power = |mut base: u64, mut exponent: u64| {
            let mut result = 1;
            while exponent > 0 {
                if exponent % 2 == 1 {
                    result = times(result, base);
                }
                base = times(base, base);
                exponent /= 2;
            }
            result
        };
        // By Fermat's little theorem.
        let ten = if self.exponent >= 0 {
            10
        } else {
            power(10, prime - 2)
        };
        let (_, digits) = self.coefficient.div_rem(&u128::from(prime).into());
        let residue = times(
            digits.to_u64().unwrap_or(0),
            power(ten, self.exponent.unsigned_abs()),
        );
        if self.negative {
            -(residue as i64)
        } else {
            residue as i64
        }
    }
}
