//! Displays: what scripts show in several forms, beside what they print.

use indoc::indoc;
use serde_json::json;
use wardian::event::RunEvent;
use wardian::outcome::Display;
use wardian::policy::Allowance::AtMost;
use wardian::policy::{Limit, Profile};
use wardian::session::SessionOptions;
use wardian::{Limits, Outcome, Policy, Sandbox, Verdict};
use wardian_attack::program::{Arg, DATA, Program};
use wardian_testkit::runtime;

/// A class with forms of every kind.
const TABLE: &str = indoc! {r#"
    class Table:
        def __init__(self, rows): self.rows = rows
        def __repr__(self): return f"Table({self.rows})"
        def _repr_html_(self): return f"<table>{self.rows}</table>"
        def _repr_png_(self): return b"\x89PNG"
        def _repr_json_(self): return {"rows": self.rows}
"#};

fn run_under(policy: Policy, code: &str) -> Outcome {
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    sandbox.run_blocking(code).unwrap()
}

#[track_caller]
fn run(code: &str) -> Outcome {
    let outcome = run_under(Policy::computing(), code);
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    outcome
}

pub(crate) fn limited(limit: Limit, amount: u64) -> Policy {
    let limits = Limits::default().with(limit, AtMost(amount)).unwrap();
    Policy::computing().with_limits(limits)
}

/// The forms of each display.
fn forms(outcome: &Outcome) -> serde_json::Value {
    let displays = outcome.displays.iter();
    displays.map(|display| json!(display.data)).collect()
}

#[test]
fn things_are_shown_in_every_form_that_they_have() {
    let outcome = run(&format!(
        "{TABLE}display(Table([1]), 42)\ndisplay({{'text/latex': '$x$'}}, raw=True)\n\
         display(Table([2]), include=['text/html', 'text/plain'], exclude=['text/plain'])"
    ));
    assert_eq!(
        forms(&outcome),
        json!([
            {
                "text/plain": "Table([1])", "text/html": "<table>[1]</table>", "image/png": "iVBORw==",
                "application/json": "{\"rows\": [1]}"
            },
            {"text/plain": "42"},
            {"text/latex": "$x$"},
            {"text/html": "<table>[2]</table>"},
        ])
    );
    assert!(outcome.stdout.bytes.is_empty());
    let again: Outcome = serde_json::from_value(outcome.json()).unwrap();
    assert_eq!(again, outcome);
}

/// Programs that were written for notebooks import what they show things with.
#[test]
fn notebooks_names_are_there() {
    let outcome = run(indoc! {r#"
        import IPython
        from IPython.display import HTML, JSON, Image, Markdown, SVG, clear_output, display
        assert IPython.get_ipython() is None
        clear_output(wait=True)
        display(HTML("<b>x</b>"), Markdown("*x*"), JSON({"x": 1}), Image(b"\x89PNG"))
        display(SVG("<svg/>"), include=["image/svg+xml"])
        HTML("<i>last</i>")
    "#});
    assert_eq!(
        outcome
            .displays
            .iter()
            .map(|display| display.data.keys().next().unwrap().as_str())
            .collect::<Vec<_>>(),
        [
            "text/html",
            "text/markdown",
            "application/json",
            "image/png",
            "image/svg+xml",
            "text/html"
        ]
    );
    assert_eq!(outcome.displays[2].data["application/json"], "{\"x\": 1}");
    assert_eq!(outcome.displays[3].data["image/png"], "iVBORw==");
}

/// The last expression's value is one too, if it is more than a text; also under a strict profile.
#[test]
fn the_last_value_is_shown_if_it_has_forms() {
    for profile in Profile::ALL {
        let policy = Policy::computing().with_source_rules(profile);
        let outcome = run_under(policy, &format!("{TABLE}Table([1])"));
        assert_eq!(outcome.displays.len(), 1, "{profile:?} {outcome:?}");
        assert!(outcome.displays[0].is_result);
    }
    for plain in ["42", "[1]", "'x'", "None", "object()", "len", "int"] {
        assert!(run(plain).displays.is_empty(), "{plain}");
    }
    let class = run(&format!("{TABLE}Table"));
    assert!(class.displays.is_empty());
}

#[test]
fn forms_come_as_jupyter_asks_for_them() {
    let outcome = run(indoc! {r#"
        class Bundle:
            def _repr_mimebundle_(self, include=None, exclude=None):
                return {"text/plain": "bundle", "application/vnd.x+json": {"a": 1}}, {"meta": "data"}
        class Own:
            def _ipython_display_(self): display("own")
        class Nothing:
            def _repr_html_(self): return None
            def _repr_svg_(self): return "<svg/>", {"width": 3}
        class Everything:
            def __getattr__(self, name): return lambda *args, **options: "anything"
            def __repr__(self): return "everything"
        display(Bundle(), Own(), Nothing, Nothing(), Everything())
    "#});
    let mut forms = forms(&outcome);
    forms[3].as_object_mut().unwrap().remove("text/plain");
    assert_eq!(
        forms,
        json!([
            {"text/plain": "bundle", "application/vnd.x+json": "{\"a\": 1}"},
            {"text/plain": "'own'"},
            {"text/plain": "<class '__main__.Nothing'>"},
            {"image/svg+xml": "<svg/>"},
            {"text/plain": "everything"},
        ])
    );
}

/// A form that fails says so, and the others are there.
#[test]
fn a_form_that_fails_is_left_out() {
    let outcome = run(indoc! {"
        class Half:
            def _repr_html_(self): 1 / 0
            def _repr_markdown_(self): return '*half*'
            def __repr__(self): return 'half'
        display(Half())
        Half()
    "});
    assert_eq!(
        forms(&outcome),
        json!(vec![
            json!({"text/plain": "half", "text/markdown": "*half*"});
            2
        ])
    );
    let said = outcome.stderr.text();
    assert_eq!(said.matches("ZeroDivisionError").count(), 2, "{said}");
}

#[test]
fn wrong_forms_are_errors_of_the_script() {
    for (code, error) in [
        ("display({'a b': 'x'}, raw=True)", "MIME type"),
        (
            "display({'text/plain': '\\udc00'}, raw=True)",
            "lone surrogate",
        ),
        (
            "display({'text/plain': object()}, raw=True)",
            "not JSON serializable",
        ),
        (
            "display({'text/plain': 'x' * 9_000_000}, raw=True)",
            "8388608 is the most",
        ),
        (
            "display({f'a/{n}': '' for n in range(33)}, raw=True)",
            "32 are the most",
        ),
        ("display(1, colour='red')", "colour"),
    ] {
        let outcome = run_under(Policy::computing(), code);
        let Verdict::Raised(raised) = &outcome.verdict else {
            panic!("{code}: {outcome:?}");
        };
        assert!(raised.message.contains(error), "{code}: {raised:?}");
        assert!(outcome.displays.is_empty());
    }
    // The text that stands for a thing loses its middle instead.
    let long = run("display('x' * 1_000_000)");
    let text = &long.displays[0].data["text/plain"];
    assert!(
        text.len() < 66_000 && text.contains("characters cut"),
        "{}",
        text.len()
    );
}

#[test]
fn they_are_bounded_in_number_and_size() {
    let code = "for i in range(10): display(i)";
    let outcome = run_under(limited(Limit::Displays, 3), code);
    assert_eq!((outcome.displays.len(), outcome.displays_omitted), (3, 7));
    assert_eq!(
        outcome.advice,
        ["`limits.displays` in a policy raises the limit"]
    );
    // One that does not fit is left out, and a smaller one after it is not.
    let outcome = run_under(
        limited(Limit::DisplayBytes, 1000),
        "for size in (900, 900, 10): display({'text/x': 'x' * size}, raw=True)",
    );
    let sizes: Vec<_> = outcome.displays.iter().map(Display::size_bytes).collect();
    assert_eq!((sizes, outcome.displays_omitted), (vec![906, 16], 1));
    assert_eq!(
        outcome.advice,
        ["`limits.display_bytes` in a policy raises the limit"]
    );
    // What makes them is under the run's limits.
    let slow = "class Slow:\n    def _repr_html_(self):\n        while True: pass\nSlow()";
    let limits = Limits::default().with_fuel(AtMost(100_000_000)).unwrap();
    let outcome = run_under(Policy::computing().with_limits(limits), slow);
    assert_eq!(outcome.verdict.ending(), "fuel");
}

/// They are events in their place, and a call that is undone has shown what it has shown.
#[test]
fn they_are_events_and_stay_shown() {
    let sandbox = Sandbox::new(runtime(), limited(Limit::Displays, 2)).unwrap();
    let mut run = sandbox.start("print('a')\ndisplay(1)\nprint('b')\ndisplay(2)\ndisplay(3)");
    let seen = run.blocking().filter_map(|event| match event {
        RunEvent::Output { bytes, .. } => Some(String::from_utf8(bytes).unwrap()),
        RunEvent::Display(display) => Some(display.data["text/plain"].clone()),
        _ => None,
    });
    assert_eq!(seen.collect::<String>().replace('\n', ""), "a1b2");
    let limits = Limits::default().with_fuel(AtMost(500_000_000)).unwrap();
    let policy = Policy::computing().with_limits(limits);
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let session = sandbox.session(SessionOptions::default());
    let outcome = session
        .run_blocking("x = 1\ndisplay(x)\nwhile True: pass")
        .unwrap();
    assert_eq!(outcome.verdict.ending(), "fuel");
    assert_eq!(forms(&outcome), json!([{"text/plain": "1"}]));
    assert!(session.globals().wait().unwrap().globals.is_empty());
}

/// A display that is none ends the guest, and nothing of it is shown.
#[test]
fn forged_displays_end_the_guest() {
    const SHOW: u32 = 4;
    let hostile = runtime().clone().hostile().unwrap();
    let sandbox = Sandbox::new(
        &hostile,
        Policy::computing().with_source_rules(Profile::Open),
    )
    .unwrap();
    let many: String = (0..40).map(|i| format!("\"a/b{i}\":\"\",")).collect();
    let many = format!(
        "{{\"data\":{{{}}},\"is_result\":false}}",
        many.trim_end_matches(',')
    );
    let play = |json: &str| {
        let program = Program::new().store(DATA, json.as_bytes());
        let program = program.tool(SHOW, Arg::Is(u64::from(DATA)), Arg::Is(json.len() as u64));
        sandbox
            .run_blocking(program.complete("1").source())
            .unwrap()
    };
    let good = play(r#"{"data":{"text/html":"<b>"},"is_result":false}"#);
    assert_eq!(forms(&good), json!([{"text/html": "<b>"}]));
    for wrong in [
        "",
        "{}",
        "1",
        "null",
        &many,
        r#"{"data":{"../x":""},"is_result":false}"#,
        r#"{"data":{"a/b":"","a/b":""},"is_result":false}"#,
        r#"{"data":{"text/plain":1},"is_result":false}"#,
        r#"{"data":{"text/plain":""},"is_result":false,"more":1}"#,
    ] {
        let outcome = play(wrong);
        assert_eq!(outcome.verdict.ending(), "crashed", "{wrong}: {outcome:?}");
        assert!(outcome.displays.is_empty());
    }
}
