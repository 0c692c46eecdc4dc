//! Shows what is wrong with a policy file: the line, a caret, what to do.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use wardian::{Problem, Problems};

/// Says all of it on standard error, in colour where that is wanted.
pub(crate) fn show(problems: &Problems) {
    for problem in problems.iter() {
        anstream::eprintln!("{}\n", render(problem));
    }
}

fn render(problem: &Problem) -> String {
    let Problem {
        source,
        at,
        key,
        message,
        help,
        ..
    } = problem;
    let title = match key.is_empty() {
        true => message.clone(),
        false => format!("{key}: {message}"),
    };
    let file = at.file.to_string_lossy();
    // An empty span would have no caret, and one past the end no line.
    let end = source.text.len();
    let start = at.span.start.min(end);
    let span = start..at.span.end.clamp(start, end);
    let snippet = Snippet::source(&*source.text)
        .path(file)
        .annotation(AnnotationKind::Primary.span(span));
    let mut report = Level::ERROR.primary_title(title).element(snippet);
    if let Some(help) = help {
        report = report.element(Level::HELP.message(help));
    }
    Renderer::styled().render(&[report])
}
