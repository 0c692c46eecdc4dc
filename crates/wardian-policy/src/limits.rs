//! Resource limits of a run.
//!
//! [`Limit`]'s table is the one place where a default, a floor or a ceiling stands.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// An amount that is bounded, or explicitly is not.
///
/// Ordered by how much it allows: [`Unlimited`](Self::Unlimited) is the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance<T> {
    /// At most this much.
    AtMost(T),
    /// No bound. Has to be asked for by name.
    Unlimited,
}

impl<T> Allowance<T> {
    /// The same allowance in another unit.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Allowance<U> {
        match self {
            Self::AtMost(amount) => Allowance::AtMost(convert(amount)),
            Self::Unlimited => Allowance::Unlimited,
        }
    }
}

impl Allowance<u64> {
    /// The amount, or the largest number where there is none.
    pub fn or_max(self) -> u64 {
        match self {
            Self::AtMost(amount) => amount,
            Self::Unlimited => u64::MAX,
        }
    }
}

/// The unit of a limit's number, and hence how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes, written `1048576` or `"1MiB"`.
    Bytes,
    /// Nanoseconds, written with a unit: `"10s"`, `"500ms"`.
    Time,
    /// Things, written `1000` or `1e9`.
    Count,
}

/// A resource that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The source, in bytes of UTF-8. More is rejected before anything else.
    Source,
    /// Wall-clock time, sleeps included. Ends the run: `Limit(Time)`.
    Timeout,
    /// Wasm instructions, and a byte each for what is copied in bulk. Ends the run:
    /// `Limit(Fuel)`. Some 400,000 for a `print`, 10⁹ for about a tenth of a second of Python;
    /// the same for the same script and inputs.
    Fuel,
    /// Linear memory, in bytes, the interpreter's own 40 MiB included. `MemoryError` where
    /// Python can raise one, else `Limit(Memory)`.
    Memory,
    /// The part of standard output that is kept, in bytes: head and tail, the cut marked.
    Stdout,
    /// The part of standard error that is kept, as for standard output.
    Stderr,
    /// The value that comes back, in bytes of JSON. A larger one is left out, the reason stated.
    Value,
    /// The nesting of that value; a number or a string has depth 0.
    ValueDepth,
    /// Things that a run shows by `display`. Those after it are left out.
    Displays,
    /// Those things, in bytes of all their forms. One that does not fit is left out.
    DisplayBytes,
    /// The size of a file that is opened, and to which one can grow, in bytes: `EFBIG`.
    FileSize,
    /// Bytes that a run writes to files, or makes them grow by: `ENOSPC`.
    BytesWritten,
    /// Files, directories and links that a run creates: `ENOSPC`.
    FilesCreated,
    /// Files and directories that a run has open at once: `EMFILE`.
    OpenFiles,
    /// Calls of tools, refused ones included. Ends the run: `Limit(ToolCalls)`.
    ToolCalls,
    /// The arguments of a call, and its reply, in bytes of JSON each: `ValueError`, `ToolError`.
    ToolBytes,
    /// The time that a call waits for its tool, and for approval before that: `TimeoutError`.
    ToolWait,
    /// Records that a run causes in the audit log, if there is one. Ends the run:
    /// `Limit(Records)`.
    Records,
    /// Those records, in bytes. Ends the run: `Limit(RecordBytes)`.
    RecordBytes,
    /// Memory of the host that calls of tools take at once, in bytes: arguments, replies, rows,
    /// files on their way. A call waits until it fits; one that never does is a `ValueError`.
    HostMemory,
    /// Calls of a session, undone ones included. More are refused.
    SessionCalls,
    /// Fuel of all calls of a session. Ends the call that uses it up: `Limit(SessionFuel)`.
    SessionFuel,
    /// Wall-clock time of all calls of a session. Ends the call: `Limit(SessionTime)`.
    SessionTime,
    /// The time from a session's start on. Calls after it are refused.
    SessionAge,
    /// The time between two calls of a session. A call that comes later is refused.
    SessionIdle,
    /// Memory of the host that a session's state takes between calls, in bytes. A call that leaves
    /// more is undone: `Limit(SessionMemory)`.
    SessionMemory,
    /// Bytes that all calls of a session write to files, or make them grow by: `ENOSPC`.
    SessionBytesWritten,
    /// The files in the working directory, in bytes of the host's memory: `ENOSPC`.
    WorkSize,
    /// Files and directories in the working directory: `ENOSPC`.
    WorkFiles,
}

