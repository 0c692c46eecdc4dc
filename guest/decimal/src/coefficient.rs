//! Natural numbers, of which most have no more than 38 decimal digits.

use std::cmp::Ordering;

use malachite_bigint::BigUint;
use num_integer::Integer as _;
use num_traits::{ToPrimitive as _, Zero as _};

/// The digits of a number. Small ones need no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coefficient(Size);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Size {
    Small(u128),
    /// More than a `u128` holds.
    Large(BigUint),
}

use Size::{Large, Small};

/// The powers of ten that a `u128` holds.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// The digits that a division has dropped, against half of what the last digit left is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    Zero,
    BelowHalf,
    Half,
    AboveHalf,
}

impl Coefficient {
    pub(crate) const ZERO: Self = Self(Small(0));
    pub(crate) const ONE: Self = Self(Small(1));

    pub(crate) fn power_of_ten(exponent: u64) -> Self {
        match POWERS.get(exponent as usize) {
            Some(power) => Self(Small(*power)),
            None => Self(Large(big_power_of_ten(exponent))),
        }
    }

    /// `count` nines.
    pub(crate) fn nines(count: u64) -> Self {
        Self::power_of_ten(count).minus(&Self::ONE)
    }

    /// No digit but 0.
    pub fn is_zero(&self) -> bool {
        self.0 == Small(0)
    }

    pub(crate) fn is_odd(&self) -> bool {
        match &self.0 {
            Small(value) => value % 2 == 1,
            Large(value) => value.is_odd(),
        }
    }

    pub(crate) fn is_multiple_of_five(&self) -> bool {
        match &self.0 {
            // 2⁶⁴ is 1 modulo 5.
            Small(value) => ((value >> 64) as u64 % 5 + *value as u64 % 5).is_multiple_of(5),
            Large(value) => (value % 5_u32).is_zero(),
        }
    }

    /// The number of decimal digits; 1 for zero.
    pub(crate) fn digits(&self) -> u64 {
        match &self.0 {
            Small(value) => small_digits(*value),
            Large(value) => large_digits(value),
        }
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        if let (Small(left), Small(right)) = (&self.0, &other.0)
            && let Some(sum) = left.checked_add(*right)
        {
            return Self(Small(sum));
        }
        (self.to_biguint() + other.to_biguint()).into()
    }

    /// The difference of a number and one that is not larger.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (Small(left), Small(right)) => Self(Small(left - right)),
            _ => (self.to_biguint() - other.to_biguint()).into(),
        }
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        if let (Small(left), Small(right)) = (&self.0, &other.0)
            && let Some(product) = left.checked_mul(*right)
        {
            return Self(Small(product));
        }
        (self.to_biguint() * other.to_biguint()).into()
    }

    /// The quotient and the remainder; the divisor is not zero.
    pub(crate) fn div_rem(&self, divisor: &Self) -> (Self, Self) {
        match (&self.0, &divisor.0) {
            (Small(left), Small(right)) => {
                let quotient = divide(*left, *right);
                (Self(Small(quotient)), Self(Small(left - quotient * right)))
            }
            (Small(_), Large(_)) => (Self::ZERO, self.clone()),
            (Large(left), _) => {
                let (quotient, remainder) = left.div_rem(&divisor.to_biguint());
                (quotient.into(), remainder.into())
            }
        }
    }

    pub(crate) fn times_ten_to(&self, exponent: u64) -> Self {
        if exponent == 0 || self.is_zero() {
            return self.clone();
        }
        self.times(&Self::power_of_ten(exponent))
    }

    /// Everything but the last `count` digits, and what these are.
    pub(crate) fn without(&self, count: u64) -> (Self, Dropped) {
        if count == 0 || self.is_zero() {
            return (self.clone(), Dropped::Zero);
        }
        let digits = self.digits();
        if count > digits {
            return (Self::ZERO, Dropped::BelowHalf);
        }
        let power = Self::power_of_ten(count);
        let (kept, dropped) = self.div_rem(&power);
        let dropped = match dropped.plus(&dropped).cmp(&power) {
            _ if dropped.is_zero() => Dropped::Zero,
            Ordering::Less => Dropped::BelowHalf,
            Ordering::Equal => Dropped::Half,
            Ordering::Greater => Dropped::AboveHalf,
        };
        (kept, dropped)
    }

    /// The last `count` digits.
    pub(crate) fn last(&self, count: u64) -> Self {
        if count >= self.digits() {
            return self.clone();
        }
        self.div_rem(&Self::power_of_ten(count)).1
    }

    /// The number without the zeros at its end, at most `limit` of them, and how many these are.
    pub(crate) fn without_zeros(&self, limit: u64) -> (Self, u64) {
        if self.is_zero() {
            return (self.clone(), 0);
        }
        let mut rest = self.clone();
        let mut removed = 0;
        while removed < limit && rest.is_multiple_of_ten() {
            for step in [256, 16, 4, 1] {
                if removed + step <= limit
                    && let (quotient, Dropped::Zero) = rest.without(step)
                {
                    rest = quotient;
                    removed += step;
                    break;
                }
            }
        }
        (rest, removed)
    }

    fn is_multiple_of_ten(&self) -> bool {
        !self.is_odd() && self.is_multiple_of_five()
    }

    /// The square root, rounded down, and whether it is exact.
    pub(crate) fn sqrt(&self) -> (Self, bool) {
        let value = self.to_biguint();
        let root = value.sqrt();
        let exact = &root * &root == value;
        (root.into(), exact)
    }

    pub(crate) fn to_biguint(&self) -> BigUint {
        match &self.0 {
            Small(value) => BigUint::from(*value),
            Large(value) => value.clone(),
        }
    }

    pub(crate) fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Small(value) => u64::try_from(*value).ok(),
            Large(_) => None,
        }
    }

    /// The number that decimal digits stand for; nothing but these are in the text.
    pub(crate) fn from_digits(text: &str) -> Self {
        let text = text.trim_start_matches('0');
        if text.len() <= 38 {
            return Self(Small(text.parse().unwrap_or(0)));
        }
        match BigUint::parse_bytes(text.as_bytes(), 10) {
            Some(value) => value.into(),
            None => Self::ZERO,
        }
    }
}

