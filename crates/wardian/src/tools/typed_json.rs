//! JSON read as a type, with errors that tell a wrong type from a wrong value, as Python does.

use std::fmt;

use serde::de::value::{
    MapAccessDeserializer, MapDeserializer, SeqDeserializer, StringDeserializer,
};
use serde::de::{Deserializer, Error, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value;

/// A mistake in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Set if a field is missing, unknown or twice there, or has another type.
    pub(super) is_type: bool,
    pub(super) message: String,
}

impl Mistake {
    fn of_type(message: String) -> Self {
        Self {
            is_type: true,
            message,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            is_type: false,
            message: message.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit => "None".to_owned(),
            found => found.to_string(),
        };
        Self::of_type(format!("invalid type: {found}, expected {expected}"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::of_type(format!("there is no field `{field}`"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of_type(format!("missing argument `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of_type(format!("the field `{field}` is given twice"))
    }
}

/// A value to read.
pub(super) struct Json(pub(super) Value);

impl<'de> IntoDeserializer<'de, Mistake> for Json {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The entries of an object.
fn entries(
    object: serde_json::Map<String, Value>,
) -> MapDeserializer<'static, impl Iterator<Item = (String, Json)>, Mistake> {
    MapDeserializer::new(object.into_iter().map(|(key, value)| (key, Json(value))))
}

impl<'de> Deserializer<'de> for Json {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(bool) => visitor.visit_bool(bool),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Json));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(object) => {
                let mut entries = entries(object);
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(StringDeserializer::<Mistake>::new(text)),
            Value::Object(object) => {
                visitor.visit_enum(MapAccessDeserializer::new(entries(object)))
            }
            other => Json(other).deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