/// A row of the table.
struct Row {
    key: &'static str,
    unit: Unit,
    default: u64,
    min: u64,
    max: u64,
    may_be_unlimited: bool,
}

impl Limit {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 29] = [
        Self::Source,
        Self::Timeout,
        Self::Fuel,
        Self::Memory,
        Self::Stdout,
        Self::Stderr,
        Self::Value,
        Self::ValueDepth,
        Self::Displays,
        Self::DisplayBytes,
        Self::FileSize,
        Self::BytesWritten,
        Self::FilesCreated,
        Self::OpenFiles,
        Self::ToolCalls,
        Self::ToolBytes,
        Self::ToolWait,
        Self::Records,
        Self::RecordBytes,
        Self::HostMemory,
        Self::SessionCalls,
        Self::SessionFuel,
        Self::SessionTime,
        Self::SessionAge,
        Self::SessionIdle,
        Self::SessionMemory,
        Self::SessionBytesWritten,
        Self::WorkSize,
        Self::WorkFiles,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        const fn row(key: &'static str, unit: Unit, default: u64, min: u64, max: u64, may_be_unlimited: bool) -> Row {
            Row { key, unit, default, min, max, may_be_unlimited }
        }
        use Unit::{Bytes, Count, Time};
        const MEGA: u64 = 1_000_000;
        const G: u64 = 1_000 * MEGA;
        const MS: u64 = 1_000_000;
        const S: u64 = 1_000 * MS;
        const HOUR: u64 = 3_600 * S;
        const DAY: u64 = 24 * HOUR;
        match self {
            //                          key                     unit   default          min        max            unlimited?
            Self::Source       => row("limits.source",        Bytes, MIB,             1,         16 * MIB,      false),
            Self::Timeout      => row("limits.timeout",       Time,  10 * S,          MS,        DAY,           true),
            Self::Fuel         => row("limits.fuel",          Count, 100_000_000_000, 1_000_000, 10u64.pow(18), true),
            Self::Memory       => row("limits.memory",        Bytes, 256 * MIB,       64 * MIB,  2048 * MIB,    false),
            Self::Stdout       => row("limits.stdout",        Bytes, MIB,             KIB,       64 * MIB,      false),
            Self::Stderr       => row("limits.stderr",        Bytes, MIB,             KIB,       64 * MIB,      false),
            Self::Value        => row("limits.value",         Bytes, MIB,             1,         MIB,           false),
            Self::ValueDepth   => row("limits.value_depth",   Count, 64,              0,         100,           false),
            Self::Displays     => row("limits.displays",      Count, 100,             0,         10_000,        false),
            Self::DisplayBytes => row("limits.display_bytes", Bytes, 8 * MIB,         0,         64 * MIB,      false),
            Self::FileSize     => row("max_file_size",        Bytes, 10 * MIB,        0,         TIB,           true),
            Self::BytesWritten => row("limits.bytes_written", Bytes, 64 * MIB,        0,         TIB,           true),
            Self::FilesCreated => row("limits.files_created", Count, 1_000,           0,         1_000_000,     true),
            Self::OpenFiles    => row("limits.open_files",    Count, 64,              0,         1_000,         false),
            Self::ToolCalls    => row("limits.tool_calls",    Count, 1_000,           0,         1_000_000,     false),
            Self::ToolBytes    => row("limits.tool_bytes",    Bytes, MIB,             KIB,       4 * MIB,       false),
            Self::ToolWait     => row("limits.tool_wait",     Time,  10 * S,          MS,        DAY,           false),
            Self::Records      => row("limits.records",       Count, 100_000,         100,       100_000_000,   false),
            Self::RecordBytes  => row("limits.record_bytes",  Bytes, 16 * MIB,        MIB,       TIB,           false),
            Self::HostMemory   => row("limits.host_memory",   Bytes, 128 * MIB,       16 * MIB,  1024 * MIB,    false),
            Self::SessionCalls        => row("limits.session.calls",         Count, 10_000, 1, G, true),
            Self::SessionFuel         => row("limits.session.fuel",          Count, 10_000 * G, MEGA, G * G, true),
            Self::SessionTime         => row("limits.session.time",          Time, HOUR, MS, 30 * DAY, true),
            Self::SessionAge          => row("limits.session.age",           Time, DAY, MS, 365 * DAY, true),
            Self::SessionIdle         => row("limits.session.idle",          Time, HOUR, MS, 365 * DAY, true),
            Self::SessionMemory       => row("limits.session.memory",        Bytes, 256 * MIB, MIB, 2 * GIB, false),
            Self::SessionBytesWritten => row("limits.session.bytes_written", Bytes, GIB, 0, TIB, true),
            Self::WorkSize     => row("work.size",            Bytes, 64 * MIB,        0,         GIB,           false),
            Self::WorkFiles    => row("work.files",           Count, 1_000,           0,         100_000,       false),
        }
    }

    /// Returns the name: its key in a policy file.
    pub const fn key(self) -> &'static str {
        self.row().key
    }

    /// Returns whether it bounds a session, and not each run.
    pub fn is_of_session(self) -> bool {
        self.key().starts_with("limits.session.")
    }

    /// Returns whether it bounds the working directory.
    pub fn is_of_work(self) -> bool {
        self.key().starts_with("work.")
    }

    /// Returns the short name, as verdicts have it: `time`, `fuel`, `tool_calls`, `session.fuel`.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Timeout => "time",
            limit => {
                let key = limit.key();
                key.strip_prefix("limits.").unwrap_or(key)
            }
        }
    }

    /// Returns the unit of its number.
    pub const fn unit(self) -> Unit {
        self.row().unit
    }

    /// Returns the default.
    pub const fn default_amount(self) -> u64 {
        self.row().default
    }

    /// Returns its floor and its ceiling, and whether it can be unlimited.
    pub const fn bounds(self) -> (u64, u64, bool) {
        let Row {
            min,
            max,
            may_be_unlimited,
            ..
        } = self.row();
        (min, max, may_be_unlimited)
    }

    /// Shows an amount of it, as people write it.
    pub fn show(self, amount: Allowance<u64>) -> String {
        match (amount, self.unit()) {
            (Allowance::Unlimited, _) => "unlimited".to_owned(),
            (Allowance::AtMost(bytes), Unit::Bytes) => {
                let size = ByteSize::b(bytes).display().iec().to_string();
                size.replace(".0 ", " ")
            }
            (Allowance::AtMost(ns), Unit::Time) => {
                humantime::format_duration(Duration::from_nanos(ns)).to_string()
            }
            (Allowance::AtMost(count), Unit::Count) => show_count(count),
        }
    }

    /// Returns the kind of amount that it takes, as a noun.
    pub const fn amount_noun(self) -> &'static str {
        match self.unit() {
            Unit::Bytes => "a size",
            Unit::Time => "a time",
            Unit::Count => "a whole number",
        }
    }

    /// Checks that an amount is within the bounds of the limit.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if it is below the floor or above the ceiling.
    pub fn check(self, amount: Allowance<u64>) -> Result<(), LimitError> {
        let (min, max, may_be_unlimited) = self.bounds();
        let allowed = match amount {
            Allowance::AtMost(amount) => (min..=max).contains(&amount),
            Allowance::Unlimited => may_be_unlimited,
        };
        if allowed {
            return Ok(());
        }
        let or_unlimited = if may_be_unlimited {
            ", or unlimited"
        } else {
            ""
        };
        Err(LimitError {
            limit: self,
            given: self.show(amount),
            min: self.show(Allowance::AtMost(min)),
            max: self.show(Allowance::AtMost(max)) + or_unlimited,
        })
    }

    /// An amount of it as it is written: a number, a size, a time, `unlimited`.
    ///
    /// # Errors
    ///
    /// Says what would be understood.
    pub fn parse(self, text: &str) -> Result<Allowance<u64>, &'static str> {
        if text == "unlimited" {
            return Ok(Allowance::Unlimited);
        }
        let amount = match self.unit() {
            Unit::Bytes => text
                .parse()
                .map(|size: ByteSize| size.as_u64())
                .map_err(|_| "write a size: \"512KiB\", \"10MiB\", or a number of bytes"),
            Unit::Time => humantime::parse_duration(text)
                .ok()
                .and_then(|time| u64::try_from(time.as_nanos()).ok())
                .ok_or("write a time with its unit: \"500ms\", \"10s\", \"2m\""),
            Unit::Count => count(text).ok_or("write a whole number: 1000, 1e9"),
        };
        amount.map(Allowance::AtMost)
    }
}

