//! A guest that plays by no rule: it makes the system calls that a program tells it to make, with
//! the arguments that it is told, and says of its end what it is told to say.
//!
//! The program is the run's source: hexadecimal, as the harness has written it. So what the host's
//! functions make of any call, in any order, can be tested without a bug in an interpreter that
//! would let a script make it.
//!
//! Its memory starts as the Python guest's image, as every memory does. So it has no variables: it
//! works in places of its own choice, on top of what lies there.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use sha2::{Digest, Sha256};

/// The addresses of the request, of the unpacked program, and of the reply. The harness knows the
/// first free place, 16 MiB, as its own.
const REQUEST: usize = 24 << 20;
const PROGRAM: usize = 32 << 20;
const REPLY: usize = 36 << 20;

/// The effects of instructions above the imports.
mod instruction {
    pub(crate) const TOOL: u8 = 64;
    pub(crate) const STORE: u8 = 65;
    pub(crate) const REPORT: u8 = 66;
    pub(crate) const TRAP: u8 = 67;
    pub(crate) const FILL: u8 = 68;
    pub(crate) const COMPLETE: u8 = 69;
}

macro_rules! wasm_type {
    (wide) => {
        i64
    };
    (rights) => {
        i64
    };
    ($kind:ident) => {
        i32
    };
}

macro_rules! errno {
    () => { i32 };
    (!) => { ! };
}

macro_rules! declare {
    ($($name:ident($($kind:ident),*) $(-> $never:tt)?)*) => {
        mod wasi {
            #[link(wasm_import_module = "wasi_snapshot_preview1")]
            unsafe extern "C" {
                $(pub(crate) fn $name($(_: wasm_type!($kind)),*) -> errno!($($never)?);)*
            }
        }
    };
}

/// Calls the import of that number.
macro_rules! call {
    ($($name:ident($($kind:ident),*) $(-> $never:tt)?)*) => {
        #[expect(
            unreachable_code,
            clippy::diverging_sub_expression,
            reason = "one of the functions never returns"
        )]
        fn call(number: u8, program: &mut Program) -> Option<i32> {
            let mut at = 0;
            $(
                if number == at {
                    // SAFETY: the host's function; what it writes to is this guest's own memory.
                    return Some(unsafe { wasi::$name($(program.argument()? as wasm_type!($kind)),*) });
                }
                at += 1;
            )*
            let _ = at;
            None
        }
    };
}

wardian_wasi_imports::imports!(declare);
wardian_wasi_imports::imports!(call);

#[link(wasm_import_module = "wardian")]
unsafe extern "C" {
    fn tool(operation: u32, a: u32, b: u32) -> u64;
}

/// The program, byte by byte.
struct Program {
    at: usize,
    end: usize,
}

impl Program {
    fn byte(&mut self) -> Option<u8> {
        if self.at >= self.end {
            return None;
        }
        let byte = load(self.at);
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self, bytes: u32) -> Option<u64> {
        let mut number = 0;
        for i in 0..bytes {
            number |= u64::from(self.byte()?) << (8 * i);
        }
        Some(number)
    }

    /// A number as it stands, or the 32 bits at an address.
    fn argument(&mut self) -> Option<u64> {
        let indirect = self.byte()? == 1;
        let number = self.number(8)?;
        Some(if indirect {
            (0..4).fold(0, |word, i| {
                word | u64::from(load(number as usize + i)) << (8 * i)
            })
        } else {
            number
        })
    }
}

fn load(at: usize) -> u8 {
    // SAFETY: an address of this guest's memory, or a trap, which is as good.
    unsafe { (at as *const u8).read_volatile() }
}

fn store(at: usize, byte: u8) {
    // SAFETY: as for `load`.
    unsafe { (at as *mut u8).write_volatile(byte) }
}

/// Returns the address of the request, however long it is.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_allocate(_len: usize) -> usize {
    REQUEST
}

/// Does as the source says, instead of screening it.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_screen() -> u64 {
    wardian_run()
}

