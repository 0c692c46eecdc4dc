//! Values of PostgreSQL as Python's, exactly, both ways. They cross as text, which every type has
//! and which says all of it; what Python has no type for arrives as that text, or is refused by its
//! column's name.

use std::error::Error;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};
use wardian::tool::exact;

/// The forms in which the server writes values, whatever its settings.
pub(super) const FORMS: &str = "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; \
    SET bytea_output = 'hex'; SET extra_float_digits = 1; SET client_encoding = 'UTF8'; \
    SET standard_conforming_strings = on";

/// The deepest nesting of arrays, as PostgreSQL has it.
const DIMENSIONS: usize = 6;

/// A value of a column, given its text; or why it can't be one.
pub(super) fn read(ty: &Type, text: &str) -> Result<Value, String> {
    match ty.kind() {
        Kind::Domain(of) => return read(of, text),
        Kind::Array(of) if *of != Type::BOX => return array(of, text),
        _ => {}
    }
    let other = || format!("is {text:?}, which Python has no {} for", python(ty));
    let tagged = |tag: &str, text: Option<String>| {
        let text = text.ok_or_else(other)?;
        Ok(exact::tagged(tag, text))
    };
    Ok(match *ty {
        Type::BOOL => (text == "t").into(),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
            let number: i64 = text.parse().map_err(|_| other())?;
            number.into()
        }
        Type::FLOAT4 | Type::FLOAT8 => exact::float(text.parse().map_err(|_| other())?),
        Type::NUMERIC => exact::tagged("$decimal", text),
        Type::DATE => return tagged("$date", is_plain(text).then(|| text.to_owned())),
        Type::TIME | Type::TIMETZ => return tagged("$time", time(text)),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let parts = text.split_once(' ').filter(|(date, _)| is_plain(date));
            let text = parts.and_then(|(date, at)| Some(format!("{date}T{}", time(at)?)));
            return tagged("$datetime", text);
        }
        Type::INTERVAL => return tagged("$timedelta", interval(text)),
        Type::UUID => exact::tagged("$uuid", text),
        Type::BYTEA => {
            let bytes = text.strip_prefix("\\x").and_then(unhex);
            return tagged("$bytes", bytes.map(|bytes| BASE64_STANDARD.encode(bytes)));
        }
        Type::JSON | Type::JSONB => {
            let json = exact::whole_integers(exact::escape_json(text.to_owned()));
            serde_json::from_str(&json)
                .map_err(|error| format!("is no JSON that can be passed on: {error}"))?
        }
        _ => text.into(),
    })
}

/// Names what is missing in Python where a value of this type can't be one.
fn python(ty: &Type) -> &'static str {
    match *ty {
        Type::DATE => "date",
        Type::TIME | Type::TIMETZ => "time",
        Type::TIMESTAMP | Type::TIMESTAMPTZ => "datetime",
        Type::INTERVAL => "timedelta",
        _ => "value",
    }
}

/// Returns whether this is a date of four digits and two of two: not infinity, not before Christ,
/// not after the year 9999.
fn is_plain(date: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    date.len() == 10 && date.bytes().enumerate().all(form)
}

/// A time with its zone as ISO 8601 has it: `21:00:00.5+02` is `21:00:00.500000+02:00`.
fn time(text: &str) -> Option<String> {
    let end = text.find(['+', '-']).unwrap_or(text.len());
    let (time, zone) = text.split_at(end);
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':')
    };
    // 24:00:00 is a time in PostgreSQL.
    let is_time = seconds.len() == 8 && digits(seconds) && !seconds.starts_with("24");
    if !is_time || fraction.len() > 6 || !digits(fraction) {
        return None;
    }
    let fraction = match fraction {
        "" => String::new(),
        fraction => format!(".{fraction:0<6}"),
    };
    let zone = match zone.len() {
        0 | 6 | 9 => zone.to_owned(),
        3 => format!("{zone}:00"),
        _ => return None,
    };
    Some(format!("{seconds}{fraction}{zone}"))
}

