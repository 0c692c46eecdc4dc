//! Reading of what a guest says, of which nothing is to be believed. Pure functions over bytes, so
//! that they can be fuzzed without an engine.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

use crate::{
    DISPLAY_BYTES, DISPLAY_FORMS, Display, GLOBAL_NAME_BYTES, GLOBALS, Globals, Reply, Report,
    ReportedValue, Screening, ToolCall, Value,
};

/// A protocol violation by the guest, which is to be treated as compromised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest's report is malformed")
    }
}

impl std::error::Error for Malformed {}

impl Screening {
    /// Reads what the guest has found in the source with this hash.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is no screening, or that of another source.
    pub fn read(bytes: &[u8], source_sha256: &str) -> Result<Self, Malformed> {
        let screening: Self = serde_json::from_slice(bytes).map_err(|_| Malformed)?;
        if screening.source_sha256 != source_sha256 {
            return Err(Malformed);
        }
        Ok(screening)
    }
}

impl Reply {
    /// Reads how the source with this hash ended; a value has at most `value_bytes` bytes of JSON,
    /// and `value_depth` levels.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is no reply, that of another source, or its value breaks the limits that
    /// the guest was told.
    pub fn read(
        bytes: &[u8],
        source_sha256: &str,
        value_bytes: u64,
        value_depth: u32,
    ) -> Result<Report<Value>, Malformed> {
        let reply: Self = serde_json::from_slice(bytes).map_err(|_| Malformed)?;
        if reply.source_sha256 != source_sha256 {
            return Err(Malformed);
        }
        Ok(match reply.report {
            Report::Raised(raised) => Report::Raised(raised),
            Report::Exited { status } => Report::Exited { status },
            Report::Completed { value } => Report::Completed {
                value: match value {
                    ReportedValue::Opaque { repr, reason } => Value::Opaque { repr, reason },
                    ReportedValue::Json(json) => {
                        let json = json.get();
                        let value = serde_json::from_str(json).map_err(|_| Malformed)?;
                        if json.len() as u64 > value_bytes || depth(&value) > value_depth {
                            return Err(Malformed);
                        }
                        Value::Json(value)
                    }
                },
            },
        })
    }
}

impl Globals {
    /// Reads a list of global variables.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is none, or longer than one can be.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let listed: Self = serde_json::from_slice(bytes).map_err(|_| Malformed)?;
        let is_short = |name: &str| name.len() <= GLOBAL_NAME_BYTES;
        let mut globals = listed.globals.iter();
        if listed.globals.len() > GLOBALS
            || !globals.all(|global| is_short(&global.name) && is_short(&global.type_name))
        {
            return Err(Malformed);
        }
        Ok(listed)
    }
}

/// The longest name of a MIME type, in bytes.
const MIME_BYTES: usize = 128;

impl Display {
    /// Reads what a script shows.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is no display, too long, or has other names than those of MIME types.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > DISPLAY_BYTES as usize {
            return Err(Malformed);
        }
        serde_json::from_slice(bytes).map_err(|_| Malformed)
    }
}

/// Reads the forms of a display, and no more than one can have.
pub(crate) fn forms<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    struct Forms;

    impl<'de> Visitor<'de> for Forms {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {DISPLAY_FORMS} forms by their MIME types")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut forms = BTreeMap::new();
            while let Some((mime, form)) = items.next_entry::<String, String>()? {
                let fits = forms.len() < DISPLAY_FORMS && is_mime_type(&mime);
                if !fits || forms.insert(mime, form).is_some() {
                    return Err(A::Error::custom("no form of a display"));
                }
            }
            Ok(forms)
        }
    }

    deserializer.deserialize_map(Forms)
}

/// Returns whether a text is the name of a MIME type: `image/svg+xml`.
pub fn is_mime_type(text: &str) -> bool {
    let is_name = |part: &str| {
        let mut chars = part.bytes();
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && chars.all(|char| char.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&char))
    };
    let parts = text.split_once('/');
    text.len() <= MIME_BYTES && parts.is_some_and(|(kind, name)| is_name(kind) && is_name(name))
}

impl ToolCall {
    /// Reads a call. Its arguments are any JSON: see [`strict_json`].
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is no call.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(bytes).map_err(|_| Malformed)
    }
}

/// Returns the depth of nesting of a value. The parser has bounded it to 128.
fn depth(value: &Json) -> u32 {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Parses JSON in which no key stands twice, at any depth: two readers of it can't disagree.
///
/// # Errors
///
/// If it is no JSON, or a key stands twice.
pub fn strict_json(json: &str) -> serde_json::Result<Json> {
    serde_json::from_str(json).map(|Strict(value)| value)
}

/// JSON in which no key stands twice.
struct Strict(Json);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Json, E> {
        Ok(bool.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Json, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("not a number"))?;
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(item))) = items.next_entry::<String, Strict>()? {
            if map.insert(key, item).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(map.into())
    }
}
