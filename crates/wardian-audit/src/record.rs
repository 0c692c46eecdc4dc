//! A record: one line of JSON, and how it hangs on the one before.

use std::cell::Cell;
use std::io;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

use crate::{Data, Entry, Event, SessionCall};

/// The version of the form of records.
pub const VERSION: u32 = 1;

/// The end of every line, but for the hash itself.
const HASH: [&str; 2] = [",\"hash\":\"", "\"}\n"];

/// The length of a hash, in hex.
const HASH_LEN: usize = 64;

/// The head of a chain: the facts of one record that the next one has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The count of records.
    pub records: u64,
    /// The hash of the last of them, in hex; zeros if there is none.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            records: 0,
            hash: "0".repeat(HASH_LEN),
        }
    }
}

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Record {
    /// [`VERSION`].
    pub v: u32,
    /// Its number in the log, from 0.
    pub seq: u64,
    /// When, by the host's clock: RFC 3339, in UTC.
    pub ts: String,
    /// The run.
    pub run: String,
    /// The agent of the policy.
    pub agent: String,
    /// The call of a session that the run is, if it is one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionCall>,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// The words of a script or a tool.
    #[serde(default)]
    pub data: Data,
    /// The hash of the record before, in hex.
    pub prev: String,
    /// SHA-256 of this line up to here, in hex.
    pub hash: String,
}

/// A record before it has a hash.
#[derive(Serialize)]
struct Unsealed<'a> {
    v: u32,
    seq: u64,
    ts: &'a str,
    run: &'a str,
    agent: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    session: Option<&'a SessionCall>,
    #[serde(flatten)]
    event: &'a Event,
    data: &'a Data,
    prev: &'a str,
}

/// A record on its way to a chain, with its time, redacted and cut.
#[derive(Debug)]
pub struct Draft<'a> {
    entry: &'a Entry<'a>,
    ts: String,
    data: Data,
    written: Cell<u64>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(entry: &'a Entry<'a>) -> Self {
        Self {
            entry,
            ts: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
            data: entry.data.clone().kept(),
            written: Cell::new(0),
        }
    }

    /// Returns whether the record has to outlive a loss of power.
    pub fn is_durable(&self) -> bool {
        self.entry.event.is_durable()
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Writes the record as the line that follows `head`, its end included, and returns where the
    /// chain then stands.
    ///
    /// # Errors
    ///
    /// If it can't be written as JSON.
    pub fn line(&self, head: &Head) -> io::Result<(String, Head)> {
        let record = Unsealed {
            v: VERSION,
            seq: head.records,
            ts: &self.ts,
            run: self.entry.run,
            agent: self.entry.agent,
            session: self.entry.session,
            event: &self.entry.event,
            data: &self.data,
            prev: &head.hash,
        };
        let mut line = Vec::with_capacity(1024);
        record.serialize(&mut serde_json::Serializer::with_formatter(
            &mut line, Escaping,
        ))?;
        // The closing brace comes after the hash.
        line.pop();
        let mut line = String::from_utf8(line).map_err(io::Error::other)?;
        let hash = wardian_abi::sha256(&line);
        let [before, after] = HASH;
        line.extend([before, &hash, after]);
        self.written.set(line.len() as u64);
        let next = Head {
            records: head.records + 1,
            hash,
        };
        Ok((line, next))
    }
}

/// The record in a line, if the line is as it was written.
pub(crate) fn unseal(line: &str) -> Result<Record, &'static str> {
    let [before, after] = HASH;
    let sealed = line
        .strip_suffix(after)
        .ok_or("it is cut off, or does not end with its hash")?;
    let at = sealed
        .len()
        .checked_sub(HASH_LEN + before.len())
        .filter(|at| sealed.is_char_boundary(*at))
        .ok_or("it does not end with its hash")?;
    let (text, tail) = sealed.split_at(at);
    let hash = tail
        .strip_prefix(before)
        .ok_or("it does not end with its hash")?;
    if wardian_abi::sha256(text) != hash {
        return Err("its hash is not that of its text: it was changed");
    }
    let record: Record =
        serde_json::from_str(line).map_err(|_| "this version does not know its form")?;
    match record.v {
        VERSION => Ok(record),
        _ => Err("it is a record of another version"),
    }
}

/// JSON without any character that a terminal, an editor or a log viewer would act upon.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_deceptive) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            for unit in chars.next().into_iter().flat_map(utf16) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

fn utf16(char: char) -> impl Iterator<Item = u16> {
    let mut units = [0; 2];
    let len = char.encode_utf16(&mut units).len();
    units.into_iter().take(len)
}

/// Is this a control character, or one that reorders, hides or breaks text? Such are shown as
/// escapes: a terminal obeys them, and a reader is deceived.
pub const fn is_deceptive(char: char) -> bool {
    matches!(
        char,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(path: &str) -> String {
        let entry = Entry {
            run: "r",
            session: None,
            agent: "a",
            event: Event::Rejected { violations: 1 },
            data: Data {
                path: Some(path.to_owned()),
                ..Data::default()
            },
        };
        Draft::new(&entry).line(&Head::default()).unwrap().0
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let hostile = "a\n{\"event\":\"tool_started\"}\r\u{85}\u{2028}\u{2029}\0\x1b]0;x\x07\u{9b}2J\u{202e}\u{200b}\u{e0041}é\"\\";
        let line = sealed(hostile);
        assert_eq!(line.matches('\n').count(), 1);
        let content = line.trim_end_matches('\n');
        assert!(!content.contains(is_deceptive), "{content}");
        assert_eq!(unseal(&line).unwrap().data.path.as_deref(), Some(hostile));
    }

    #[test]
    fn no_byte_can_be_another() {
        let line = sealed("/in/x");
        assert!(unseal(&line).is_ok());
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut bytes = line.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes);
                assert!(
                    changed.is_err() || unseal(&changed.unwrap()).is_err(),
                    "{at} {bit}"
                );
            }
        }
    }
}