/// Does as the source says.
#[unsafe(no_mangle)]
pub extern "C" fn wardian_run() -> u64 {
    let (mut program, hash) = unpack();
    report(&mut program, &hash).unwrap_or(0)
}

/// The program, and SHA-256 of its source.
fn unpack() -> (Program, [u8; 32]) {
    let mut at = REQUEST;
    const KEY: &[u8] = b"\"source\":\"";
    while !KEY
        .iter()
        .enumerate()
        .all(|(i, byte)| load(at + i) == *byte)
    {
        at += 1;
    }
    at += KEY.len();
    let mut hash = Sha256::new();
    let mut end = PROGRAM;
    let digit = |byte: u8| match byte {
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte.wrapping_sub(b'0') & 15,
    };
    while load(at) != b'"' && load(at + 1) != b'"' {
        let pair = [load(at), load(at + 1)];
        hash.update(pair);
        store(end, digit(pair[0]) << 4 | digit(pair[1]));
        end += 1;
        at += 2;
    }
    (Program { at: PROGRAM, end }, hash.finalize().into())
}

fn report(program: &mut Program, hash: &[u8; 32]) -> Option<u64> {
    loop {
        match program.byte()? {
            instruction::TOOL => {
                let mut word = || Some(program.argument()? as u32);
                let (operation, a, b) = (word()?, word()?, word()?);
                // SAFETY: the host's function, which writes to this guest's own memory.
                unsafe { tool(operation, a, b) };
            }
            instruction::STORE => {
                let at = program.number(4)? as usize;
                for i in 0..program.number(2)? as usize {
                    store(at + i, program.byte()?);
                }
            }
            instruction::FILL => {
                let (at, len) = (program.number(4)? as usize, program.number(4)? as usize);
                let byte = program.byte()?;
                (0..len).for_each(|i| store(at + i, byte));
            }
            instruction::REPORT => {
                let at = program.number(4)?;
                return Some(at << 32 | program.number(4)?);
            }
            instruction::COMPLETE => return complete(program, hash),
            instruction::TRAP => trap(program.byte()?),
            number => {
                call(number, program)?;
            }
        }
    }
}

/// The reply of a script that has come to its end with this JSON as its value.
fn complete(program: &mut Program, hash: &[u8; 32]) -> Option<u64> {
    let mut end = REPLY;
    let mut write = |byte: u8| {
        store(end, byte);
        end += 1;
    };
    b"{\"report\":{\"completed\":{\"value\":{\"json\":"
        .iter()
        .for_each(|byte| write(*byte));
    for _ in 0..program.number(2)? {
        write(program.byte()?);
    }
    b"}}},\"source_sha256\":\""
        .iter()
        .for_each(|byte| write(*byte));
    for half in hash.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        write(if half < 10 {
            b'0' + half
        } else {
            b'a' + half - 10
        });
    }
    b"\"}".iter().for_each(|byte| write(*byte));
    Some((REPLY as u64) << 32 | (end - REPLY) as u64)
}

/// Ends in one of the ways that WebAssembly has for it, or not at all.
fn trap(kind: u8) {
    match kind {
        0 => core::arch::wasm32::unreachable(),
        1 => {
            load(0xffff_fff0);
        }
        2 => store(0xffff_ffff, 1),
        3 => {
            deeper(u64::from(kind));
        }
        4 => {
            // SAFETY: there is no function of this number: it traps.
            let nothing: extern "C" fn() = unsafe { core::mem::transmute(0x7fff_ffff_usize) };
            nothing();
        }
        5 => while load(REQUEST) != 0 {},
        6 => while core::arch::wasm32::memory_grow::<0>(1) != usize::MAX {},
        _ => {
            core::arch::wasm32::memory_grow::<0>(usize::MAX >> 16);
        }
    }
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    match load(REQUEST) {
        0 => depth,
        _ => deeper(depth + 1) + deeper(depth + 2),
    }
}

/// There is none to be had. (Other members of the workspace have hashing built with its means for
/// it.)
struct NoMemory;

// SAFETY: it gives none out.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NO_MEMORY: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
