//! Removal of a tool's secrets from everything that scripts and records see.

use serde_json::Value;
use wardian_audit::REDACTED;

/// Returns `text` without the secrets in it, also where they are written as JSON.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), REDACTED);
        }
        let escaped = Value::from(secret.as_str()).to_string();
        let escaped = escaped.trim_matches('"');
        if escaped != secret && text.contains(escaped) {
            text = text.replace(escaped, REDACTED);
        }
    }
    text
}

/// Removes the secrets from every text in a value.
pub(super) fn redact_in(value: &mut Value, secrets: &[String]) {
    match value {
        _ if secrets.is_empty() => {}
        Value::String(text) => *text = redact(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_in(item, secrets)),
        Value::Object(items) => items.values_mut().for_each(|item| redact_in(item, secrets)),
        _ => {}
    }
}