/// A count as people write it: large round ones with an exponent that is a multiple of three.
fn show_count(count: u64) -> String {
    let exponents = [18, 15, 12, 9, 6].into_iter();
    let mut rounds = exponents.map(|exponent| (exponent, 10_u64.pow(exponent)));
    match rounds.find(|(_, unit)| count > 0 && count.is_multiple_of(*unit)) {
        Some((exponent, unit)) => format!("{}e{exponent}", count / unit),
        None => count.to_string(),
    }
}

/// A whole number, which may be written as `5e9` or with underscores. One that is too large for any
/// limit is `u64::MAX`.
fn count(text: &str) -> Option<u64> {
    let plain = text.replace('_', "");
    let (digits, exponent) = match plain.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.trim_start_matches('+').parse().ok()?),
        None => (plain.as_str(), 0),
    };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: u64 = digits.parse().unwrap_or(u64::MAX);
    Some(digits.saturating_mul(10_u64.saturating_pow(exponent)))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Resource limits of a run, and of a session. [`Limit`] says what each is and when it is hit.
///
/// | limit | default | min | max |
/// |---|---|---|---|
/// | source | 1 MiB | 1 byte | 16 MiB |
/// | timeout | 10 s | 1 ms | 1 day, or unlimited |
/// | fuel | 100 × 10⁹ | 10⁶ | 10¹⁸, or unlimited |
/// | memory | 256 MiB | 64 MiB | 2 GiB |
/// | stdout, stderr | 1 MiB each | 1 KiB | 64 MiB |
/// | value | 1 MiB, 64 levels | 1 byte, 0 levels | 1 MiB, 100 levels |
/// | file size | 10 MiB | 0 | 1 TiB, or unlimited |
/// | bytes written | 64 MiB | 0 | 1 TiB, or unlimited |
/// | files created | 1,000 | 0 | 1,000,000, or unlimited |
/// | open files | 64 | 0 | 1,000 |
/// | tool calls | 1,000 | 0 | 1,000,000 |
/// | bytes per call and reply | 1 MiB | 1 KiB | 4 MiB |
/// | wait per call | 10 s | 1 ms | 1 day |
/// | audit records | 100,000, 16 MiB | 100, 1 MiB | 100,000,000, 1 TiB |
/// | memory of the host | 128 MiB | 16 MiB | 1 GiB |
/// | calls of a session | 10,000 | 1 | 10⁹, or unlimited |
/// | fuel of a session | 10 × 10¹² | 10⁶ | 10¹⁸, or unlimited |
/// | time of a session's calls | 1 hour | 1 ms | 30 days, or unlimited |
/// | age of a session | 1 day | 1 ms | 1 year, or unlimited |
/// | idle time of a session | 1 hour | 1 ms | 1 year, or unlimited |
/// | memory of a session | 256 MiB | 1 MiB | 2 GiB |
/// | bytes that a session writes | 1 GiB | 0 | 1 TiB, or unlimited |
/// | working directory | 64 MiB, 1,000 files | 0 | 1 GiB, 100,000 files |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    amounts: [Allowance<u64>; Limit::ALL.len()],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            amounts: Limit::ALL.map(|limit| Allowance::AtMost(limit.default_amount())),
        }
    }
}

