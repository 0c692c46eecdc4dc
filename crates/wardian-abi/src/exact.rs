//! Values that JSON lacks, written in JSON: an object whose only key is a tag,
//! `{"$decimal": "1.50"}`.
//!
//! | tag | in Python | text |
//! |---|---|---|
//! | `$bytes` | `bytes` | base64 |
//! | `$date`, `$time`, `$datetime` | of `datetime` | ISO 8601, as `isoformat()` writes it |
//! | `$decimal` | `decimal.Decimal` | its digits, `NaN`, `Infinity` |
//! | `$float` | `float` | `nan`, `inf`, `-inf` |
//! | `$int` | `int` beyond 64 bits | its digits |
//! | `$timedelta` | `datetime.timedelta` | `1d 7384.000005s`: days, seconds |
//! | `$uuid` | `uuid.UUID` | its 36 characters |
//!
//! A plain object that looks like one of these is written as `{"$object": {...}}`, so that nobody
//! can forge a tag: what a script, a server or a database says in JSON arrives as it was said.

use serde_json::{Map, Value, json};

/// The tag of a plain object that looks like a tagged value.
pub const OBJECT: &str = "$object";

/// Tags a text: `tagged("$decimal", "1.50")`.
pub fn tagged(tag: &str, text: impl Into<String>) -> Value {
    json!({ tag: text.into() })
}

/// A float, also where JSON has none.
pub fn float(number: f64) -> Value {
    let text = if number.is_nan() {
        "nan"
    } else if number == f64::INFINITY {
        "inf"
    } else if number == f64::NEG_INFINITY {
        "-inf"
    } else {
        return number.into();
    };
    tagged("$float", text)
}

/// The tag of an object whose only key is one, and what it tags.
pub fn tag(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| looks_tagged(object))?;
    let (tag, tagged) = object.iter().next()?;
    Some((tag, tagged))
}

fn looks_tagged(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|key| key.starts_with('$'))
}

/// Writes plain JSON so that no object in it is taken for a tagged value.
pub fn escape(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(escape).collect(),
        Value::Object(items) => {
            let escaping = looks_tagged(&items);
            let items: Map<_, _> = items
                .into_iter()
                .map(|(key, item)| (key, escape(item)))
                .collect();
            if escaping {
                json!({ OBJECT: items })
            } else {
                items.into()
            }
        }
        plain => plain,
    }
}

/// [`escape`] for JSON as text, without parsing it into something that takes more memory.
pub fn escape_json(json: String) -> String {
    if !json.contains("\"$") {
        return json;
    }
    let wrapped = wrapped(json.as_bytes());
    let mut escaped = String::with_capacity(json.len() + 12 * wrapped.len());
    let mut rest = 0;
    for (at, starts) in wrapped {
        escaped.push_str(json.get(rest..at).unwrap_or_default());
        if starts {
            escaped.push_str("{\"$object\":")
        } else {
            escaped.push('}')
        }
        rest = at;
    }
    escaped.push_str(json.get(rest..).unwrap_or_default());
    escaped
}

/// Tags the integers of JSON that have more than 64 bits, which readers would make floats of.
pub fn whole_integers(json: String) -> String {
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let is_long = |number: &str| {
        number.len() > 18
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
            && number.parse::<i64>().is_err()
            && number.parse::<u64>().is_err()
    };
    let bytes = json.as_bytes();
    let (mut tagged, mut copied, mut at) = (String::new(), 0, 0);
    let mut in_string = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            byte if !in_string && is_number(*byte) => {
                let rest = bytes.get(at..).unwrap_or_default();
                let len = rest.iter().take_while(|byte| is_number(**byte)).count();
                let number = json.get(at..at + len).unwrap_or_default();
                if is_long(number) {
                    tagged.push_str(json.get(copied..at).unwrap_or_default());
                    tagged.push_str(&self::tagged("$int", number).to_string());
                    copied = at + len;
                }
                at += len - 1;
            }
            _ => {}
        }
        at += 1;
    }
    match copied {
        0 => json,
        _ => tagged + json.get(copied..).unwrap_or_default(),
    }
}

