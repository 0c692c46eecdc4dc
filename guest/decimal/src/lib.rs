//! Decimal arithmetic of any precision as the General Decimal Arithmetic specification, version
//! 1.70, has it, which is what Python's `decimal` offers.
//!
//! A [`Context`] computes with [`Decimal`]s, and adds the [`Status`] of each operation to one that
//! the caller keeps. Nothing is raised here, and no operation fails: one that has no result gives a
//! NaN and says so.

mod arithmetic;
mod coefficient;
mod convert;
mod digits;
mod elementary;
mod format;
mod order;
mod power;
mod text;

pub use coefficient::Coefficient;
pub use format::Format;
pub use malachite_bigint::{BigInt, BigUint, Sign};

/// The largest precision and the largest exponent, as on every platform with 64 bits.
pub const MAX_EXPONENT: i64 = 999_999_999_999_999_999;

/// The smallest exponent that a result can have at all.
pub const MIN_ETINY: i64 = -(2 * MAX_EXPONENT - 1);

/// The most digits that an operation makes. One that asks for more fails with
/// [`Status::OUT_OF_MEMORY`].
const MAX_DIGITS: u64 = 1 << 27;

bitflags::bitflags! {
    /// Conditions of operations: the signals of the specification, and what causes an invalid
    /// operation.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Status: u32 {
        /// The exponent was changed to fit.
        const CLAMPED = 1;
        /// Text is no number.
        const CONVERSION_SYNTAX = 1 << 1;
        /// A finite number was divided by zero.
        const DIVISION_BY_ZERO = 1 << 2;
        /// An integer quotient has more digits than the precision.
        const DIVISION_IMPOSSIBLE = 1 << 3;
        /// Zero was divided by zero.
        const DIVISION_UNDEFINED = 1 << 4;
        /// A float was taken for a number. Set by the interpreter's side.
        const FLOAT_OPERATION = 1 << 5;
        /// Digits that are not zero were rounded away.
        const INEXACT = 1 << 6;
        /// The operation has no result.
        const INVALID_OPERATION = 1 << 7;
        /// The result is too large.
        const OVERFLOW = 1 << 8;
        /// Digits were rounded away.
        const ROUNDED = 1 << 9;
        /// The result has less than the full precision, since its exponent is below the smallest.
        const SUBNORMAL = 1 << 10;
        /// A subnormal result is inexact.
        const UNDERFLOW = 1 << 11;
        /// The result would need more digits than there is memory for. No signal: it is an error of
        /// its own.
        const OUT_OF_MEMORY = 1 << 12;

        /// Everything that makes an operation invalid.
        const INVALID = Self::CONVERSION_SYNTAX.bits() | Self::DIVISION_IMPOSSIBLE.bits()
            | Self::DIVISION_UNDEFINED.bits() | Self::INVALID_OPERATION.bits() | Self::OUT_OF_MEMORY.bits();
    }
}

/// Directions of rounding, in the order in which Python numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// Towards positive infinity.
    Ceiling,
    /// Towards negative infinity.
    Floor,
    /// To the nearest; half away from zero.
    HalfUp,
    /// To the nearest; half towards zero.
    HalfDown,
    /// To the nearest; half to the even digit.
    HalfEven,
    /// Away from zero, if the last digit would be 0 or 5.
    ZeroFiveUp,
}

/// Bounds of results, and how results are brought within them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The most digits; 1 to [`MAX_EXPONENT`].
    pub precision: i64,
    /// The largest exponent of a number's first digit; 0 to [`MAX_EXPONENT`].
    pub emax: i64,
    /// The smallest one of a normal number; -[`MAX_EXPONENT`] to 0.
    pub emin: i64,
    /// The direction of rounding.
    pub rounding: Rounding,
    /// Exponents of the last digit, too, are limited from above, as in the formats of IEEE 754.
    pub clamp: bool,
}