/// An interval without months, which have no length: `1 day -02:03:04.5`.
fn interval(text: &str) -> Option<String> {
    let mut days: i64 = 0;
    let mut micros: i64 = 0;
    let mut parts = text.split(' ');
    while let Some(part) = parts.next() {
        if part.contains(':') {
            let (sign, part) = match part.strip_prefix('-') {
                Some(part) => (-1, part),
                None => (1, part.strip_prefix('+').unwrap_or(part)),
            };
            let mut numbers = part.splitn(3, ':');
            let mut whole = || numbers.next()?.parse::<i64>().ok();
            let (hours, minutes) = (whole()?, whole()?);
            let seconds = numbers.next()?;
            let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
            let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
            let seconds = hours
                .checked_mul(3600)?
                .checked_add(minutes * 60)?
                .checked_add(seconds.parse().ok()?)?;
            micros = sign * seconds.checked_mul(1_000_000)?.checked_add(fraction)?;
            continue;
        }
        let number: i64 = part.parse().ok()?;
        match parts.next()? {
            "day" | "days" => days = number,
            // A month, a year.
            _ if number == 0 => {}
            _ => return None,
        }
    }
    // As Python has it: all but days is positive, and less than a day.
    const DAY: i64 = 86_400_000_000;
    let days = days.checked_add(micros.div_euclid(DAY))?;
    let rest = micros.rem_euclid(DAY);
    let in_python = (-999_999_999..=999_999_999).contains(&days);
    in_python.then(|| format!("{days}d {}.{:06}s", rest / 1_000_000, rest % 1_000_000))
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let bytes = pairs.iter().map(byte).collect::<Option<Vec<_>>>()?;
    rest.is_empty().then_some(bytes)
}

/// An array as lists: `{1,NULL,"a\\"b"}`, `[0:1]={1,2}`.
fn array(of: &Type, text: &str) -> Result<Value, String> {
    let start = text.find('{').unwrap_or(text.len());
    let mut rest = text.get(start..).unwrap_or_default().chars().peekable();
    let malformed = || format!("is {text:?}, which is no array");
    let value = elements(of, &mut rest, DIMENSIONS)?.ok_or_else(malformed)?;
    match rest.next() {
        None => Ok(value),
        Some(_) => Err(malformed()),
    }
}

type Rest<'t> = std::iter::Peekable<std::str::Chars<'t>>;

/// The elements between two braces; `None` if they are not written as they should be.
fn elements(of: &Type, rest: &mut Rest<'_>, depth: usize) -> Result<Option<Value>, String> {
    if rest.next() != Some('{') || depth == 0 {
        return Ok(None);
    }
    let mut items = Vec::new();
    if rest.next_if_eq(&'}').is_some() {
        return Ok(Some(items.into()));
    }
    loop {
        let item = match rest.peek() {
            Some('{') => elements(of, rest, depth - 1)?,
            _ => match element(rest) {
                Some((text, false)) if text == "NULL" => Some(Value::Null),
                Some((text, _)) => Some(read(of, &text)?),
                None => None,
            },
        };
        let Some(item) = item else { return Ok(None) };
        items.push(item);
        match rest.next() {
            Some(',') => {}
            Some('}') => return Ok(Some(items.into())),
            _ => return Ok(None),
        }
    }
}

/// One element, and whether it is quoted.
fn element(rest: &mut Rest<'_>) -> Option<(String, bool)> {
    let quoted = rest.next_if_eq(&'"').is_some();
    let mut text = String::new();
    loop {
        match *rest.peek()? {
            '"' if quoted => {
                rest.next();
                return Some((text, true));
            }
            ',' | '}' if !quoted => return Some((text, false)),
            '\\' => {
                rest.next();
                text.push(rest.next()?);
            }
            char => {
                rest.next();
                text.push(char);
            }
        }
    }
}

