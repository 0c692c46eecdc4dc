//! Printing of results: tables, JSON, text of others.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use wardian::wire::Report;

use crate::display::Escaper;
use crate::exit;

/// A table with a head.
pub(crate) fn columns(names: &[&str]) -> Table {
    let mut table = plain();
    table.set_header(names.iter().map(|name| name.to_uppercase()));
    table
}

/// A table of aligned columns, at most as wide as the terminal.
pub(crate) fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width());
    table
}

/// The width of a table: a terminal's that is narrower than 100 columns, and 100.
fn width() -> u16 {
    const MAX: u16 = 100;
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(MAX, |size| size.ws_col);
    if columns == 0 { MAX } else { columns.min(MAX) }
}

pub(crate) fn or_none(text: String) -> String {
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

/// Prints one JSON object.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    write(format!("{value}\n").as_bytes())
}

/// Prints what came of a run.
pub(crate) fn print_report(report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    write(&line)
}

/// Prints text that may hold what somebody else has written.
pub(crate) fn print(text: &str) -> Result<()> {
    write(Escaper::default().push(text.as_bytes()).as_bytes())
}

/// Prints bytes as they are.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(exit::cannot_write)
}

/// Says something on standard error that is no part of the result.
pub(crate) fn remark(text: &str) {
    say(&format!(
        "wardian: {}",
        Escaper::default().push(text.as_bytes())
    ));
}

/// Writes a line to standard error, with its colours where they are wanted. There is nobody to tell
/// if that fails.
pub(crate) fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A bar on the terminal; none where nobody looks.
pub(crate) fn progress(len: usize) -> ProgressBar {
    shown(
        ProgressBar::new(len as u64),
        "{bar:30} {pos}/{len} {elapsed} {msg}",
    )
}

/// A sign on the terminal that something is done, without a count; none where nobody looks.
pub(crate) fn spinner(work: &'static str) -> ProgressBar {
    shown(
        ProgressBar::new_spinner().with_message(work),
        "{spinner} {msg} {elapsed}",
    )
}

fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