/// A limit that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit} is {given}; it can be {min} to {max}")]
#[non_exhaustive]
pub struct LimitError {
    /// The limit.
    pub limit: Limit,
    /// The amount that was asked for.
    pub given: String,
    /// The floor.
    pub min: String,
    /// The ceiling.
    pub max: String,
}

impl Limits {
    /// The same limits with one of them changed. Times are in nanoseconds.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the amount is below the limit's floor or above its ceiling.
    pub fn with(mut self, limit: Limit, amount: Allowance<u64>) -> Result<Self, LimitError> {
        limit.check(amount)?;
        if let Some(slot) = self.amounts.get_mut(limit as usize) {
            *slot = amount;
        }
        Ok(self)
    }

    /// The same limits, of which one allows at most `amount`, however little that is.
    #[must_use]
    pub fn at_most(mut self, limit: Limit, amount: u64) -> Self {
        if let Some(slot) = self.amounts.get_mut(limit as usize) {
            *slot = Allowance::AtMost(amount).min(*slot);
        }
        self
    }

    /// Returns the amount of one resource that may be used. Times are in nanoseconds.
    pub fn get(&self, limit: Limit) -> Allowance<u64> {
        let amount = self.amounts.get(limit as usize).copied();
        amount.unwrap_or(Allowance::AtMost(limit.default_amount()))
    }

