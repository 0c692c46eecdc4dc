//! The marks under a line of a traceback, as Python's own `traceback` draws them. That is written
//! in Python, and parses the line twice into objects, which takes longer than most scripts.

use rustpython_ast::{Expr, Mod, Stmt};
use rustpython_parser::{Mode, ParseOptions};
use rustpython_text_size::Ranged;

/// The marks under `line`, of which the instruction from column `start` to `end` has failed; `None`
/// if it gets none.
///
/// The line is ASCII, and not indented.
pub(crate) fn carets(line: &str, start: usize, end: usize) -> Option<String> {
    let (before, segment, after) = (line.get(..start)?, line.get(start..end)?, line.get(end..)?);
    if is_whole_call(line, start, end)? {
        return None;
    }
    let anchors = anchors(segment);
    if anchors.is_none() && before.trim().is_empty() && after.trim().is_empty() {
        return None;
    }
    let mark = |column| match &anchors {
        Some((left, right)) if column < start + left || column >= start + right => '~',
        _ => '^',
    };
    let marks = (start..end).map(mark);
    Some(std::iter::repeat_n(' ', start).chain(marks).collect())
}

/// Returns the part of an operation that is the operator, or the brackets: the columns from which
/// and to which.
fn anchors(segment: &str) -> Option<(usize, usize)> {
    // In brackets, so that it is an expression whatever it is.
    const BEFORE: &str = "(\n";
    let statements = body(&format!("{BEFORE}{segment}\n)"))?;
    let [Stmt::Expr(statement)] = &*statements else {
        return None;
    };
    let start = |expr: &dyn Ranged| usize::from(expr.start()).saturating_sub(BEFORE.len());
    let end = |expr: &dyn Ranged| usize::from(expr.end()).saturating_sub(BEFORE.len());
    // The first character from a column on that is wanted, in the same line.
    let find = |from: usize, wanted: fn(u8) -> bool| {
        let rest = segment.as_bytes().get(from..)?;
        let at = rest
            .iter()
            .position(|byte| wanted(*byte) || b"\\#".contains(byte))?;
        wanted(*rest.get(at)?).then_some(from + at)
    };
    match &*statement.value {
        Expr::BinOp(operation) => {
            let operator = find(end(&*operation.left), |byte| {
                !byte.is_ascii_whitespace() && !b")\\#".contains(&byte)
            })?;
            let second = operator + 1;
            let is_long = second < start(&*operation.right)
                && segment
                    .as_bytes()
                    .get(second)
                    .is_some_and(|byte| !byte.is_ascii_whitespace() && !b"\\#".contains(byte));
            Some((operator, second + usize::from(is_long)))
        }
        Expr::Subscript(subscript) => {
            let bracket = find(end(&*subscript.value), |byte| byte == b'[')?;
            Some((bracket, end(subscript)))
        }
        Expr::Call(call) => {
            let bracket = find(end(&*call.func), |byte| byte == b'(')?;
            Some((bracket, end(call)))
        }
        _ => None,
    }
}

/// Is the instruction a call that is all of what the line returns or assigns? Marks would say
/// nothing. `None` if the line says nothing at all.
fn is_whole_call(line: &str, start: usize, end: usize) -> Option<bool> {
    let Some(body) = body(line) else {
        return Some(false);
    };
    let value = match body.first()? {
        Stmt::Return(statement) => match statement.value.as_deref() {
            Some(Expr::Call(call)) if call.func.is_name_expr() => call,
            _ => return Some(false),
        },
        Stmt::Assign(statement) => match (&*statement.targets, &*statement.value) {
            ([Expr::Name(_)], Expr::Call(call)) => call,
            _ => return Some(false),
        },
        _ => return Some(false),
    };
    Some(usize::from(value.start()) == start && usize::from(value.end()) == end)
}

/// The statements of a source, if it is one.
fn body(source: &str) -> Option<Vec<Stmt>> {
    let parsed = rustpython_parser::parse(source, ParseOptions::from(Mode::Module)).ok()?;
    match parsed.into_syntax() {
        Mod::Module(module) => Some(module.body.into_iter().collect()),
        Mod::Expression(_) => None,
    }
}
