//! Programs for the hostile guest: system calls that Python can't make, with any argument, in any
//! order.
//!
//! [`Runtime::hostile`](wardian::Runtime::hostile) runs them: the source of a run is
//! [`Program::source`]. They meet the host's functions as a script does whose interpreter has been
//! taken over.

use std::fmt::Write;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// The kind of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "named as in the table of imports")]
enum Kind {
    fd,
    pointer,
    length,
    flags,
    choice,
    wide,
    rights,
}

macro_rules! table {
    ($($name:ident($($kind:ident),*) $(-> $never:tt)?)*) => {
        const IMPORTS: &[(&str, &[Kind])] = &[$((stringify!($name), &[$(Kind::$kind),*])),*];
    };
}

wardian_wasi_imports::imports!(table);

/// An argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arg {
    /// This number.
    Is(u64),
    /// The 32 bits that the guest has at this address: what an earlier call has written there.
    At(u32),
}

/// The way in which WebAssembly ends a guest, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `unreachable`.
    Unreachable,
    /// A load from where no memory is.
    Load,
    /// A store to where no memory is.
    Store,
    /// Calls without end.
    Recursion,
    /// A call of a function that there is not.
    BadCall,
    /// A loop without end.
    Loop,
    /// `memory.grow` until there is no more, and on.
    Grow,
    /// `memory.grow` by 4 GiB at once, and on.
    GrowHuge,
}

/// The address at which a program can keep its data: 8 MiB from here are not used by the guest
/// itself.
pub const DATA: u32 = 16 << 20;

/// A program of the hostile guest, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program(Vec<u8>);

impl Program {
    /// One that does nothing. Its end is a report that is none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the program as the source of a run.
    pub fn source(&self) -> String {
        self.0.iter().fold(String::new(), |mut source, byte| {
            let _ = write!(source, "{byte:02x}");
            source
        })
    }

    /// Calls a function of WASI by its name. Arguments that are left out are 0.
    ///
    /// # Panics
    ///
    /// If there is no such function.
    #[expect(clippy::panic, reason = "a mistake in a test")]
    pub fn call(mut self, name: &str, args: &[Arg]) -> Self {
        let Some(number) = IMPORTS.iter().position(|(known, _)| *known == name) else {
            panic!("WASI has no function {name}");
        };
        let [number, ..] = number.to_le_bytes();
        let (_, kinds) = IMPORTS
            .get(usize::from(number))
            .copied()
            .unwrap_or_default();
        self.0.push(number);
        for at in 0..kinds.len() {
            self.arg(args.get(at).copied().unwrap_or(Arg::Is(0)));
        }
        self
    }

    /// Calls the import for tools.
    pub fn tool(mut self, operation: u32, a: Arg, b: Arg) -> Self {
        self.0.push(64);
        self.arg(Arg::Is(operation.into()));
        self.arg(a);
        self.arg(b);
        self
    }

