//! JSON in, typed arguments out; typed replies in, JSON out. Both bounded.

use std::io;

use serde::Serialize;
use serde::de::value::Error as PlainError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value};
use wardian_abi::exact;

use super::typed_json::{Json, Mistake};

/// The deepest nesting of a reply.
const REPLY_DEPTH: usize = 100;

/// A mistake in the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgumentError {
    /// Set if one is missing, unknown or of another type; else it is of the right type, and wrong.
    pub(crate) is_type: bool,
    pub(crate) message: String,
}

/// Parses the arguments of a call: a JSON object, in which no key stands twice at any depth.
pub(crate) fn parse(json: &str) -> Result<Value, ArgumentError> {
    let value = wardian_abi::strict_json(json).map_err(|error| ArgumentError {
        is_type: false,
        message: format!("the arguments are not valid JSON: {error}"),
    })?;
    if !value.is_object() {
        return Err(ArgumentError {
            is_type: true,
            message: "the arguments are not a JSON object".to_owned(),
        });
    }
    Ok(value)
}

/// Estimates the most bytes of the host's memory that JSON takes when it is parsed, by what it is
/// made of.
pub(crate) fn weight(json: &str) -> u64 {
    /// A node of a map, for up to eleven members.
    const OBJECT: u64 = 700;
    /// The first room of a list.
    const LIST: u64 = 128;
    /// A value and its key, in a list or map that has grown.
    const ITEM: u64 = 120;
    let (mut weight, mut in_string, mut escaped) = (json.len() as u64, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => weight += OBJECT,
            b'[' if !in_string => weight += LIST,
            b',' if !in_string => weight += ITEM,
            _ => {}
        }
    }
    weight
}

