//! The report as a page: one file, which loads nothing and runs nothing, for screens of any width.

use maud::{DOCTYPE, PreEscaped, html};

use crate::report::{Grade, Report, RowReport};

/// The policy of the page: it may be shown. Hostile code has chosen some of the words in it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --safe: #1a7f37; --wrong: #9a6700; --unsafe: #cf222e; --no: #888; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 60rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code { font: .85em ui-monospace, monospace; unicode-bidi: isolate; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .3rem .2rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th { font-size: .8rem; }
th:first-child, td:first-child { text-align: left; }
details { border-bottom: 1px solid var(--line); padding: .3rem 0; }
summary { display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap; cursor: pointer; }
summary::before { content: \"\\25b8\"; } details[open] > summary::before { content: \"\\25be\"; }
summary .id { font-weight: 600; min-width: 4.5rem; }
summary .name { flex: 1 1 9rem; }
.grade { font-size: .8rem; padding: 0 .5rem; border-radius: 1rem; border: 1px solid; }
.safe { color: var(--safe); } .wrong { color: var(--wrong); } .unsafe { color: var(--unsafe); font-weight: 700; } .no { color: var(--no); }
p.small, li { font-size: .9rem; }
";

pub(crate) fn page(report: &Report) -> String {
    let unsafe_rows = report.count(Grade::Unsafe);
    let title = match (unsafe_rows, report.is_safe()) {
        (0, true) => "No unsafe row".to_owned(),
        (0, false) => "Nothing was tried".to_owned(),
        (rows, _) => format!("{rows} unsafe"),
    };
    let agent = match report.agent.as_str() {
        "" => "without a name".to_owned(),
        agent => shown(agent),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_SECURITY_POLICY);
                title { "wardian attack: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Hostile code, tried on a policy: " span class=(class(if report.is_safe() { Grade::Safe } else { Grade::Unsafe })) { (title) } }
                p.small {
                    "Agent " code { (agent) } ", policy " code { (report.policy_sha256) } ". "
                    (report.rows.len()) " rows in " (report.wall_ms / 1_000) " s; the latest run ended "
                    (report.late_ms()) " ms after its time. Wardian " (wardian::Runtime::versions().wardian) "."
                }
                table {
                    tr { th { "class" } @for grade in Grade::ALL { th { (grade) } } }
                    @for (name, counts) in report.classes() {
                        tr {
                            td { (name) }
                            @for (grade, count) in Grade::ALL.into_iter().zip(counts) {
                                td class=[(count > 0).then(|| class(grade))] { (count) }
                            }
                        }
                    }
                    tr {
                        th { "all" }
                        @for grade in Grade::ALL { th { (report.count(grade)) } }
                    }
                }
                @for grade in [Grade::Unsafe, Grade::WrongType, Grade::Safe, Grade::NotApplicable] {
                    @if report.count(grade) > 0 {
                        h2 { (grade) }
                        @for row in report.rows.iter().filter(|row| row.grade == grade) { (one(row)) }
                    }
                }
            }
        }
    }
    .into_string()
}

fn one(row: &RowReport) -> maud::Markup {
    html! {
        details open[row.grade == Grade::Unsafe] {
            summary {
                span.id { (row.id) }
                span.name { (row.name) }
                span.grade class=(class(row.grade)) { (row.grade) }
            }
            @if let Some(reason) = &row.reason { p.small { (shown(reason)) } }
            @if !row.attempts.is_empty() {
                p.small {
                    (row.attempts.len()) " tried in " (row.wall_ms) " ms, ended: "
                    @for (at, ending) in row.endings().into_iter().enumerate() {
                        @if at > 0 { ", " }
                        code { (shown(ending)) }
                    }
                }
            }
            ul {
                @for tried in row.not_safe() {
                    li {
                        (tried.what) ": " code { (shown(&tried.ending)) } " " code { (shown(&tried.note)) }
                        @for finding in &tried.findings { br; strong { code { (shown(finding)) } } }
                    }
                }
            }
        }
    }
}

/// Writes out characters that turn text around or can't be seen.
fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}

fn class(grade: Grade) -> &'static str {
    match grade {
        Grade::Safe => "safe",
        Grade::WrongType => "wrong",
        Grade::Unsafe => "unsafe",
        Grade::NotApplicable => "no",
    }
}
