//! The report as a page: one file, which loads nothing and runs nothing, for screens of any width
//! and for paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::report::{Attempt, Grade, Report, RowReport};
use crate::row::Class;

/// The policy of the page: it may be shown. Hostile code has chosen some of the words in it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("report.css");

/// The meaning of each grade, for readers who have not seen the suite.
fn meaning(grade: Grade) -> &'static str {
    match grade {
        Grade::Safe => "The hostile code got nothing, and ended in a way that is expected of it.",
        Grade::Unexpected => {
            "The hostile code got nothing, but ended in another way than expected, for example by another exception."
        }
        Grade::Unsafe => {
            "The hostile code got, changed or left something, or a benign twin did not work, so that its row \
             proves nothing."
        }
        Grade::NotApplicable => {
            "The row was not tried: it means nothing under this policy, or can't be tried by a program."
        }
    }
}

fn class(grade: Grade) -> &'static str {
    match grade {
        Grade::Safe => "safe",
        Grade::Unexpected => "unexpected",
        Grade::Unsafe => "unsafe",
        Grade::NotApplicable => "not-tried",
    }
}

impl Report {
    /// Renders the report as one HTML file, which loads nothing.
    pub fn html(&self) -> String {
        page(self)
    }
}

fn page(report: &Report) -> String {
    let subject = &report.subject;
    let verdict = if report.is_safe() {
        Grade::Safe
    } else {
        Grade::Unsafe
    };
    let title = match (report.count(Grade::Unsafe), report.is_safe()) {
        (0, true) => "no unsafe row".to_owned(),
        (0, false) => "nothing was tried".to_owned(),
        (rows, _) => format!("{rows} unsafe"),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_SECURITY_POLICY);
                title { "wardian attack: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Hostile code, tried on a policy" }
                p class={ "verdict " (class(verdict)) } { (report.summary()) "." }
                @if !report.not_tried().is_empty() {
                    ul {
                        @for (reason, rows) in report.not_tried() {
                            li { (rows.len()) " not tried: " (escape(reason)) " (" (rows.join(", ")) ")" }
                        }
                    }
                }
                h2 { "What was attacked" }
                (facts(report))
                details {
                    summary { "The policy: everything that it grants and limits" }
                    pre { (pretty(&subject.policy)) }
                }
                h2 { "What came of it" }
                (chart(report))
                dl {
                    @for grade in Grade::ALL {
                        dt { span class={ "grade " (class(grade)) } { (grade) } }
                        dd { (meaning(grade)) }
                    }
                }
                h2 { "How" }
                p {
                    "Each row is a kind of attack. Its payloads run under the policy's rules and limits, \
                     narrower where "
                    "the policy allows much, each row in a process of its own, each payload in temporary directories "
                    "and with stand-ins of tools, so that nothing that the policy is about was touched. A benign twin "
                    "has to work: a policy under which nothing works would pass otherwise. After each payload the "
                    "suite looked for a secret outside of the granted directories, at directories that are granted "
                    "for reading only, at a socket that nobody may connect to, at the audit log, at memory, "
                    "descriptors, threads and children of the process, and ran another script."
                }
                @for (class, _) in report.classes() { (section(report, class)) }
            }
        }
    }
    .into_string()
}

fn facts(report: &Report) -> Markup {
    let subject = &report.subject;
    let versions = &subject.versions;
    let agent = match subject.agent.as_str() {
        "" => "without a name",
        agent => agent,
    };
    let file = subject.policy_file.as_deref();
    let attempts: usize = report.rows.iter().map(|row| row.attempts.len()).sum();
    let facts = [
        ("agent", escape(agent)),
        ("policy", escape(file.unwrap_or("the suite's own"))),
        ("SHA-256 of what it grants", subject.policy_sha256.clone()),
        ("started", subject.started.clone()),
        (
            "took",
            format!(
                "{} s for {attempts} payloads and twins; the latest run ended {} ms after its time limit",
                report.wall_ms / 1_000,
                report.late_ms()
            ),
        ),
        ("machine", escape(&subject.machine)),
        (
            "versions",
            format!(
                "Wardian {}, wasmtime {}, RustPython {}",
                versions.wardian, versions.wasmtime, versions.rustpython
            ),
        ),
        (
            "SHA-256 of the interpreter",
            versions.module_sha256.to_owned(),
        ),
        (
            "SHA-256 of its machine code",
            versions.code_sha256.to_owned(),
        ),
    ];
    html! {
        table.facts {
            @for (name, value) in facts {
                tr { th { (name) } td { code { (value) } } }
            }
        }
    }
}