/// Converts arguments to plain JSON, for a tool that knows no [`exact`] values.
pub(crate) fn plain(args: Value) -> Result<Value, ArgumentError> {
    let Value::Object(args) = args else {
        return Ok(args);
    };
    let args = args.into_iter().map(|(name, value)| {
        let value = exact::unescape(value).map_err(|tag| {
            let (is_type, what) = match tag.as_str() {
                "$int" => (false, "an integer does not fit in 64 bits".to_owned()),
                "$float" => (false, "infinity and NaN are not JSON numbers".to_owned()),
                tag => (
                    true,
                    format!(
                        "a {} can't be passed to this tool",
                        tag.trim_start_matches('$')
                    ),
                ),
            };
            let message = format!("argument `{name}`: {what}");
            ArgumentError { is_type, message }
        })?;
        Ok((name, value))
    });
    args.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// Reads arguments as their type, and as JSON of that type: what a rule is checked against is what
/// a handler gets, defaults included.
pub(crate) fn read<Args: Serialize + DeserializeOwned>(
    value: Value,
    known: &[String],
) -> Result<(Args, Value), ArgumentError> {
    let wrong = |is_type, message| ArgumentError { is_type, message };
    let given = value.as_object().into_iter().flat_map(Map::keys);
    if let Some(unknown) = given.into_iter().find(|name| !known.contains(name)) {
        let shown: String = unknown.chars().take(64).collect();
        return Err(wrong(true, format!("there is no argument {shown:?}")));
    }
    let args: Args = serde_path_to_error::deserialize(Json(value)).map_err(|error| {
        let path = error.path().to_string();
        let Mistake { is_type, message } = error.into_inner();
        match path.as_str() {
            "." => wrong(is_type, message),
            path => wrong(is_type, format!("argument `{path}`: {message}")),
        }
    })?;
    let value = serde_json::to_value(&args)
        .map_err(|error| wrong(false, format!("the arguments are not JSON: {error}")))?;
    Ok((args, value))
}

/// Writes a reply as JSON, if it is not too long or too deep for a script.
pub(crate) fn reply(output: &impl Serialize, max_bytes: usize) -> Result<String, String> {
    let mut json = Bounded {
        bytes: Vec::new(),
        max_bytes,
    };
    serde_json::to_writer(&mut json, output).map_err(|error| {
        if error.is_io() {
            format!("its reply takes more than {max_bytes} bytes")
        } else {
            format!("its reply is not JSON: {error}")
        }
    })?;
    let json = String::from_utf8(json.bytes).map_err(|_| "its reply is not text".to_owned())?;
    match depth(&json) {
        depth if depth > REPLY_DEPTH => {
            Err(format!("its reply is nested deeper than {REPLY_DEPTH}"))
        }
        _ => Ok(json),
    }
}

/// Returns the depth of nesting of a JSON text.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A writer that takes a bounded count of bytes.
struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.max_bytes {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the fields of a struct in the order of its declaration, which JSON Schema does not keep.
pub(crate) fn fields<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    struct Asking<'a>(&'a mut Option<&'static [&'static str]>);

    impl<'de> Deserializer<'de> for Asking<'_> {
        type Error = PlainError;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            fields: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, PlainError> {
            *self.0 = Some(fields);
            Err(PlainError::custom("only asking"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, PlainError> {
            Err(PlainError::custom("no struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields = None;
    // It always fails: there is nothing to read.
    let _ = T::deserialize(Asking(&mut fields));
    fields
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Args {
        path: String,
        #[serde(default = "ten")]
        limit: u32,
        tags: Option<Vec<String>>,
    }

    fn ten() -> u32 {
        10
    }

    fn known() -> Vec<String> {
        let fields = fields::<Args>().unwrap();
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    #[test]
    fn fields_are_in_order() {
        assert_eq!(known(), ["path", "limit", "tags"]);
        assert_eq!(fields::<String>(), None);
    }

    /// Row TOOL-09.
    #[test]
    fn arguments_that_are_not_a_tools() {
        for (json, is_type, message) in [
            (r#"{}"#, true, "missing argument `path`"),
            (
                r#"{"path": 1}"#,
                true,
                "argument `path`: invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"path": null}"#,
                true,
                "argument `path`: invalid type: None, expected a string",
            ),
            (
                r#"{"path": ["/x"]}"#,
                true,
                "argument `path`: invalid type: sequence, expected a string",
            ),
            (r#"{"PATH": "/x"}"#, true, r#"there is no argument "PATH""#),
            (
                r#"{"path": "/x", "more": 1}"#,
                true,
                r#"there is no argument "more""#,
            ),
            (
                r#"{"path": "/x", "limit": -1}"#,
                false,
                "argument `limit`: invalid value: integer `-1`, expected u32",
            ),
            (
                r#"{"path": "/x", "limit": 9007199254740993}"#,
                false,
                "argument `limit`: invalid value: integer `9007199254740993`, expected u32",
            ),
            (
                r#"{"path": "/x", "limit": 1.5}"#,
                true,
                "argument `limit`: invalid type: floating point `1.5`, expected u32",
            ),
            (
                r#"{"path": "/x", "tags": ["a", 1]}"#,
                true,
                "argument `tags[1]`: invalid type: integer `1`, expected a string",
            ),
        ] {
            let error = read::<Args>(parse(json).unwrap(), &known()).unwrap_err();
            assert_eq!(
                (error.message.as_str(), error.is_type),
                (message, is_type),
                "{json}"
            );
        }
        for json in [
            r#"{"path": "/ok", "path": "/etc"}"#,
            r#"{"path": "/x", "tags": [{"a": 1, "a": 2}]}"#,
            r#"{"path": 1e400}"#,
            r#"{"path": "/x"} {}"#,
            r#"["/x"]"#,
            "null",
            "",
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
        let deep = format!(
            r#"{{"path": {}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn what_is_checked_is_what_is_passed() {
        let (args, value) = read::<Args>(json!({"path": "/x"}), &known()).unwrap();
        assert_eq!(args.limit, 10);
        assert_eq!(value, json!({"path": "/x", "limit": 10, "tags": null}));
    }

    #[test]
    fn replies_are_bounded() {
        assert_eq!(reply(&"x", 3).as_deref(), Ok("\"x\""));
        assert!(reply(&"xx", 3).is_err());
        assert_eq!(reply(&f64::NAN, 9).as_deref(), Ok("null"));
        let nested = |depth: usize| (0..depth).fold(json!("]["), |inner, _| json!([inner]));
        assert!(reply(&nested(REPLY_DEPTH), 9999).is_ok());
        assert!(reply(&nested(REPLY_DEPTH + 1), 9999).is_err());
        assert!(reply(&std::collections::BTreeMap::from([(vec![1], 2)]), 99).is_err());
    }
}
