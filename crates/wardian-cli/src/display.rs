//! Makes untrusted text safe to show on a terminal.
//!
//! A terminal obeys what it is shown: it can be made to change its title, its clipboard, what
//! stands on the line above. So control characters and those that reorder text are shown as
//! escapes. Only on a terminal: in a pipe or a file, a script's bytes are its own.

use wardian::audit::is_deceptive;

/// Escapes a stream of bytes that may be cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Escaper {
    /// The start of a character whose rest has not come yet.
    pending: Vec<u8>,
}

impl Escaper {
    /// Escapes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.pending);
        let mut shown = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            chunk
                .valid()
                .chars()
                .for_each(|char| show(char, &mut shown));
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_unfinished(invalid) {
                self.pending = invalid.to_vec();
            } else {
                invalid
                    .iter()
                    .for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
            }
        }
        shown
    }
}

/// May more bytes make a character of these? `utf8_chunks` has made sure that they could start
/// one, unless they are wrong on their own.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn show(char: char, shown: &mut String) {
    match char {
        '\n' | '\t' => shown.push(char),
        '\0'..='\x1f' | '\x7f' => shown.push_str(&format!("\\x{:02x}", u32::from(char))),
        char if is_deceptive(char) => shown.extend(char.escape_unicode()),
        _ => shown.push(char),
    }
}

#[cfg(test)]
mod tests {
    use super::Escaper;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (bytes, shown) in [
            ("plain\ttext\n".as_bytes(), "plain\ttext\n"),
            ("größe 👩‍🚀".as_bytes(), "größe 👩‍🚀"),
            (b"\x1b]0;pwned\x07", "\\x1b]0;pwned\\x07"),
            (b"\x1b[2J\r\x7f", "\\x1b[2J\\x0d\\x7f"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            (b"\x9b31m", "\\x9b31m"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            (b"\xff\xfe", "\\xff\\xfe"),
        ] {
            assert_eq!(Escaper::default().push(bytes), shown);
            // Byte by byte it is the same.
            let mut escaper = Escaper::default();
            let whole: String = bytes.iter().map(|byte| escaper.push(&[*byte])).collect();
            assert_eq!(whole, shown);
        }
    }
}
