//! Charts and spreadsheets: `wardian.plot`, the stand-in for matplotlib, `wardian.sheets`.

use std::fs;
use std::path::{Path, PathBuf};

use indoc::indoc;
use serde_json::{Value, json};
use wardian::policy::{Limit, Source};
use wardian::{Policy, Sandbox, Script, Verdict};

use crate::displays::limited;
use crate::work::{policy, run, sandbox_of};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn sandbox() -> Sandbox {
    sandbox_of(policy())
}

fn value(script: impl Into<Script>) -> Value {
    run(script).json()["value"].clone()
}

/// Tells if a file is the picture that its name says.
fn is_picture(name: &str, bytes: &[u8]) -> bool {
    match Path::new(name).extension().and_then(|end| end.to_str()) {
        Some("png") => {
            bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
        }
        Some("svg") => bytes.starts_with(b"<svg ") && bytes.ends_with(b"</svg>\n"),
        _ => false,
    }
}

/// Programs as models write them print what they print with matplotlib itself, and leave pictures.
#[test]
fn programs_for_matplotlib_run_as_they_are() {
    let sandbox = sandbox();
    let mut programs: Vec<_> = fs::read_dir(here("charts"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    programs.retain(|path| path.extension().is_some_and(|end| end == "py"));
    programs.sort();
    assert_eq!(programs.len(), 10);
    let mut pictures = 0;
    for path in programs {
        let name = path.file_name().unwrap().to_str().unwrap();
        let outcome = sandbox
            .run_blocking(fs::read_to_string(&path).unwrap())
            .unwrap();
        assert!(
            outcome.success(),
            "{name}: {:?}\n{}",
            outcome.verdict,
            outcome.stderr.text()
        );
        let expected = fs::read_to_string(path.with_extension("out")).unwrap();
        assert_eq!(outcome.stdout.text(), expected, "{name}");
        for file in &outcome.files {
            assert!(is_picture(&file.name, &file.bytes), "{name}: {}", file.name);
            pictures += 1;
        }
        assert_eq!(
            outcome.displays.len(),
            usize::from(name.starts_with("02")),
            "{name}"
        );
    }
    assert_eq!(pictures, 10);
}

/// A picture is shown as SVG, as PNG and as data that a page can draw itself.
#[test]
fn a_figure_is_shown_in_three_forms() {
    let outcome = run(indoc! {"
        import matplotlib.pyplot as plt
        plt.plot([1, 2], [3, 4], label='a')
        plt.show()
        from wardian import plot
        plot.bar({'x': 1, 'y': 2}, title='B')
    "});
    let [shown, last] = outcome.displays.as_slice() else {
        panic!("{outcome:?}");
    };
    for (display, text, kind) in [
        (shown, "<Figure size 640x480 with 1 Axes>", "line"),
        (last, "<Chart bar B>", "bar"),
    ] {
        let forms: Vec<_> = display.data.keys().map(String::as_str).collect();
        assert_eq!(
            forms,
            ["e2b/chart", "image/png", "image/svg+xml", "text/plain"]
        );
        assert_eq!(display.data["text/plain"], text);
        let chart: Value = serde_json::from_str(&display.data["e2b/chart"]).unwrap();
        assert_eq!(chart["type"], kind);
    }
    assert!(last.is_result && !shown.is_result);
}

/// A form that is too large to be shown is left out; the figure is not.
#[test]
fn a_large_figure_is_shown_in_fewer_forms() {
    let outcome =
        run("from wardian import plot\nplot.scatter(list(range(40_000)), list(range(40_000)))");
    let forms: Vec<_> = outcome.displays[0]
        .data
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(forms, ["image/png", "text/plain"]);
}

#[test]
fn every_chart_of_our_own_is_a_picture_and_data() {
    let kinds = value(indoc! {r#"
        import datetime, json, os
        from wardian import plot
        days = [datetime.date(2025, 1, 1) + datetime.timedelta(days=n) for n in range(5)]
        charts = {
            "line": plot.line(days, {"a": [1, 2, None, 4, 5], "b": [5, 4, 3, 2, 1]}, title="Line", x_label="Day"),
            "plain": plot.line([3, 1, 2]),
            "scatter": plot.scatter([1, 2, 3], {"a": [1, 2, 3]}),
            "bar": plot.bar(["x", "y"], {"2024": [1, 2], "2025": [2, 3]}),
            "stacked": plot.bar(["x", "y"], {"2024": [1, 2], "2025": [2, 3]}, stacked=True, horizontal=True),
            "histogram": plot.histogram([1, 2, 2, 3, 3, 3], bins=3),
            "pie": plot.pie({"a": 1, "b": 3}),
            "box": plot.box({"a": [1, 2, 3, 100], "b": [4, 5]}),
        }
        seen = {}
        for name, chart in charts.items():
            for end in ("svg", "png", "json"):
                chart.save(f"{name}.{end}")
            assert json.load(open(f"{name}.json")) == chart.data()
            assert open(f"{name}.svg").read() == chart.svg() and open(f"{name}.png", "rb").read() == chart.png()
            data = chart.data()
            seen[name] = [data["type"], len(data["elements"])]
        seen["points"] = charts["line"].data()["elements"][0]["points"]
        seen["bins"] = [(bar["label"], bar["value"]) for bar in charts["histogram"].data()["elements"]]
        seen
    "#});
    assert_eq!(
        kinds,
        json!({
            "line": ["line", 2], "plain": ["line", 1], "scatter": ["scatter", 1], "bar": ["bar", 4],
            "stacked": ["bar", 4], "histogram": ["bar", 3], "pie": ["pie", 2], "box": ["box_and_whisker", 2],
            "points": [
                ["2025-01-01T00:00:00", 1.0], ["2025-01-02T00:00:00", 2.0], ["2025-01-04T00:00:00", 4.0],
                ["2025-01-05T00:00:00", 5.0]
            ],
            "bins": [["1 to 1.66667", 1.0], ["1.66667 to 2.33333", 2.0], ["2.33333 to 3", 3.0]],
        })
    );
}

/// An error for something that is not there names what is.
#[test]
fn what_is_not_there_says_what_is() {
    let errors = value(indoc! {r#"
        import matplotlib, matplotlib.pyplot as plt
        tried = [
            "plt.polar([1], [2])", "plt.gca().twinx()", "plt.gcf().colorbar(1)", "matplotlib.colormaps",
            "import matplotlib.dates", "from matplotlib.pyplot import style", "plt.plot([1], [2], picker=True)",
            "plt.savefig('x.pdf')", "plt.rcParams['lines.linewidth'] = 2", "plt.hist([1], histtype='step')",
            "plt.plot([1], [2], marker='8')", "plt.yscale('symlog')",
            "plt.subplot(projection='polar')", "plt.subplots(gridspec_kw={})", "plt.xscale('log', base=2)",
        ]
        seen = []
        for source in tried:
            try:
                exec(source)
            except NotImplementedError as error:
                seen.append(str(error).split(" is not there: this is a small stand-in for matplotlib. There are: "))
        [len(tried), seen]
    "#});
    let seen = errors[1].as_array().unwrap();
    assert_eq!(json!(seen.len()), errors[0], "{seen:?}");
    for (error, (what, there)) in seen.iter().zip([
        ("matplotlib.pyplot.polar", "boxplot, cla"),
        ("Axes.twinx", "boxplot, cla"),
        ("Figure.colorbar", "savefig"),
        ("matplotlib.colormaps", "pyplot, rcParams, use"),
        ("matplotlib.dates", "matplotlib.pyplot"),
        ("matplotlib.pyplot.style", "boxplot, cla"),
        ("The option picker of plot()", "linestyle, linewidth"),
        ("The format 'pdf'", "'svg', 'png'"),
        ("rcParams['lines.linewidth']", "'figure.figsize'"),
        ("histtype='step'", "'bar'"),
        ("marker='8'", "'o', '.'"),
        ("The scale 'symlog'", "'linear', 'log'"),
        ("The option projection of add_subplot()", ""),
        ("The option gridspec_kw of figure()", "layout"),
        ("The option base of set_xscale()", ""),
    ]) {
        assert_eq!(error[0], what);
        assert!(error[1].as_str().unwrap().contains(there), "{error}");
    }
}

#[test]
fn wrong_values_are_named() {
    for (source, expected) in [
        (
            "plt.plot([1, 2], [1])",
            "ValueError: plot: the values have different lengths: 2, 1",
        ),
        (
            "plt.bar(['a'], [1, 2])",
            "ValueError: bar: the values have different lengths: 1, 2",
        ),
        (
            "plt.plot([1], color='rouge')",
            "ValueError: 'rouge' is not a valid value for color",
        ),
        (
            "plt.pie([-1, 2])",
            "ValueError: Wedge sizes 'x' must be non negative values",
        ),
        (
            "plt.figure(figsize=(1000, 1))",
            "ValueError: figsize: 1000 times 1 inches",
        ),
        (
            "plt.savefig('x.png', dpi=10_000)",
            "pixels can't be made: it has one pixel at least, and 32 million at most",
        ),
        (
            "plt.subplot(1, 2, 3)",
            "ValueError: num must be an integer with 1 <= num <= 2, not 3",
        ),
        ("plt.plot(['a', 'b'], [[1], 2])", "TypeError"),
        (
            "import _wardian_plot; _wardian_plot.svg('{}')",
            "ValueError: missing field `width`",
        ),
    ] {
        let outcome = sandbox()
            .run_blocking(format!("import matplotlib.pyplot as plt\n{source}"))
            .unwrap();
        let error = outcome.stderr.text();
        assert!(error.contains(expected), "{source}: {error}");
    }
}

/// The stand-in can be switched off, by the rule for any module; a strict profile has none of it.
#[test]
fn a_policy_switches_the_stand_in_off() {
    let with = |source: &str, code: &str| {
        let policy = format!("version = 1\npermissions = [\"EXECUTE_CODE\"]\n[source]\n{source}");
        let policy = Policy::parse(&Source::text("p.toml", &policy)).unwrap();
        sandbox_of(policy).run_blocking(code).unwrap()
    };
    let off = "profile = \"open\"\nforbid_imports = [\"matplotlib\"]";
    for code in [
        "import matplotlib.pyplot as plt",
        "from matplotlib import pyplot",
        "__import__('matplotlib.pyplot')",
        "import importlib\nimportlib.import_module('matplotlib.pyplot')",
    ] {
        let refused = with(off, code);
        assert!(
            !refused.success() && format!("{refused:?}").contains("Forbidden import: matplotlib"),
            "{refused:?}"
        );
        assert!(with("profile = \"open\"", code).success(), "{code}");
    }
    let draw = "from wardian import plot\nplot.pie({'a': 1})";
    let both = format!("import matplotlib.pyplot as plt\n{draw}");
    assert_eq!(with("profile = \"standard\"", &both).displays.len(), 1);
    let strict = with("profile = \"strict\"", &both);
    assert!(matches!(strict.verdict, Verdict::Rejected { .. }));
    // What it draws with is there all the same.
    assert_eq!(with(off, draw).displays.len(), 1);
}

/// Texts of data are texts in a picture: a page that shows it shows no markup of a script's.
#[test]
fn texts_are_no_markup() {
    let svg = value(indoc! {r#"
        from wardian import plot
        evil = "</text><script>alert(1)</script>"
        plot.bar({evil: 1}, title=evil, y_label='"><img src=x onerror=alert(1)>').svg()
    "#});
    let svg = svg.as_str().unwrap();
    assert!(
        svg.contains("&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{svg}"
    );
    assert!(!svg.contains("<script") && !svg.contains("<img"), "{svg}");
}

#[test]
fn cells_keep_their_values() {
    let outcome = run(indoc! {r#"
        import datetime as dt, decimal, io
        from wardian import sheets
        rows = [
            ["name", "value"],
            ["int", 5], ["float", 2.5], ["text", "café =1+1"], ["formula", "=1+1"], ["empty", None], ["yes", True],
            ["moment", dt.datetime(2025, 3, 4, 5, 6, 7)], ["day", dt.date(2025, 3, 4)], ["time", dt.time(6, 30)],
            ["lasting", dt.timedelta(hours=30)], ["decimal", decimal.Decimal("1.25")],
        ]
        sheets.write("out.xlsx", {"First": rows, "Second": [{"a": 1, "b": 2}, {"a": 3}]})
        again = sheets.read("out.xlsx")
        sheets.write(buffer := io.BytesIO(), [[1]], header=False)
        [
            sheets.names("out.xlsx"), [type(row[1]).__name__ + " " + str(row[1]) for row in again["First"][1:]],
            sheets.records("out.xlsx", "Second"), sheets.read("out.xlsx", -1)[0], sheets.read(buffer.getvalue()),
        ]
    "#});
    assert_eq!(
        outcome.json()["value"],
        json!([
            ["First", "Second"],
            [
                "int 5", "float 2.5", "str café =1+1", "str =1+1", "NoneType None", "bool True",
                "datetime 2025-03-04 05:06:07", "datetime 2025-03-04 00:00:00", "time 06:30:00",
                "timedelta 1 day, 6:00:00", "float 1.25"
            ],
            [{"a": 1, "b": 2}, {"a": 3, "b": null}],
            ["a", "b"],
            {"Sheet1": [[1]]},
        ])
    );
    assert!(outcome.files[0].bytes.starts_with(b"PK"));
}

/// Files of other programs: `orders.xls` is xlwt's, `orders.ods` odfpy's.
#[test]
fn older_and_open_formats_are_read() {
    for (name, extra) in [
        ("orders.xls", Value::Null),
        ("orders.ods", json!("1 day, 2:03:04")),
    ] {
        let script = Script::new(
            "from wardian import sheets\n[[cell if type(cell) in (int, float, str, bool, type(None)) else str(cell) \
             for cell in row] for row in sheets.read('orders', 'Orders')]",
        );
        let bytes = fs::read(here("data").join(name)).unwrap();
        assert_eq!(
            value(script.file("orders", bytes)),
            json!([
                ["name", "amount", "at", "done"],
                ["café", 2, "2025-03-04 05:06:07", true],
                ["b", 1.5, extra, false]
            ]),
            "{name}"
        );
    }
}

#[test]
fn what_is_no_spreadsheet_is_told() {
    for (source, expected) in [
        (
            "sheets.read(b'')",
            "ValueError: this is no spreadsheet: XLSX, XLSM, XLSB, XLS and ODS can be read",
        ),
        (
            "sheets.read(b'PK' + bytes(100))",
            "ValueError: this is no spreadsheet",
        ),
        ("sheets.read('nothing.xlsx')", "FileNotFoundError"),
        (
            "sheets.read(book(), 'Other')",
            "KeyError: \"there is no sheet 'Other': there are 'Sheet1'\"",
        ),
        (
            "sheets.read(book(), 1)",
            "KeyError: \"there is no sheet 1: there are 'Sheet1'\"",
        ),
        (
            "sheets.write('x.xlsx', [[object()]])",
            "TypeError: a cell can't hold a object",
        ),
        (
            "sheets.write('x.xlsx', {'a/b': [[1]]})",
            "ValueError: the sheet \"a/b\" can't be written: ",
        ),
        (
            "sheets.write('x.xlsx', [['x' * 40_000]])",
            "ValueError: the sheet \"Sheet1\" can't be written: ",
        ),
        (
            "sheets.write('x.xlsx', [range(20_000)])",
            "ValueError: the sheet \"Sheet1\" can't be written: ",
        ),
    ] {
        let book = "def book():\n    import io\n    sheets.write(f := io.BytesIO(), [[1]])\n    return f.getvalue()";
        let code = format!("from wardian import sheets\n{book}\n{source}");
        let outcome = sandbox().run_blocking(code).unwrap();
        let error = outcome.stderr.text();
        assert!(error.contains(expected), "{source}: {error}");
    }
}

/// A file that says it has a cell in the last row and column is an end of the run at its memory.
#[test]
fn a_spreadsheet_takes_no_more_memory_than_the_run_has() {
    let code = indoc! {r#"
        import io, zipfile
        from wardian import sheets
        sheets.write(f := io.BytesIO(), [[1], [2]], header=False)
        old, new = zipfile.ZipFile(f), zipfile.ZipFile(bomb := io.BytesIO(), "w")
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'r="A2"', b'r="XFD1048576"').replace(b'r="2"', b'r="1048576"'))
        new.close()
        sheets.read(bomb.getvalue())
    "#};
    let policy = limited(Limit::Memory, 128 << 20);
    let outcome = sandbox_of(policy).run_blocking(code).unwrap();
    assert!(
        matches!(
            outcome.verdict,
            Verdict::Limit {
                limit: Limit::Memory,
                ..
            }
        ),
        "{outcome:?}"
    );
}

/// `docs/charts.md` names every function of the stand-in, and no other.
#[test]
fn the_page_names_every_function() {
    let there = value(
        "import matplotlib.pyplot as plt\n\
         [name for name in dir(plt) if name[0] != '_' and name not in ('Axes', 'Figure', 'rcParams')]",
    );
    let page = fs::read_to_string(here("../docs/charts.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, list) = page.split_once(" Functions: ").unwrap();
    let (list, _) = list.split_once("; the same as methods").unwrap();
    let named: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(json!(named), there);
}