    /// Writes bytes, 65,535 at most, to the guest's memory.
    pub fn store(mut self, at: u32, bytes: &[u8]) -> Self {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.0.push(65);
        self.0.extend(at.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self.0.extend(bytes.iter().take(len.into()));
        self
    }

    /// Writes one byte `len` times.
    pub fn fill(mut self, at: u32, len: u32, byte: u8) -> Self {
        self.0.push(68);
        self.0.extend(at.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self.0.push(byte);
        self
    }

    /// Says that its report is `len` bytes at `at`, and ends.
    pub fn report(mut self, at: u32, len: u32) -> Self {
        self.0.push(66);
        self.0.extend(at.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self
    }

    /// Ends as a script does that has come to its end, with this JSON as its value.
    pub fn complete(mut self, json: &str) -> Self {
        let len = u16::try_from(json.len()).unwrap_or(u16::MAX);
        self.0.push(69);
        self.0.extend(len.to_le_bytes());
        self.0.extend(json.bytes().take(len.into()));
        self
    }

    /// Ends, or not.
    pub fn end(mut self, ending: Ending) -> Self {
        self.0.extend([67, ending as u8]);
        self
    }

    fn arg(&mut self, arg: Arg) {
        let (tag, number) = match arg {
            Arg::Is(number) => (0, number),
            Arg::At(at) => (1, at.into()),
        };
        self.0.push(tag);
        self.0.extend(number.to_le_bytes());
    }

    /// So many calls in an order and with arguments that follow from `seed`: boundary values,
    /// pointers to paths beneath `directories`, to lists of buffers, to the end of memory and
    /// beyond; descriptors that earlier calls have opened, and some that nobody has.
    pub fn random(seed: u64, calls: usize, directories: &[&str]) -> Self {
        Random::new(seed, directories).program(calls)
    }
}

/// The address at which the random programs keep things.
const PATHS: u32 = DATA;
const BUFFERS: u32 = DATA + (1 << 20);
const OPENED: u32 = DATA + (2 << 20);
const SCRATCH: u32 = DATA + (3 << 20);

/// The count of buffers of a list that lie in memory, before some that don't.
const GOOD_BUFFERS: usize = 64;

/// The rarity of an argument that ends the run.
const FATAL: u32 = 500;

/// The count of descriptors that a random program remembers.
const REMEMBERED: u32 = 16;

struct Random {
    rng: StdRng,
    /// The address and the length of each path.
    paths: Vec<(u32, u32)>,
    program: Program,
}

impl Random {
    fn new(seed: u64, directories: &[&str]) -> Self {
        let mut random = Self {
            rng: StdRng::seed_from_u64(seed),
            paths: Vec::new(),
            program: Program::new(),
        };
        let long = "a/".repeat(3_000);
        let mut paths: Vec<Vec<u8>> = [
            "",
            ".",
            "/",
            "..",
            "../../etc/passwd",
            "/etc/passwd",
            "/proc/self/environ",
            "//",
            "a\0b",
            &long,
        ]
        .map(|path| path.as_bytes().to_vec())
        .into();
        paths.push(vec![0xff, 0xfe, 0x80]);
        for directory in directories {
            let directory = directory.trim_start_matches('/');
            for name in [
                "",
                "/",
                "/file.txt",
                "/new",
                "/link",
                "/out-dir/canary.txt",
                "/sub/../..",
                "/fifo",
                "/a",
            ] {
                paths.push(format!("{directory}{name}").into_bytes());
            }
        }
        let mut at = PATHS;
        for path in paths {
            let len = u32::try_from(path.len()).unwrap_or(u32::MAX);
            random.program = random.program.store(at, &path);
            random.paths.push((at, len));
            at += len;
        }
        // Lists of buffers, each an address and a length: many that are good, and then those that
        // lead out of memory.
        let good = [
            (SCRATCH, 16),
            (SCRATCH, 0),
            (SCRATCH + 1, 3),
            (SCRATCH, 1 << 16),
        ];
        let bad = [(u32::MAX, 1), (SCRATCH, u32::MAX), (0xffff_0000, 0xffff)];
        let buffers: Vec<u8> = good
            .iter()
            .cycle()
            .take(GOOD_BUFFERS)
            .chain(&bad)
            .flat_map(|(at, len)| [*at, *len])
            .flat_map(u32::to_le_bytes)
            .collect();
        random.program = random.program.store(BUFFERS, &buffers);
        random
    }

    fn program(mut self, calls: usize) -> Program {
        for _ in 0..calls {
            // Most of what can be said to it wrongly ends the run.
            if self.rng.random_ratio(1, FATAL) {
                self.tool();
            } else {
                self.call();
            }
        }
        self.program.complete("\"all calls made\"")
    }

    fn call(&mut self) {
        let Some((name, kinds)) = IMPORTS.choose(&mut self.rng).copied() else {
            return;
        };
        // One that waits or ends it for good, but not always before anything else has happened.
        if ["poll_oneoff", "proc_exit"].contains(&name) && !self.rng.random_ratio(1, 40) {
            return;
        }
        let mut args = Vec::new();
        let mut path = None;
        for (at, kind) in kinds.iter().enumerate() {
            let of_path = name.starts_with("path_")
                && kinds.get(at + 1) == Some(&Kind::length)
                && *kind == Kind::pointer;
            if of_path && self.rng.random_ratio(9, 10) {
                path = self.paths.choose(&mut self.rng).copied();
            }
            let arg = match (kind, path) {
                (Kind::pointer, Some((at, _))) => Arg::Is(at.into()),
                (Kind::length, Some((_, len))) => {
                    path = None;
                    Arg::Is(len.into())
                }
                (Kind::pointer, None) if name == "path_open" && self.rng.random_ratio(9, 10) => {
                    Arg::Is((OPENED + 4 * self.rng.random_range(0..REMEMBERED)).into())
                }
                (kind, _) => self.arg(*kind),
            };
            args.push(arg);
        }
        self.program = std::mem::take(&mut self.program).call(name, &args);
    }

    fn tool(&mut self) {
        let operation = *[0, 0, 1, 2, 3, 4, u32::MAX]
            .choose(&mut self.rng)
            .unwrap_or(&0);
        let [a, b] = [Kind::pointer, Kind::length].map(|kind| self.arg(kind));
        self.program = std::mem::take(&mut self.program).tool(operation, a, b);
    }

    fn arg(&mut self, kind: Kind) -> Arg {
        // What any call survives, and what ends the run: memory that is not there or not aligned,
        // a flag that there is not.
        let (common, fatal): (&[u64], &[u64]) = match kind {
            // The root is 3. The others may have been opened.
            Kind::fd => {
                if self.rng.random_bool(0.4) {
                    return Arg::At(OPENED + 4 * self.rng.random_range(0..REMEMBERED));
                }
                let numbers = &[
                    0,
                    1,
                    2,
                    3,
                    3,
                    3,
                    4,
                    5,
                    6,
                    7,
                    64,
                    1_000,
                    0x7fff_ffff,
                    0xffff_ffff,
                ];
                (numbers, &[])
            }
            Kind::pointer => (
                &[
                    SCRATCH as u64,
                    SCRATCH as u64 + 8,
                    BUFFERS as u64,
                    BUFFERS as u64 + 24,
                ],
                &[
                    SCRATCH as u64 + 1,
                    BUFFERS as u64 + 8 * GOOD_BUFFERS as u64,
                    BUFFERS as u64 + 3,
                    PATHS as u64,
                    0,
                    0x7fff_ffff,
                    0xffff_fff0,
                    0xffff_ffff,
                    47 << 20,
                ],
            ),
            Kind::length => (
                &[0, 1, 2, 3, 7, 8, 24],
                &[4_096, 65_536, 1 << 20, 0x7fff_ffff, 0xffff_ffff],
            ),
            Kind::flags => (
                &[0, 1, 2, 3, 4, 5, 8, 9, 15],
                &[16, 32, 255, 0x7fff, 0xffff, 0xffff_ffff],
            ),
            Kind::choice => (&[0, 1], &[2, 3, 9, 255, 0xffff_ffff]),
            Kind::rights => (&[0, 2, 64, 66, 0x1fff_ffff], &[1 << 30, 1 << 40, u64::MAX]),
            Kind::wide => (
                &[
                    0,
                    1,
                    2,
                    10,
                    4_096,
                    1 << 20,
                    1 << 32,
                    1 << 40,
                    u64::MAX >> 1,
                    1 << 63,
                    u64::MAX,
                    u64::MAX - 1,
                    0x1fff_ffff,
                ],
                &[],
            ),
        };
        let numbers = if !fatal.is_empty() && self.rng.random_ratio(1, FATAL) {
            fatal
        } else {
            common
        };
        Arg::Is(numbers.choose(&mut self.rng).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_program() {
        let source = |seed| Program::random(seed, 50, &["/data"]).source();
        assert_eq!(source(1), source(1));
        assert_ne!(source(1), source(2));
    }
}
