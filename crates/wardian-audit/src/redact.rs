//! Takes out what looks like a secret, by the name of its field or by its form.
//!
//! A net, not a promise: a script that has a secret can write it backwards. That it has none is the
//! gate's business.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde_json::{Map, Number, Value};

/// The text in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// Endings of the names of fields that hold secrets, in lower case and without separators.
const FIELDS: &[&str] = &[
    "accesskey",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "token",
];

/// The forms of secrets. What the groups match is kept: before the secret, and after it.
const FORMS: &[&str] = &[
    // Keys with a prefix of their issuer's: OpenAI and others, GitHub, GitLab, Slack, AWS, Google.
    r"()\bsk-[A-Za-z0-9_-]{16,}",
    r"()\b(?:gh[opsur]_|github_pat_|glpat-)[A-Za-z0-9_-]{16,}",
    r"()\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"()\bAIza[0-9A-Za-z_-]{30,}",
    // JSON web tokens.
    r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",
    // Private keys, also where the end is missing.
    r"()-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    // The user and the password of a URL; the parameters that hold one.
    r"(://)[^/\s:@?#]+:[^/\s@?#]*(@)",
    r"(?i)([?&][a-z0-9_.-]*(?:token|key|secret|password|passwd|signature|sig|auth)=)[^&\s#\x22]+",
    // Headers and assignments, JSON in strings included.
    r"(?i)(\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}",
    r#"(?i)([a-z0-9_-]*(?:password|passwd|secret|token|api[_-]?key|passphrase|authorization)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',;&}\\]+"#,
];

struct Forms {
    any: RegexSet,
    each: Vec<Regex>,
}

static COMPILED: LazyLock<Option<Forms>> = LazyLock::new(|| {
    Some(Forms {
        any: RegexSet::new(FORMS).ok()?,
        each: FORMS
            .iter()
            .filter_map(|form| Regex::new(form).ok())
            .collect(),
    })
});

/// `text` with everything replaced that has the form of a secret.
pub fn redact(text: &str) -> String {
    let Some(forms) = COMPILED.as_ref() else {
        return REDACTED.to_owned();
    };
    let mut text = text.to_owned();
    for form in &forms.any.matches(&text) {
        if let Some(form) = forms.each.get(form) {
            let replacement = format!("${{1}}{REDACTED}${{2}}");
            text = form.replace_all(&text, replacement).into_owned();
        }
    }
    text
}

/// Does a field of this name hold a secret?
fn is_secret(field: &str) -> bool {
    let plain: String = field
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|char| char.to_ascii_lowercase())
        .collect();
    FIELDS.iter().any(|name| plain.ends_with(name))
}

/// The largest whole number that every reader of JSON reads exactly.
const EXACT: u64 = 1 << 53;

/// `value` without secrets, and with the numbers as text that not every reader would read as they
/// are.
pub(crate) fn value(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => exact(number),
        Value::String(text) => redact(text).into(),
        Value::Array(items) => items.iter().map(self::value).collect(),
        Value::Object(items) => items.iter().map(member).collect::<Map<_, _>>().into(),
    }
}

fn member((name, item): (&String, &Value)) -> (String, Value) {
    let item = if is_secret(name) && !item.is_null() {
        REDACTED.into()
    } else {
        value(item)
    };
    (redact(name), item)
}

fn exact(number: &Number) -> Value {
    let magnitude = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    match magnitude {
        Some(magnitude) if magnitude > EXACT => number.to_string().into(),
        _ => number.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_one() {
        let forms = COMPILED.as_ref().unwrap();
        assert_eq!(forms.each.len(), FORMS.len());
    }

    #[test]
    fn secrets_by_their_form() {
        for (text, kept) in [
            ("key sk-abcdefghijklmnop1234 end", "key [redacted] end"),
            ("ghp_0123456789abcdefghij", "[redacted]"),
            ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
            (
                "Authorization: Bearer abc.def-ghi",
                "Authorization: [redacted] [redacted]",
            ),
            (
                "https://ada:pw@example.com/x",
                "https://[redacted]@example.com/x",
            ),
            (
                "https://example.com/?a=1&api_key=xyz&b=2",
                "https://example.com/?a=1&api_key=[redacted]&b=2",
            ),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "[redacted]"),
            (
                r#"{"password": "hunter2", "a": 1}"#,
                r#"{"password": "[redacted]", "a": 1}"#,
            ),
            (
                r#"{\"password\": \"hunter2\"}"#,
                r#"{\"password\": \"[redacted]\"}"#,
            ),
            ("PASSWORD=hunter2; next", "PASSWORD=[redacted]; next"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- x",
                "[redacted] x",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMII", "[redacted]"),
            (
                "nothing of the kind: max_tokens 5, task-list",
                "nothing of the kind: max_tokens 5, task-list",
            ),
        ] {
            assert_eq!(redact(text), kept);
        }
    }

    #[test]
    fn secrets_by_their_field() {
        let args = json!({
            "API_KEY": "x", "x-api-key": {"deep": 1}, "Password": ["a"], "client.secret": 5, "token": null,
            "max_tokens": 5, "list": [{"cookie": "c"}], "sk-abcdefghijklmnop1234": "key",
        });
        assert_eq!(
            value(&args),
            json!({
                "API_KEY": REDACTED, "x-api-key": REDACTED, "Password": REDACTED, "client.secret": REDACTED,
                "token": null, "max_tokens": 5, "list": [{"cookie": REDACTED}], REDACTED: "key",
            })
        );
    }

    #[test]
    fn numbers_that_some_readers_would_round_are_text() {
        let args = json!([
            9_007_199_254_740_992_u64,
            9_007_199_254_740_993_u64,
            i64::MIN,
            u64::MAX,
            -0.0,
            1e300
        ]);
        assert_eq!(
            value(&args),
            json!([
                9_007_199_254_740_992_u64,
                "9007199254740993",
                "-9223372036854775808",
                "18446744073709551615",
                -0.0,
                1e300
            ])
        );
    }
}