impl From<u128> for Coefficient {
    fn from(value: u128) -> Self {
        Self(Small(value))
    }
}

impl From<BigUint> for Coefficient {
    fn from(value: BigUint) -> Self {
        match value.to_u128() {
            Some(value) => Self(Small(value)),
            None => Self(Large(value)),
        }
    }
}

impl Ord for Coefficient {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Small(left), Small(right)) => left.cmp(right),
            (Small(_), Large(_)) => Ordering::Less,
            (Large(_), Small(_)) => Ordering::Greater,
            (Large(left), Large(right)) => left.cmp(right),
        }
    }
}

impl PartialOrd for Coefficient {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Coefficient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Small(value) => match u64::try_from(*value) {
                Ok(value) => value.fmt(f),
                Err(_) => value.fmt(f),
            },
            Large(value) => f.write_str(&value.to_str_radix(10)),
        }
    }
}

fn small_digits(value: u128) -> u64 {
    // 1233/4096 is log₁₀ 2, near enough for 128 bits to be right or one too few.
    let estimate = ((128 - (value | 1).leading_zeros() as usize) * 1233) >> 12;
    estimate as u64
        + u64::from(
            POWERS
                .get(estimate)
                .is_some_and(|power| value >= *power || estimate == 0),
        )
}

fn large_digits(value: &BigUint) -> u64 {
    let bits = value.bits();
    let top = (value >> (bits - 64)).to_f64().unwrap_or(f64::MAX);
    let logarithm = (bits - 64) as f64 * std::f64::consts::LOG10_2 + top.log10();
    let near = logarithm.round();
    if (logarithm - near).abs() > 1e-12 * logarithm {
        return logarithm as u64 + 1;
    }
    let power = big_power_of_ten(near as u64);
    near as u64 + u64::from(*value >= power)
}

fn big_power_of_ten(exponent: u64) -> BigUint {
    // Powers of five are a quarter smaller to multiply.
    BigUint::from(5_u32).pow(exponent as u32) << exponent
}

/// Divides; by 32 bits, as most divisions and roundings do, in a fraction of the time that any
/// number takes.
fn divide(value: u128, by: u128) -> u128 {
    if let (Ok(value), Ok(by)) = (u64::try_from(value), u64::try_from(by)) {
        return u128::from(value / by);
    }
    let Ok(by) = u32::try_from(by) else {
        return value / by;
    };
    let mut quotient = 0;
    let mut remainder = 0;
    for shift in [96, 64, 32, 0] {
        let part = remainder << 32 | u64::from((value >> shift) as u32);
        quotient = quotient << 32 | u128::from(part / u64::from(by));
        remainder = part % u64::from(by);
    }
    quotient
}