/// Rows by class and grade, as bars whose lengths are numbers of rows.
fn chart(report: &Report) -> Markup {
    let classes = report.classes();
    let longest = classes
        .iter()
        .map(|(_, counts)| counts.iter().sum::<usize>());
    let longest = longest.max().unwrap_or(1);
    html! {
        table.chart {
            tr {
                th { "class" }
                th { "rows" }
                @for grade in Grade::ALL { th.count { (grade) } }
            }
            @for (name, counts) in &classes {
                tr {
                    td { a href={ "#" (name.id) } { (name.id) } " " (name.title) }
                    td.bars {
                        @for (grade, count) in Grade::ALL.into_iter().zip(counts) {
                            @if *count > 0 {
                                span class={ "bar " (class(grade)) } title={ (count) " " (grade) }
                                    style={ "width:" (count * 100 / longest) "%" } {}
                            }
                        }
                    }
                    @for count in counts { td.count { (count) } }
                }
            }
            tr {
                th { "all" }
                td {}
                @for grade in Grade::ALL { th.count { (report.count(grade)) } }
            }
        }
    }
}

fn section(report: &Report, class: &Class) -> Markup {
    let mut rows: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.class() == class.id)
        .collect();
    // What needs to be looked at comes first, and stands open.
    rows.sort_by_key(|row| !needs_a_look(row));
    html! {
        h2 id=(class.id) { (class.id) ": " (class.title) }
        p { (class.about) }
        @for row in rows { (details(row)) }
    }
}

fn needs_a_look(row: &RowReport) -> bool {
    matches!(row.grade, Grade::Unsafe | Grade::Unexpected)
}

fn details(row: &RowReport) -> Markup {
    html! {
        details.row open[needs_a_look(row)] {
            summary {
                span.id { (row.id) }
                span.name { (row.name) }
                span class={ "grade " (class(row.grade)) } { (row.grade) }
            }
            @if let Some(reason) = &row.reason { p { "Not tried: " (escape(reason)) "." } }
            @if !row.attempts.is_empty() {
                p {
                    "Expected: " (expected(row)) ". Took " (row.wall_ms) " ms."
                }
            }
            @for tried in &row.attempts { (attempt(tried)) }
        }
    }
}

fn expected(row: &RowReport) -> String {
    match row.expected.as_slice() {
        [] => "nothing that is found after".to_owned(),
        endings => format!("rejected, or {}", escape(&endings.join(", "))),
    }
}

fn attempt(tried: &Attempt) -> Markup {
    html! {
        div.attempt {
            p {
                strong { (tried.name) } " ended: " code { (escape(&tried.ending)) } " "
                span class={ "grade " (class(tried.grade)) } { (tried.grade) }
                @if !tried.note.is_empty() { " " code { (escape(&tried.note)) } }
            }
            @if !tried.findings.is_empty() {
                ul { @for finding in &tried.findings { li.unsafe { (escape(finding)) } } }
            }
            @if !tried.source.is_empty() {
                details { summary { "source" } pre { (lines(&tried.source)) } }
            }
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| lines(&text))
}

/// Writes out characters that turn text around or can't be seen.
fn escape(text: &str) -> String {
    text.escape_debug().to_string()
}

/// The same, line by line, with quotes as they are.
fn lines(text: &str) -> String {
    let escape = |char: char| match char {
        '\n' | '\'' | '"' | '\\' => char.to_string(),
        char => char.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}
