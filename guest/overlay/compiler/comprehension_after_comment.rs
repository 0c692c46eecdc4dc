//! Crate: rustpython-compiler 0.6.0
//! File: src/lib.rs
//! Item: unparenthesized_comprehension = 5ff56476a13de6d7
//! Test: tests/python/comments_in_calls.py
//!
//! Reason: `f(a=1  # for now` with the parenthesis on the next line was a SyntaxError.
//!
//! Upstream: A comment with the word "for" after a keyword argument is taken for a comprehension
//!
//! `unparenthesized_comprehension` looks for `for` up to the end of the argument, also in comments, so that valid calls are
//! refused with "invalid syntax. Maybe you meant '==' or ':=' instead of '='?".

/// Whether an argument, whose value begins at `index`, goes on with the `for` of a comprehension.
fn unparenthesized_comprehension(bytes: &[u8], index: usize) -> bool {
    let start = next_non_horizontal_whitespace(bytes, index);
    let (mut at, mut open) = (start, 0usize);
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'#' => {
                let rest = bytes[at..].iter().position(|byte| *byte == b'\n');
                rest.map_or(bytes.len(), |length| at + length)
            }
            b'\'' | b'"' => skip_quoted_string(bytes, at),
            b'(' | b'[' | b'{' => {
                open += 1;
                at + 1
            }
            b')' | b']' | b'}' | b',' | b':' if open == 0 => return false,
            b')' | b']' | b'}' => {
                open -= 1;
                at + 1
            }
            _ if open == 0 && at > start && starts_identifier(bytes, at, b"for") => return true,
            _ => at + 1,
        };
    }
    false
}