    /// [`with`](Self::with) for [`Limit::Timeout`].
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn with_timeout(self, timeout: Allowance<Duration>) -> Result<Self, LimitError> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.with(Limit::Timeout, timeout.map(nanos))
    }

    /// [`with`](Self::with) for [`Limit::Fuel`].
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn with_fuel(self, fuel: Allowance<u64>) -> Result<Self, LimitError> {
        self.with(Limit::Fuel, fuel)
    }

    /// [`with`](Self::with) for [`Limit::Memory`].
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn with_memory_bytes(self, bytes: u64) -> Result<Self, LimitError> {
        self.with(Limit::Memory, Allowance::AtMost(bytes))
    }

    /// The longest wall-clock time, sleeps included.
    pub fn timeout(&self) -> Allowance<Duration> {
        self.get(Limit::Timeout).map(Duration::from_nanos)
    }

    /// The most wasm instructions.
    pub fn fuel(&self) -> Allowance<u64> {
        self.get(Limit::Fuel)
    }

    /// The most linear memory, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.get(Limit::Memory).or_max()
    }
}

#[cfg(test)]
mod tests {
    use Allowance::{AtMost, Unlimited};

    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_default_is_allowed() {
        for (i, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, i, "{limit}");
            let amount = AtMost(limit.default_amount());
            assert!(Limits::default().with(limit, amount).is_ok(), "{limit}");
        }
    }

    /// Just inside, just outside, at both ends.
    #[test]
    fn floors_and_ceilings() {
        for limit in Limit::ALL {
            let (min, max, may_be_unlimited) = limit.bounds();
            for inside in [min, max] {
                let limits = Limits::default().with(limit, AtMost(inside)).unwrap();
                assert_eq!(limits.get(limit), AtMost(inside));
            }
            let outside = [min.checked_sub(1), Some(max + 1), Some(u64::MAX)];
            for outside in outside.into_iter().flatten() {
                let error = Limits::default().with(limit, AtMost(outside)).unwrap_err();
                assert_eq!(error.limit, limit);
            }
            let unlimited = Limits::default().with(limit, Unlimited);
            assert_eq!(unlimited.is_ok(), may_be_unlimited, "{limit}");
        }
        // What would let one run take all of the host.
        for limit in [
            Limit::Memory,
            Limit::Stdout,
            Limit::Stderr,
            Limit::Value,
            Limit::Displays,
            Limit::DisplayBytes,
            Limit::OpenFiles,
            Limit::ToolCalls,
            Limit::ToolBytes,
            Limit::HostMemory,
            Limit::SessionMemory,
            Limit::WorkSize,
            Limit::WorkFiles,
        ] {
            assert!(!limit.bounds().2, "{limit}");
        }
    }

    #[test]
    fn an_error_says_what_is_possible() {
        let error = Limits::default().with_memory_bytes(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "limits.memory is 1 B; it can be 64 MiB to 2 GiB"
        );
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (limit, text, amount) in [
            (Limit::Fuel, "1000000", Some(1_000_000)),
            (Limit::Fuel, "5e9", Some(5_000_000_000)),
            (Limit::Fuel, "5.0e+9", Some(5_000_000_000)),
            (Limit::Fuel, "1_000", Some(1_000)),
            (Limit::Fuel, "", None),
            (Limit::Fuel, "-1", None),
            (Limit::Fuel, "1.5", None),
            (Limit::Fuel, "5e99", Some(u64::MAX)),
            (Limit::Fuel, "e9", None),
            (Limit::Fuel, "lots", None),
            (Limit::Fuel, "99999999999999999999", Some(u64::MAX)),
            (Limit::Memory, "128MiB", Some(128 * MIB)),
            (Limit::Memory, "1024", Some(1024)),
            (Limit::Memory, "much", None),
            (Limit::Memory, "-1", None),
            (Limit::Timeout, "500ms", Some(500_000_000)),
            (Limit::Timeout, "1m 30s", Some(90_000_000_000)),
            (Limit::Timeout, "10", None),
            (Limit::Timeout, "99999999years", None),
        ] {
            assert_eq!(limit.parse(text).ok(), amount.map(AtMost), "{text}");
            assert_eq!(limit.parse("unlimited"), Ok(Unlimited));
        }
    }
}
