//! Any bytes are a snapshot or are not one, and what is one can be unpacked or not: without a
//! panic, and without more memory than the policy allows.
//!
//! Bytes are also put into a snapshot that is one, and sealed, so that what stands behind the seal
//! is reached.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wardian::session::{SessionOptions, Snapshot, SnapshotForm};
use wardian::{Policy, Runtime, Sandbox, audit::sha256};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("this machine runs the guest");
    Sandbox::new(&runtime, Policy::computing()).expect("nothing is granted")
});

/// Two snapshots of one session, and the second as what has changed since the first.
static ONES: LazyLock<(Snapshot, [Vec<u8>; 2])> = LazyLock::new(|| {
    let session = SANDBOX.session(SessionOptions::default());
    let snapshot = |source: &str| {
        let outcome = session.run_blocking(source).expect("it runs");
        assert!(outcome.success());
        session.snapshot().wait().expect("it is at rest")
    };
    let (first, second) = (snapshot("x = 1"), snapshot("x = 2"));
    let form = SnapshotForm::default().since(&first);
    let changed = form.write(&second).expect("both can be unpacked");
    let whole = first.to_bytes();
    (first, [whole, changed])
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    for one in &ONES.1 {
        edit(one, bytes);
    }
});

/// Reads `one` with `bytes` in it, at the place that the first of them say.
fn edit(one: &[u8], bytes: &[u8]) {
    let Some((at, bytes)) = bytes.split_first_chunk() else {
        return;
    };
    let mut edited = one.to_vec();
    let at = u32::from_le_bytes(*at) as usize % (edited.len() - 32);
    for (byte, new) in edited[at..].iter_mut().zip(bytes) {
        *byte = *new;
    }
    let (sealed, seal) = edited.split_at_mut(one.len() - 32);
    let hash = sha256(&*sealed);
    for (i, byte) in seal.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).expect("hex");
    }
    read(&edited);
}

fn read(bytes: &[u8]) {
    let Ok(snapshot) = SnapshotForm::default().since(&ONES.0).read(bytes) else {
        return;
    };
    let _ = snapshot.changed_pages(&snapshot);
    let _ = snapshot.start(&SANDBOX, SessionOptions::default()).wait();
}
