//! Any bytes are a log or are not one. Of a log, no byte can be changed, and it goes on from each
//! of its records.
//!
//! Lines are sealed first, so that what stands in them is reached: each gets its hash, and `PREV`
//! in it becomes the hash of the line before.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wardian_abi::sha256;
use wardian_audit::{Head, records, verify, verify_after};

fuzz_target!(|bytes: &[u8]| {
    let _ = verify(bytes);
    if let Ok(text) = str::from_utf8(bytes) {
        check(sealed(text).as_bytes());
    }
});

fn sealed(text: &str) -> String {
    let mut log = String::new();
    let mut prev = Head::default().hash;
    for line in text.lines() {
        let line = line.replace("PREV", &prev);
        prev = sha256(&line);
        log.extend([&line, ",\"hash\":\"", &prev, "\"}\n"]);
    }
    log
}

fn check(log: &[u8]) {
    for record in records(log).map_while(Result::ok) {
        let _ = serde_json::to_string(&record).expect("what was read can be written");
    }
    let Ok(verified) = verify(log) else {
        return;
    };
    let mut head = Head::default();
    let mut rest = log;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        head = verify_after(line, head).expect("a line of a log").head;
        rest = after;
        verify_after(rest, head.clone()).expect("the rest of a log");
    }
    assert_eq!(head, verified.head);
    for at in (0..log.len()).step_by(1 + log.len() / 16) {
        let mut changed = log.to_vec();
        changed[at] ^= 1;
        assert!(verify(&changed[..]).is_err(), "byte {at}");
    }
}
