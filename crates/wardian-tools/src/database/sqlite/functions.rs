//! SQLite's functions whose time grows with the product of two lengths, written so that it grows
//! with their sum: a statement can be stopped between two of its steps, and one of these is a step.

use std::collections::HashSet;

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

/// Replaces them on a connection.
pub(super) fn replace_slow(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, |context| with_both(context, instr))?;
    connection.create_scalar_function("replace", 3, flags, replace)?;
    connection.create_scalar_function("trim", 2, flags, |context| trim(context, true, true))?;
    connection.create_scalar_function("ltrim", 2, flags, |context| trim(context, true, false))?;
    connection.create_scalar_function("rtrim", 2, flags, |context| trim(context, false, true))?;
    connection.create_scalar_function("unhex", 2, flags, |context| with_both(context, unhex))
}

/// The bytes of a value as SQLite takes it for text; `None` for null.
fn bytes(value: ValueRef<'_>) -> Result<Option<Vec<u8>>> {
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        ValueRef::Real(_) => {
            let why = "a float is no text; write cast(x as text)";
            return Err(Error::UserFunctionError(why.into()));
        }
    })
}

fn text(value: ValueRef<'_>) -> Result<Option<String>> {
    let bytes = bytes(value)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Null if one of the two is.
fn with_both(
    context: &Context<'_>,
    function: fn(&Context<'_>, Vec<u8>, Vec<u8>) -> Value,
) -> Result<Value> {
    match (bytes(context.get_raw(0))?, bytes(context.get_raw(1))?) {
        (Some(one), Some(other)) => Ok(function(context, one, other)),
        _ => Ok(Value::Null),
    }
}

/// Finds the second in the first, from 1, in characters, or in bytes if both are blobs; 0 if it is
/// not there.
fn instr(context: &Context<'_>, whole: Vec<u8>, part: Vec<u8>) -> Value {
    let is_blob = |at| matches!(context.get_raw(at), ValueRef::Blob(_));
    let before = memmem::find(&whole, &part).and_then(|at| whole.get(..at));
    let is_start = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
    Value::Integer(before.map_or(0, |before| {
        let count = if is_blob(0) && is_blob(1) {
            before.len()
        } else {
            before.iter().filter(is_start).count()
        };
        i64::try_from(count + 1).unwrap_or(i64::MAX)
    }))
}

/// The first with every second replaced by the third.
fn replace(context: &mut Context<'_>) -> Result<Value> {
    let values = [0, 1, 2].map(|at| text(context.get_raw(at)));
    let [Some(whole), Some(part), Some(by)] = values.map(|value| value.transpose()) else {
        return Ok(Value::Null);
    };
    let (whole, part, by) = (whole?, part?, by?);
    if part.is_empty() {
        return Ok(Value::Text(whole));
    }
    let found = whole.matches(&part).count();
    let len = found.saturating_mul(by.len()).saturating_add(whole.len());
    // What is longer than any value may be is not made.
    if len > 2 * super::VALUE_BYTES {
        return Err(Error::UserFunctionError("a value is too long".into()));
    }
    Ok(Value::Text(whole.replace(&part, &by)))
}

/// The first without the characters of the second at its ends.
fn trim(context: &Context<'_>, start: bool, end: bool) -> Result<Value> {
    let (Some(whole), Some(characters)) = (text(context.get_raw(0))?, text(context.get_raw(1))?)
    else {
        return Ok(Value::Null);
    };
    let characters: HashSet<char> = characters.chars().collect();
    let is_trimmed = |character| characters.contains(&character);
    let mut trimmed = whole.as_str();
    if start {
        trimmed = trimmed.trim_start_matches(is_trimmed);
    }
    if end {
        trimmed = trimmed.trim_end_matches(is_trimmed);
    }
    Ok(Value::Text(trimmed.to_owned()))
}

/// The bytes that the first writes in hex, between characters of the second; null if it does not.
fn unhex(_: &Context<'_>, hex: Vec<u8>, ignored: Vec<u8>) -> Value {
    let hex = String::from_utf8_lossy(&hex).into_owned();
    let ignored: HashSet<char> = String::from_utf8_lossy(&ignored).chars().collect();
    let mut digits = hex.chars().peekable();
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    while let Some(high) = digits.next() {
        let Some(high) = high.to_digit(16) else {
            if ignored.contains(&high) {
                continue;
            } else {
                return Value::Null;
            }
        };
        let Some(low) = digits.next().and_then(|low| low.to_digit(16)) else {
            return Value::Null;
        };
        bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    Value::Blob(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite's own functions are the judge.
    #[test]
    fn they_say_what_sqlites_own_say() {
        let (ours, theirs) = (
            Connection::open_in_memory().unwrap(),
            Connection::open_in_memory().unwrap(),
        );
        replace_slow(&ours).unwrap();
        for sql in [
            "instr('aäb', 'b')",
            "instr('abc', '')",
            "instr('', 'a')",
            "instr('abc', 'x')",
            "instr(x'c3a462', x'62')",
            "instr('äb', x'62')",
            "instr(12345, 34)",
            "instr(null, 'a')",
            "instr('a', null)",
            "replace('aXbX', 'X', 'yy')",
            "replace('abc', '', 'x')",
            "replace('abc', 'b', null)",
            "replace(1212, 2, 3)",
            "trim('xxabcxy', 'xy')",
            "ltrim('xxabcxx', 'x')",
            "rtrim('äabcä', 'ä')",
            "trim('abc', '')",
            "trim(null, 'x')",
            "trim(1211, '1')",
            "unhex('41-42', '-')",
            "unhex('4-1', '-')",
            "unhex('414', '')",
            "unhex('', 'x')",
            "unhex('zz', 'x')",
        ] {
            let ask = |connection: &Connection| -> Value {
                let sql = format!("select {sql}");
                connection.query_row(&sql, [], |row| row.get(0)).unwrap()
            };
            assert_eq!(ask(&ours), ask(&theirs), "{sql}");
        }
    }
}