/// Lists where objects start that look tagged, and where they have ended, in order.
fn wrapped(json: &[u8]) -> Vec<(usize, bool)> {
    /// An object or a list that has not ended.
    struct Open {
        at: usize,
        looks_tagged: bool,
    }
    let (mut open, mut wrapped) = (Vec::<Open>::new(), Vec::new());
    let mut bytes = json.iter().copied().enumerate().peekable();
    // Whether a string that comes now is a key, and the first of its object.
    let mut first_key = false;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let tags = first_key && bytes.peek().is_some_and(|(_, byte)| *byte == b'$');
                if let Some(open) = open.last_mut().filter(|_| tags) {
                    open.looks_tagged = true;
                }
                first_key = false;
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                let looks_tagged = false;
                open.push(Open { at, looks_tagged });
                first_key = byte == b'{';
            }
            b',' => {
                if let Some(open) = open.last_mut() {
                    open.looks_tagged = false;
                }
            }
            b'}' | b']' => {
                first_key = false;
                if let Some(Open { at: start, .. }) = open.pop().filter(|open| open.looks_tagged) {
                    wrapped.extend([(start, true), (at + 1, false)]);
                }
            }
            _ => {}
        }
    }
    // Ends before starts where they meet: `}{` has none of its own between.
    wrapped.sort_unstable();
    wrapped
}

/// Reads plain JSON that [`escape`] has written.
///
/// # Errors
///
/// The tag of a value that JSON lacks, if there is one.
pub fn unescape(value: Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => items.into_iter().map(unescape).collect(),
        Value::Object(mut items) if looks_tagged(&items) => match items.remove(OBJECT) {
            Some(Value::Object(items)) => members(items),
            _ => Err(items
                .keys()
                .next()
                .map_or(OBJECT, String::as_str)
                .to_owned()),
        },
        Value::Object(items) => members(items),
        plain => Ok(plain),
    }
}

fn members(items: Map<String, Value>) -> Result<Value, String> {
    items
        .into_iter()
        .map(|(key, item)| Ok((key, unescape(item)?)))
        .collect::<Result<Map<_, _>, _>>()
        .map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_objects_are_never_tagged_values() {
        for plain in [
            json!({"$decimal": "1"}),
            json!({"$object": {"$object": 1}}),
            json!([{"a": [{"$bytes": {"$int": "2"}}]}]),
            json!({"$a": 1, "$b": 2}),
            json!({"a": 1.5, "b": null, "c": "text"}),
            json!([{"$a": {"$b": {"$c": []}}}, {"$a": ["\"$", {"$b": 1}], "c": 1}, {"a\\\"{": {"$\\\"": "}"}}]),
            json!({"x": ["$y", {"$z": 1}]}),
        ] {
            let escaped = escape(plain.clone());
            assert!(tag(&escaped).is_none_or(|(tag, _)| tag == OBJECT));
            let text = escape_json(format!(" {plain:#} "));
            assert_eq!(
                serde_json::from_str::<Value>(&text).unwrap(),
                escaped,
                "{text}"
            );
            assert_eq!(unescape(escaped), Ok(plain));
        }
        assert_eq!(unescape(json!([{"$int": "9"}])), Err("$int".to_owned()));
        assert_eq!(unescape(json!({"$object": 1})), Err("$object".to_owned()));
        assert_eq!(unescape(float(f64::NAN)), Err("$float".to_owned()));
        assert_eq!(float(1.5), json!(1.5));
        let json =
            r#"[1,-18446744073709551616,18446744073709551615,1e30,"99999999999999999999\"9"]"#;
        let whole = r#"[1,{"$int":"-18446744073709551616"},18446744073709551615,1e30,"99999999999999999999\"9"]"#;
        assert_eq!(whole_integers(json.to_owned()), whole);
    }
}
