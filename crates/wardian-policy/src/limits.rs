//! How much of everything a run may use.
//!
//! The table in [`Limits`] is the one place where a default, a floor or a ceiling stands.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Serialize;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// An amount that is bounded, or explicitly is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowance<T> {
    /// At most this much.
    AtMost(T),
    /// No bound. Has to be asked for by name.
    Unlimited,
}

impl<T: fmt::Display> fmt::Display for Allowance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(amount) => amount.fmt(f),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// How much of everything a run may use.
///
/// | limit | default | least | most | when it is hit |
/// |---|---|---|---|---|
/// | source | 1 MiB | 1 byte | 16 MiB | rejected before anything else |
/// | timeout | 10 s, sleeps included | 1 ms | 1 day, or unlimited | `Limit(Time)` |
/// | fuel | 100 × 10⁹ | 1 × 10⁶ | 10¹⁸, or unlimited | `Limit(Fuel)` |
/// | memory | 256 MiB of linear memory | 64 MiB | 2 GiB | `MemoryError`, or `Limit(Memory)` |
/// | stdout, stderr | 1 MiB each | 1 KiB | 64 MiB | head and tail kept, the cut marked |
/// | value | 1 MiB of JSON, 64 levels | 1 byte, 0 levels | 1 MiB, 100 levels | left out, the reason stated |
///
/// Fuel counts the guest's wasm instructions, and a byte each for what it copies in bulk: some
/// 400,000 for a `print`, 10⁹ for about a tenth of a second of Python. It is the same for the
/// same script and inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Limits {
    source_bytes: u64,
    timeout: Allowance<Duration>,
    fuel: Allowance<u64>,
    memory_bytes: u64,
    stdout_bytes: u64,
    stderr_bytes: u64,
    value_bytes: u64,
    value_depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: MIB,
            timeout: Allowance::AtMost(Duration::from_secs(10)),
            fuel: Allowance::AtMost(100_000_000_000),
            memory_bytes: 256 * MIB,
            stdout_bytes: MIB,
            stderr_bytes: MIB,
            value_bytes: MIB,
            value_depth: 64,
        }
    }
}

/// A limit that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit} is {given}; it can be {least} to {most}")]
#[non_exhaustive]
pub struct LimitError {
    /// Which limit.
    pub limit: &'static str,
    /// What was asked for.
    pub given: String,
    /// The least that it can be.
    pub least: String,
    /// The most that it can be.
    pub most: String,
}

/// Each `with_…` returns the same limits with one of them changed.
///
/// # Errors
///
/// [`LimitError`] if the new limit is below its floor or above its ceiling.
impl Limits {
    /// The longest source, in bytes of UTF-8.
    pub fn with_source_bytes(self, bytes: u64) -> Result<Self, LimitError> {
        let source_bytes = within("source", bytes, 1, 16 * MIB, size)?;
        Ok(Self {
            source_bytes,
            ..self
        })
    }

    /// The longest wall-clock time, sleeps included.
    pub fn with_timeout(self, timeout: Allowance<Duration>) -> Result<Self, LimitError> {
        const LEAST: Duration = Duration::from_millis(1);
        const MOST: Duration = Duration::from_secs(24 * 60 * 60);
        let timeout = allowed(timeout, |timeout| {
            within("timeout", timeout, LEAST, MOST, |t| {
                humantime::format_duration(t).to_string()
            })
        })?;
        Ok(Self { timeout, ..self })
    }

    /// The most wasm instructions.
    pub fn with_fuel(self, fuel: Allowance<u64>) -> Result<Self, LimitError> {
        let fuel = allowed(fuel, |fuel| {
            within("fuel", fuel, 1_000_000, 1_000_000_000_000_000_000, |fuel| {
                fuel.to_string()
            })
        })?;
        Ok(Self { fuel, ..self })
    }

    /// The most linear memory, in bytes. The interpreter itself takes about 40 MiB of it.
    pub fn with_memory_bytes(self, bytes: u64) -> Result<Self, LimitError> {
        let memory_bytes = within("memory", bytes, 64 * MIB, 2048 * MIB, size)?;
        Ok(Self {
            memory_bytes,
            ..self
        })
    }

    /// How much of standard output is kept, in bytes.
    pub fn with_stdout_bytes(self, bytes: u64) -> Result<Self, LimitError> {
        let stdout_bytes = within("stdout", bytes, KIB, 64 * MIB, size)?;
        Ok(Self {
            stdout_bytes,
            ..self
        })
    }

    /// How much of standard error is kept, in bytes.
    pub fn with_stderr_bytes(self, bytes: u64) -> Result<Self, LimitError> {
        let stderr_bytes = within("stderr", bytes, KIB, 64 * MIB, size)?;
        Ok(Self {
            stderr_bytes,
            ..self
        })
    }

