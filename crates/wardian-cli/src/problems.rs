//! Shows what is wrong with a text: the line, a caret, what to do.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use wardian::{
    outcome::{SourceRule, Violation},
    policy::Problems,
};

use crate::display::Escaper;
use crate::sources::Sources;
use crate::{exit, output};

/// Says on standard error what is wrong with a policy file, in colour where that is wanted.
pub(crate) fn show(problems: &Problems) {
    for problem in problems.iter() {
        let title = if problem.key.is_empty() {
            problem.message.clone()
        } else {
            format!("{}: {}", problem.key, problem.message)
        };
        let file = problem.at.file.to_string_lossy();
        let text = &problem.source.text;
        let help = problem.help.as_deref();
        let level = if problem.is_warning {
            Level::WARNING
        } else {
            Level::ERROR
        };
        say(level, &title, &file, text, problem.at.span.clone(), help);
    }
}

/// Says on standard error which rules a script and its modules break.
pub(crate) fn show_source(sources: &Sources, violations: &[Violation]) {
    for violation in violations {
        let (file, source) = sources.of(violation.module.as_deref());
        let start = offset(source, violation.line, violation.column);
        let end = offset(source, violation.end_line, violation.end_column);
        // The rest of a statement's line is enough to see where it went wrong.
        let line_end = source.get(start..).and_then(|rest| rest.find(['\n', '\r']));
        let end = end.min(line_end.map_or(source.len(), |length| start + length));
        if violation.rule == SourceRule::SourceBytes {
            exit::say(&format!("{file}: {}", violation.message));
            continue;
        }
        say(
            Level::ERROR,
            &violation.message,
            file,
            source,
            start..end,
            None,
        );
    }
}

fn say(
    level: Level<'_>,
    title: &str,
    file: &str,
    text: &str,
    span: Range<usize>,
    help: Option<&str>,
) {
    // What stands in a source can come from anybody. (The renderer escapes the text itself.)
    let plain = |text: &str| Escaper::default().push(text.as_bytes());
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    let snippet = Snippet::source(text)
        .path(plain(file))
        .annotation(AnnotationKind::Primary.span(start..end));
    let mut report = level.primary_title(plain(title)).element(snippet);
    if let Some(help) = help {
        report = report.element(Level::HELP.message(plain(help)));
    }
    output::say(&format!("{}\n", Renderer::styled().render(&[report])));
}

/// Finds a line and a column, both from 1, in a text. A line ends as Python's do.
fn offset(text: &str, line: u32, column: u32) -> usize {
    let mut start = 0;
    for _ in 1..line {
        let rest = text.get(start..).unwrap_or_default();
        let Some(end) = rest.find(['\n', '\r']) else {
            break;
        };
        let ending = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        start += end + ending;
    }
    let rest = text.get(start..).unwrap_or_default();
    let before = rest.chars().take(column.saturating_sub(1) as usize);
    start + before.map(char::len_utf8).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn lines_and_columns_are_found_again() {
        let text = "a\nöb\r\nc\rd";
        for (line, column, found) in [
            (1, 1, "a"),
            (2, 1, "ö"),
            (2, 2, "b"),
            (3, 1, "c"),
            (4, 1, "d"),
            (4, 2, ""),
            (9, 9, ""),
            (1, u32::MAX, ""),
        ] {
            let at = offset(text, line, column);
            assert!(text[at..].starts_with(found), "{line}:{column} {at}");
        }
    }
}
