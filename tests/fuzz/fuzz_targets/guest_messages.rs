//! Whatever a guest says is read or refused, and what is read keeps to what the guest was told.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;
use wardian_abi::{DISPLAY_BYTES, Display, Reply, Report, Screening, ToolCall, Value, strict_json};

/// Of the source "1".
const SOURCE: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
const VALUE_BYTES: u64 = 64;
const VALUE_DEPTH: u32 = 3;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(screening) = Screening::read(bytes, SOURCE) {
        assert_eq!(screening.source_sha256, SOURCE);
    }
    if let Ok(Report::Completed {
        value: Value::Json(value),
    }) = Reply::read(bytes, SOURCE, VALUE_BYTES, VALUE_DEPTH)
    {
        assert!(levels(&value) <= VALUE_DEPTH, "{value}");
    }
    if let Ok(call) = ToolCall::read(bytes) {
        arguments(call.args.get());
    }
    if let Ok(display) = Display::read(bytes) {
        assert!(display.size_bytes() <= DISPLAY_BYTES as usize);
    }
    if let Ok(text) = str::from_utf8(bytes) {
        arguments(text);
    }
});

/// Arguments that are read are what every reader of JSON would read.
fn arguments(json: &str) {
    if let Ok(value) = strict_json(json) {
        assert_eq!(Some(value), serde_json::from_str(json).ok());
    }
}

fn levels(value: &Json) -> u32 {
    match value {
        Json::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Json::Object(items) => 1 + items.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}