    /// The largest value that comes back, in bytes of JSON.
    pub fn with_value_bytes(self, bytes: u64) -> Result<Self, LimitError> {
        let value_bytes = within("value", bytes, 1, MIB, size)?;
        Ok(Self {
            value_bytes,
            ..self
        })
    }

    /// The deepest nesting of a value that comes back; a number or a string has depth 0.
    pub fn with_value_depth(self, depth: u32) -> Result<Self, LimitError> {
        let value_depth = within("value depth", depth, 0, 100, |depth| depth.to_string())?;
        Ok(Self {
            value_depth,
            ..self
        })
    }

    /// See [`with_source_bytes`](Self::with_source_bytes).
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// See [`with_timeout`](Self::with_timeout).
    pub fn timeout(&self) -> Allowance<Duration> {
        self.timeout
    }

    /// See [`with_fuel`](Self::with_fuel).
    pub fn fuel(&self) -> Allowance<u64> {
        self.fuel
    }

    /// See [`with_memory_bytes`](Self::with_memory_bytes).
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// See [`with_stdout_bytes`](Self::with_stdout_bytes).
    pub fn stdout_bytes(&self) -> u64 {
        self.stdout_bytes
    }

    /// See [`with_stderr_bytes`](Self::with_stderr_bytes).
    pub fn stderr_bytes(&self) -> u64 {
        self.stderr_bytes
    }

    /// See [`with_value_bytes`](Self::with_value_bytes).
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// See [`with_value_depth`](Self::with_value_depth).
    pub fn value_depth(&self) -> u32 {
        self.value_depth
    }
}

fn within<T: PartialOrd + Copy>(
    limit: &'static str,
    given: T,
    least: T,
    most: T,
    show: impl Fn(T) -> String,
) -> Result<T, LimitError> {
    if given >= least && given <= most {
        return Ok(given);
    }
    Err(LimitError {
        limit,
        given: show(given),
        least: show(least),
        most: show(most),
    })
}

fn allowed<T>(
    allowance: Allowance<T>,
    check: impl FnOnce(T) -> Result<T, LimitError>,
) -> Result<Allowance<T>, LimitError> {
    match allowance {
        Allowance::AtMost(amount) => check(amount).map(Allowance::AtMost),
        Allowance::Unlimited => Ok(Allowance::Unlimited),
    }
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Just inside, just outside, at both ends.
    fn check<T: Copy>(
        limit: &str,
        set: impl Fn(Limits, T) -> Result<Limits, LimitError>,
        [below, least, most, above]: [T; 4],
    ) {
        for inside in [least, most] {
            assert!(set(Limits::default(), inside).is_ok(), "{limit}");
        }
        for outside in [below, above] {
            let error = set(Limits::default(), outside).unwrap_err();
            assert_eq!(error.limit, limit);
        }
    }

    #[test]
    fn floors_and_ceilings() {
        use Allowance::AtMost;
        let day = Duration::from_secs(86_400);
        let ns = Duration::from_nanos(1);
        let ms = Duration::from_millis(1);
        check(
            "source",
            Limits::with_source_bytes,
            [0, 1, 16 * MIB, 16 * MIB + 1],
        );
        check(
            "memory",
            Limits::with_memory_bytes,
            [64 * MIB - 1, 64 * MIB, 2048 * MIB, 2048 * MIB + 1],
        );
        check(
            "stdout",
            Limits::with_stdout_bytes,
            [0, KIB, 64 * MIB, u64::MAX],
        );
        check(
            "stderr",
            Limits::with_stderr_bytes,
            [KIB - 1, KIB, 64 * MIB, 64 * MIB + 1],
        );
        check("value", Limits::with_value_bytes, [0, 1, MIB, MIB + 1]);
        check(
            "timeout",
            Limits::with_timeout,
            [ms - ns, ms, day, day + ns].map(AtMost),
        );
        check(
            "fuel",
            Limits::with_fuel,
            [0, 1_000_000, 1_000_000_000_000_000_000, u64::MAX].map(AtMost),
        );
        assert!(Limits::default().with_value_depth(100).is_ok());
        assert!(Limits::default().with_value_depth(101).is_err());
        assert!(Limits::default().with_fuel(Allowance::Unlimited).is_ok());
        assert!(Limits::default().with_timeout(Allowance::Unlimited).is_ok());
    }

    #[test]
    fn an_error_says_what_is_possible() {
        let error = Limits::default().with_memory_bytes(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "memory is 1 B; it can be 64.0 MiB to 2.0 GiB"
        );
    }
}