impl Context {
    /// Loses nothing: for exact results.
    pub const EXACT: Self = Self {
        precision: MAX_EXPONENT,
        emax: MAX_EXPONENT,
        emin: -MAX_EXPONENT,
        rounding: Rounding::HalfEven,
        clamp: false,
    };

    /// The smallest exponent of a subnormal number.
    pub fn etiny(&self) -> i64 {
        self.emin - self.precision + 1
    }

    /// The largest exponent of a number of full precision.
    pub fn etop(&self) -> i64 {
        self.emax - self.precision + 1
    }

    fn with(&self, precision: i64, rounding: Rounding) -> Self {
        Self {
            precision,
            emax: MAX_EXPONENT,
            emin: -MAX_EXPONENT,
            rounding,
            clamp: false,
        }
    }
}

/// A number: finite, infinite, or none.
#[derive(Debug, Clone)]
pub struct Decimal {
    negative: bool,
    kind: Kind,
    /// Of a NaN, the payload.
    coefficient: Coefficient,
    exponent: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Finite,
    Infinite,
    Quiet,
    Signaling,
}

impl Decimal {
    const NAN: Self = Self::special(false, Kind::Quiet);

    const fn special(negative: bool, kind: Kind) -> Self {
        Self {
            negative,
            kind,
            coefficient: Coefficient::ZERO,
            exponent: 0,
        }
    }

    fn infinity(negative: bool) -> Self {
        Self::special(negative, Kind::Infinite)
    }

    /// A finite number: the coefficient times a power of ten.
    pub fn finite(negative: bool, coefficient: Coefficient, exponent: i64) -> Self {
        Self {
            negative,
            kind: Kind::Finite,
            coefficient,
            exponent,
        }
    }

    fn from_i64(value: i64) -> Self {
        Self::finite(value < 0, u128::from(value.unsigned_abs()).into(), 0)
    }

    /// The sign, also of zeros and NaNs.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Neither infinite nor a NaN.
    pub fn is_finite(&self) -> bool {
        self.kind == Kind::Finite
    }

    /// Positive or negative infinity.
    pub fn is_infinite(&self) -> bool {
        self.kind == Kind::Infinite
    }

    /// Any NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self.kind, Kind::Quiet | Kind::Signaling)
    }

    /// A NaN that no operation accepts.
    pub fn is_signaling(&self) -> bool {
        self.kind == Kind::Signaling
    }

    /// Zero of either sign.
    pub fn is_zero(&self) -> bool {
        self.is_finite() && self.coefficient.is_zero()
    }

    /// An integer, whatever its exponent.
    fn is_integer(&self) -> bool {
        self.is_finite()
            && (self.exponent >= 0 || self.split_at_point().1 == coefficient::Dropped::Zero)
    }

    /// The digits; of a NaN, the payload.
    pub fn coefficient(&self) -> &Coefficient {
        &self.coefficient
    }

    /// The power of ten of the last digit, of a finite number.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// The power of ten of the first digit, of a finite number.
    pub fn adjusted(&self) -> i64 {
        self.exponent + self.coefficient.digits() as i64 - 1
    }

    /// Normal or subnormal: finite and not zero, and whether the first digit is below the smallest
    /// exponent.
    pub fn is_subnormal(&self, context: &Context) -> bool {
        self.is_finite() && !self.is_zero() && self.adjusted() < context.emin
    }

    /// With another sign.
    pub fn with_sign(&self, negative: bool) -> Self {
        Self {
            negative,
            ..self.clone()
        }
    }

    fn with_exponent(self, exponent: i64) -> Self {
        Self { exponent, ..self }
    }

    /// The whole part, and what the fraction is; of a number with a negative exponent.
    fn split_at_point(&self) -> (Coefficient, coefficient::Dropped) {
        self.coefficient.without(self.exponent.unsigned_abs())
    }

    /// The same kind, and for finite numbers the same exponent.
    pub fn same_quantum(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (Kind::Finite, Kind::Finite) => self.exponent == other.exponent,
            _ => self.is_nan() == other.is_nan() && self.is_infinite() == other.is_infinite(),
        }
    }
}
