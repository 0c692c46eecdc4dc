//! Any bytes are a snapshot or are not one, and what is one can be unpacked or not: without a
//! panic, and without more memory than the policy allows.
//!
//! Bytes are also put into a snapshot that is one, and sealed, so that what stands behind the seal
//! is reached.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wardian::session::{SessionOptions, Snapshot};
use wardian::{Policy, Runtime, Sandbox, audit::sha256};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("this machine runs the guest");
    Sandbox::new(&runtime, Policy::computing()).expect("nothing is granted")
});

/// A snapshot that is one.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let session = SANDBOX.session(SessionOptions::default());
    let outcome = session.run_blocking("x = 1").expect("it runs");
    assert!(outcome.success());
    session.snapshot().wait().expect("it is at rest").to_bytes()
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let Some((at, bytes)) = bytes.split_first_chunk() else {
        return;
    };
    let mut edited = WHOLE.clone();
    let at = u32::from_le_bytes(*at) as usize % (edited.len() - 32);
    for (byte, new) in edited[at..].iter_mut().zip(bytes) {
        *byte = *new;
    }
    let (sealed, seal) = edited.split_at_mut(WHOLE.len() - 32);
    let hash = sha256(&*sealed);
    for (i, byte) in seal.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).expect("hex");
    }
    read(&edited);
});

fn read(bytes: &[u8]) {
    let Ok(snapshot) = Snapshot::from_bytes(bytes) else {
        return;
    };
    let _ = snapshot.changed_pages(&snapshot);
    let _ = snapshot.start(&SANDBOX, SessionOptions::default()).wait();
}
