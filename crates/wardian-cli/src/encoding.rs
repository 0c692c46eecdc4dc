//! The encoding of a Python source: UTF-8, unless a comment in its first two lines names another
//! one (PEP 263).

use encoding_rs::Encoding;

/// The text of a source, or why it is none.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let Some(name) = declared(&bytes) else {
        return String::from_utf8(bytes).map_err(|error| {
            if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = error.as_bytes() {
                return "is UTF-16; save it as UTF-8".to_owned();
            }
            let at = error.utf8_error().valid_up_to();
            format!("is not UTF-8: byte {at} belongs to no character; save it as UTF-8")
        });
    };
    // Python's names have either sign; labels have the one.
    let label = name.to_ascii_lowercase().replace('_', "-");
    // The web takes Latin-1 for an encoding of Windows. Python does not.
    if matches!(
        &*label,
        "latin-1" | "latin1" | "l1" | "iso-8859-1" | "iso8859-1"
    ) {
        return Ok(bytes.into_iter().map(char::from).collect());
    }
    let Some(encoding) = Encoding::for_label(label.as_bytes()) else {
        return Err(format!(
            "says that it is in `{name}`, which is not known here; save it as UTF-8"
        ));
    };
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes);
    text.map(Into::into)
        .ok_or_else(|| format!("says that it is in `{name}`, and is not; save it as UTF-8"))
}

/// The encoding that a comment names.
fn declared(bytes: &[u8]) -> Option<String> {
    for line in bytes.split(|byte| *byte == b'\n').take(2) {
        let line = line.trim_ascii_start();
        let Some(comment) = line.strip_prefix(b"#") else {
            // Only a line without code is before the comment.
            if line.is_empty() {
                continue;
            }
            return None;
        };
        let comment = String::from_utf8_lossy(comment);
        for (at, word) in comment.match_indices("coding") {
            let rest = comment.get(at + word.len()..).unwrap_or_default();
            let Some(rest) = rest.strip_prefix([':', '=']) else {
                continue;
            };
            let is_part =
                |part: char| part.is_ascii_alphanumeric() || matches!(part, '-' | '_' | '.');
            let rest = rest.trim_start_matches([' ', '\t']);
            let end = rest.find(|part| !is_part(part)).unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            if !name.is_empty() {
                return Some(name.to_owned());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_comment_names_the_encoding() {
        for (bytes, text) in [
            (&b"x = 1"[..], Ok("x = 1")),
            (
                b"# coding: latin-1\nx = '\xe9'",
                Ok("# coding: latin-1\nx = 'é'"),
            ),
            (
                b"#!/x\n# -*- coding: ISO_8859_1 -*-\n\xe9",
                Ok("#!/x\n# -*- coding: ISO_8859_1 -*-\né"),
            ),
            (
                b"# vim: set fileencoding=cp1251 :\n\xe9",
                Ok("# vim: set fileencoding=cp1251 :\nй"),
            ),
            (b"\n# coding=utf-8\n\xc3\xa9", Ok("\n# coding=utf-8\né")),
            // Not in the first two lines, and not in a comment.
            (b"\n\n# coding: latin-1\n", Ok("\n\n# coding: latin-1\n")),
            (b"x\n# coding: klingon\n", Ok("x\n# coding: klingon\n")),
            (
                b"# coding: klingon\n",
                Err("says that it is in `klingon`, which is not known here; save it as UTF-8"),
            ),
            (
                b"# coding: utf-8\n\xe9",
                Err("says that it is in `utf-8`, and is not; save it as UTF-8"),
            ),
            (
                b"\xe9",
                Err("is not UTF-8: byte 0 belongs to no character; save it as UTF-8"),
            ),
            (b"\xff\xfea\0", Err("is UTF-16; save it as UTF-8")),
        ] {
            let decoded = decode(bytes.to_vec());
            assert_eq!(decoded.as_deref().map_err(|error| &**error), text);
        }
    }
}