/// A parameter, as the type that the statement gives it.
#[derive(Debug)]
pub(super) struct Param<'v>(pub(super) &'v Value);

type SqlError = Box<dyn Error + Sync + Send>;

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        match write(ty, self.0)? {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Checks that a parameter can be passed as a type; says why not, if not.
pub(super) fn check(ty: &Type, value: &Value) -> Result<(), String> {
    write(ty, value).map(drop)
}

fn is_text(ty: &Type) -> bool {
    [
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
    ]
    .contains(ty)
}

/// A parameter as text; `None` for null.
fn write(ty: &Type, value: &Value) -> Result<Option<String>, String> {
    if let Kind::Domain(of) = ty.kind() {
        return write(of, value);
    }
    if [Type::JSON, Type::JSONB].contains(ty) && !value.is_string() && !value.is_null() {
        let plain = exact::unescape(value.clone());
        let plain = plain.map_err(|tag| refused(ty, tag.trim_start_matches('$')))?;
        return Ok(Some(plain.to_string()));
    }
    let text = match value {
        Value::Null => return Ok(None),
        Value::Bool(_) if is_text(ty) => return Err(refused(ty, "bool")),
        Value::Number(_) if is_text(ty) => return Err(refused(ty, "number")),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => match ty.kind() {
            Kind::Array(of) => {
                let items = items.iter().map(|item| write_element(of, ty, item));
                format!("{{{}}}", items.collect::<Result<Vec<_>, _>>()?.join(","))
            }
            _ => return Err(refused(ty, "list")),
        },
        Value::Object(_) => match exact::tag(value) {
            Some((tag, Value::String(text))) => tagged(ty, tag, text)?,
            _ => return Err(refused(ty, "dict")),
        },
    };
    if text.contains('\0') {
        Err("is a text with a NUL, which PostgreSQL does not have".to_owned())
    } else {
        Ok(Some(text))
    }
}

fn refused(ty: &Type, what: &str) -> String {
    format!(
        "is a {what}, which can't be passed as {ty}; pass str(x), or cast the parameter: $1::text"
    )
}

fn tagged(ty: &Type, tag: &str, text: &str) -> Result<String, String> {
    let name = tag.trim_start_matches('$');
    if is_text(ty) {
        return Err(refused(ty, name));
    }
    Ok(match tag {
        "$bytes" => {
            let bytes = BASE64_STANDARD.decode(text);
            let bytes = bytes.map_err(|_| refused(ty, name))?;
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            match *ty {
                Type::BYTEA => format!("\\x{hex}"),
                _ => return Err(refused(ty, name)),
            }
        }
        "$float" => match text {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            _ => "NaN".to_owned(),
        },
        "$timedelta" => {
            let (days, seconds) = text.split_once("d ").unwrap_or(("0", text));
            format!("{days} days {} seconds", seconds.trim_end_matches('s'))
        }
        "$date" | "$time" | "$datetime" | "$decimal" | "$int" | "$uuid" => text.to_owned(),
        _ => return Err(refused(ty, name)),
    })
}

fn write_element(of: &Type, array: &Type, item: &Value) -> Result<String, String> {
    if item.is_array() {
        // The next dimension.
        return Ok(write(array, item)?.unwrap_or_default());
    }
    Ok(match write(of, item)? {
        None => "NULL".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_values() {
        for (ty, text, value) in [
            (Type::BOOL, "t", json!(true)),
            (Type::INT8, "-9223372036854775808", json!(i64::MIN)),
            (Type::FLOAT8, "-Infinity", json!({"$float": "-inf"})),
            (Type::FLOAT8, "0.1", json!(0.1)),
            (Type::NUMERIC, "1.50", json!({"$decimal": "1.50"})),
            (Type::DATE, "2026-11-25", json!({"$date": "2026-11-25"})),
            (Type::TIME, "21:00:00", json!({"$time": "21:00:00"})),
            (
                Type::TIMETZ,
                "21:00:00.5+02",
                json!({"$time": "21:00:00.500000+02:00"}),
            ),
            (
                Type::TIMESTAMPTZ,
                "2026-11-25 21:00:00.000001+00",
                json!({"$datetime": "2026-11-25T21:00:00.000001+00:00"}),
            ),
            (
                Type::INTERVAL,
                "-1 days +02:03:04.5",
                json!({"$timedelta": "-1d 7384.500000s"}),
            ),
            (
                Type::INTERVAL,
                "-00:00:01",
                json!({"$timedelta": "-1d 86399.000000s"}),
            ),
            (
                Type::INTERVAL,
                "00:00:00",
                json!({"$timedelta": "0d 0.000000s"}),
            ),
            (Type::BYTEA, "\\xff00", json!({"$bytes": "/wA="})),
            (
                Type::JSONB,
                r#"{"$int": 1, "n": 12345678901234567890123}"#,
                json!({"$int": 1, "n": {"$int": "12345678901234567890123"}}),
            ),
            (
                Type::JSON,
                r#"{"$int": "1"}"#,
                json!({"$object": {"$int": "1"}}),
            ),
            (
                Type::INT4_ARRAY,
                "{{1,NULL},{3,4}}",
                json!([[1, null], [3, 4]]),
            ),
            (
                Type::TEXT_ARRAY,
                r#"[0:2]={a,"NULL","b\",\\"}"#,
                json!(["a", "NULL", "b\",\\"]),
            ),
            (Type::TEXT_ARRAY, "{}", json!([])),
            (Type::INET, "10.0.0.1/8", json!("10.0.0.1/8")),
        ] {
            assert_eq!(read(&ty, text), Ok(value), "{ty} {text}");
        }
        for (ty, text) in [
            (Type::DATE, "infinity"),
            (Type::DATE, "0044-03-15 BC"),
            (Type::DATE, "10000-01-01"),
            (Type::TIME, "24:00:00"),
            (Type::TIMESTAMP, "-infinity"),
            (Type::INTERVAL, "1 mon"),
            (Type::INTERVAL, "1 year 2 mons"),
            (Type::INT4_ARRAY, "{1"),
        ] {
            assert!(read(&ty, text).is_err(), "{ty} {text}");
        }
    }

    #[test]
    fn values_are_texts() {
        for (ty, value, text) in [
            (Type::INT4, json!(7), "7"),
            (Type::NUMERIC, json!({"$decimal": "1.50"}), "1.50"),
            (
                Type::NUMERIC,
                json!({"$int": "99999999999999999999"}),
                "99999999999999999999",
            ),
            (Type::FLOAT8, json!({"$float": "inf"}), "Infinity"),
            (
                Type::INTERVAL,
                json!({"$timedelta": "-1d 7384.500000s"}),
                "-1 days 7384.500000 seconds",
            ),
            (Type::BYTEA, json!({"$bytes": "/wA="}), "\\xff00"),
            (
                Type::TEXT_ARRAY,
                json!(["a\"b\\", null]),
                r#"{"a\"b\\",NULL}"#,
            ),
            (Type::INT4_ARRAY, json!([[1], [2]]), r#"{{"1"},{"2"}}"#),
            (
                Type::JSONB,
                json!({"a": {"$object": {"$b": 1}}}),
                r#"{"a":{"$b":1}}"#,
            ),
        ] {
            assert_eq!(
                write(&ty, &value),
                Ok(Some(text.to_owned())),
                "{ty} {value}"
            );
        }
        for (ty, value) in [
            (Type::TEXT, json!(5)),
            (Type::TEXT, json!({"$decimal": "1"})),
            (Type::INT4, json!([1])),
            (Type::INT4, json!({"a": 1})),
            (Type::TEXT, json!({"$bytes": "/wA="})),
            (Type::TEXT, json!("a\0b")),
            (Type::JSON, json!([{"$decimal": "1"}])),
        ] {
            assert!(write(&ty, &value).is_err(), "{ty} {value}");
        }
    }
}
