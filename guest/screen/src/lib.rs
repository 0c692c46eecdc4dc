//! Does this source break the code profile?
//!
//! Reads the tree of the parser that the interpreter itself uses, so there is one grammar. It is
//! built into the guest and runs there: a parser of hostile text overflows its stack, which ends
//! a guest and would end a host. Natively it is for tests.
//!
//! What it finds is what is written out: `import os`, `eval(x)`, an alias of either. What a script
//! works out at run time it can't see, and nothing relies on it: the boundary is WebAssembly.
//!
//! ```
//! use wardian_abi::ScreenRules;
//!
//! let mut rules = ScreenRules::default();
//! rules.forbidden_imports.extend(["os".to_owned()]);
//! let violations = wardian_screen::screen("import math\nfrom os import path", &rules);
//! assert_eq!(violations[0].message, "Forbidden import: os");
//! assert_eq!((violations[0].line, violations[0].column), (2, 6));
//! ```

mod bindings;
mod rules;

use rustpython_parser::{Mode, ParseOptions};
use rustpython_source_file::{LineIndex, PositionEncoding};
use rustpython_text_size::{TextRange, TextSize};
use wardian_abi::{ScreenRules, SourceRule, VIOLATIONS, Violation};

/// The longest text that is quoted of a violation, in bytes.
const QUOTED_BYTES: usize = 200;

/// Every rule that `source` breaks, in the order of the source; the first
/// [`VIOLATIONS`] of them.
///
/// Source that does not parse breaks one rule, [`Syntax`](SourceRule::Syntax): nothing is known of
/// the rest.
pub fn screen(source: &str, rules: &ScreenRules) -> Vec<Violation> {
    let position = Positions::new(source);
    let parsed = match rustpython_parser::parse(source, ParseOptions::from(Mode::Module)) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = format!("Syntax error: {}", error.error);
            return vec![position.violation(SourceRule::Syntax, message, error.location)];
        }
    };
    let mut found = rules::Found::new(rules);
    found.read(parsed.syntax());
    let mut broken = found.broken;
    broken.sort_by_key(|(_, _, range)| (range.start(), range.end()));
    broken.dedup();
    broken.truncate(VIOLATIONS);
    let violations = broken.into_iter();
    violations
        .map(|(rule, message, range)| position.violation(rule, message, range))
        .collect()
}

/// Turns offsets into lines and columns.
struct Positions<'s> {
    source: &'s str,
    lines: LineIndex,
}

impl<'s> Positions<'s> {
    fn new(source: &'s str) -> Self {
        Self {
            source,
            lines: LineIndex::from_source_text(source),
        }
    }

    fn violation(&self, rule: SourceRule, message: String, range: TextRange) -> Violation {
        let (line, column) = self.of(range.start());
        let (end_line, end_column) = self.of(range.end());
        let text = self.source.get(range.start().into()..range.end().into());
        let text = text.unwrap_or_default();
        Violation {
            rule,
            message,
            line,
            column,
            end_line,
            end_column,
            text: text[..text.floor_char_boundary(QUOTED_BYTES)].to_owned(),
            module: None,
        }
    }

    fn of(&self, offset: TextSize) -> (u32, u32) {
        let end = TextSize::of(self.source);
        let at = self
            .lines
            .source_location(offset.min(end), self.source, PositionEncoding::Utf32);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (number(at.line.get()), number(at.character_offset.get()))
    }
}
