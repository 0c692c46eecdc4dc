//! Figures as SVG, PNG and data.

use serde_json::{Value, json};
use wardian_plot::{Figure, color};

fn axis() -> Value {
    json!({
        "label": "", "scale": "linear", "names": [], "limits": [null, null], "ticks": null, "tick_labels": null,
        "turn": null, "grid": true, "inverted": false
    })
}

fn axes(marks: Value) -> Value {
    json!({
        "row": 0, "column": 0, "title": "", "x": axis(), "y": axis(), "marks": marks,
        "legend": {"location": "best", "title": "names"}, "framed": true
    })
}

fn figure(axes: Vec<Value>) -> Value {
    json!({
        "width": 360, "height": 240, "title": "A <figure> & \"more\"\u{1}", "background": "#ffffffff", "rows": 1,
        "columns": axes.len(), "share": [false, false], "axes": axes
    })
}

fn read(description: &Value) -> Figure {
    Figure::from_json(&description.to_string())
        .unwrap_or_else(|error| panic!("{error}: {description}"))
}

fn line(x: Value, y: Value) -> Value {
    let pen = json!({"color": "red", "width": 1.5, "dash": "dashed"});
    json!({"kind": "line", "x": x, "y": y, "label": "a < b", "pen": pen, "marker": "o", "size": 6, "color": "red"})
}

fn bar(at: f64, name: &str, length: f64) -> Value {
    json!({"at": at, "name": name, "length": length, "base": 0, "thickness": 0.8, "error": 0.1, "color": "C0c"})
}

/// One mark of every kind.
fn marks() -> Vec<Value> {
    let mut bar = bar(0.0, "north", 3.0);
    bar["color"] = "tab:blue".into();
    vec![
        line(json!([1, 2, null, 4]), json!([1, 3, 2, 5])),
        json!({
            "kind": "scatter", "x": [1, 2], "y": [3, 4], "label": "dots", "marker": "*", "sizes": [6, 12],
            "colors": ["g"]
        }),
        json!({"kind": "bars", "bars": [bar], "horizontal": false, "label": "bars", "edge": null}),
        json!({"kind": "area", "x": [1, 2], "low": [0, 0], "high": [1, 2], "label": "", "color": "#ff000080"}),
        json!({"kind": "rule", "at": 2, "horizontal": true, "label": "", "pen": {"color": "0.5", "width": 1}}),
        json!({"kind": "span", "from": 1, "to": 2, "horizontal": false, "label": "", "color": "y"}),
        json!({
            "kind": "pie", "start": 90, "clockwise": true, "hole": 0.5,
            "shares": [{"value": 1, "label": "one", "name": "one", "note": "100%", "color": "b", "apart": 0.1}]
        }),
        json!({
            "kind": "boxes", "thickness": 0.5, "horizontal": false, "filled": true, "outliers": true,
            "groups": [{
                "at": 1, "label": "g", "low": 1, "first": 2, "median": 3, "third": 4, "high": 5, "outliers": [9],
                "color": "pink"
            }]
        }),
        json!({
            "kind": "text", "x": 1, "y": 2, "text": "a\nb", "color": "k", "size": 10, "horizontal": "middle",
            "vertical": "end", "turn": 30
        }),
    ]
}

#[test]
fn texts_are_escaped() {
    let svg = read(&figure(vec![axes(json!([line(
        json!([1, 2]),
        json!([1, 2])
    )]))]))
    .svg();
    assert!(
        svg.contains("A &lt;figure&gt; &amp; \"more\"\u{fffd}</text>"),
        "{svg}"
    );
    assert!(svg.contains("a &lt; b</text>"), "{svg}");
    assert!(!svg.contains("<figure>") && !svg.contains('\u{1}'), "{svg}");
}

#[test]
fn every_mark_is_drawn() {
    let mut empty = axes(json!([]));
    empty["legend"] = Value::Null;
    for axis in ["x", "y"] {
        empty[axis]["limits"] = json!([0, 6]);
    }
    let [no_svg, no_png] = [read(&figure(vec![empty.clone()]))]
        .map(|figure| [figure.svg().len(), figure.png(72.0).unwrap().len()])[0];
    for mark in marks() {
        let mut one = empty.clone();
        one["marks"] = json!([mark]);
        let figure = read(&figure(vec![one]));
        assert!(figure.svg().len() > no_svg, "{mark}");
        let png = figure.png(72.0).unwrap();
        assert!(
            png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() != no_png,
            "{mark}"
        );
        // The size that the head of a PNG says.
        assert_eq!(png[16..24], [0, 0, 1, 104, 0, 0, 0, 240]);
    }
}

#[test]
fn a_picture_is_bounded() {
    let figure = read(&figure(vec![]));
    for dpi in [0.0, -1.0, 0.1, 1e9, f32::NAN, f32::INFINITY] {
        let error = figure.png(dpi).unwrap_err();
        assert!(
            error.contains("pixels can't be made: it has one pixel at least"),
            "{error}"
        );
    }
}

/// Whatever the numbers are, nothing panics, and what is not a number in a picture is left out.
#[test]
fn numbers_can_be_anything() {
    let extremes: [f64; 7] = [0.0, -0.0, 1e-320, 1e308, -1e308, 1e15, -1.0];
    for scale in ["linear", "log", "date", "category"] {
        for one in extremes {
            for other in extremes {
                let mut chart = axes(json!(marks()));
                chart["marks"].as_array_mut().unwrap().extend([
                    line(json!([one, other]), json!([other, one])),
                    json!({"kind": "bars", "bars": [], "horizontal": true, "label": "none", "edge": null}),
                    json!({
                        "kind": "scatter", "x": [one], "y": [other], "label": "no sizes", "marker": "o", "sizes": [],
                        "colors": []
                    }),
                ]);
                for axis in ["x", "y"] {
                    chart[axis]["scale"] = scale.into();
                    chart[axis]["limits"] = json!([one, null]);
                    chart[axis]["ticks"] = if one == 0.0 {
                        Value::Null
                    } else {
                        json!([one, other])
                    };
                    chart[axis]["turn"] = json!(other.clamp(-1e9, 1e9));
                }
                let figure = read(&figure(vec![chart]));
                let svg = figure.svg();
                assert!(
                    !svg.contains("NaN") && !svg.contains("inf\""),
                    "{scale} {one} {other}"
                );
                assert!(figure.data().starts_with('{'));
                figure.png(20.0).unwrap();
            }
        }
    }
}

#[test]
fn what_is_no_figure_is_refused() {
    let mut unknown = figure(vec![]);
    unknown["more"] = 1.into();
    for description in [json!(1), json!({}), unknown] {
        assert!(
            Figure::from_json(&description.to_string()).is_err(),
            "{description}"
        );
    }
    let mut charts = figure(vec![axes(json!([bar(0.0, "", 1.0)]))]);
    assert!(Figure::from_json(&charts.to_string()).is_err());
    // A chart outside of the table is not drawn.
    charts["axes"] = json!([axes(json!([]))]);
    charts["axes"][0]["row"] = 9.into();
    assert!(read(&charts).svg().ends_with("</svg>\n"));
}

#[test]
fn ticks_are_round() {
    let labels = |scale: &str, low: f64, high: f64| {
        let mut chart = axes(json!([line(json!([low, high]), json!([1, 2]))]));
        chart["x"]["scale"] = scale.into();
        chart["x"]["limits"] = json!([low, high]);
        let data: Value = serde_json::from_str(&read(&figure(vec![chart])).data()).unwrap();
        let labels = data["x_tick_labels"].as_array().unwrap().clone();
        labels
            .iter()
            .map(|label| label.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(labels("linear", 0.0, 1.0), "0.0 0.2 0.4 0.6 0.8 1.0");
    assert_eq!(
        labels("linear", -2.0, 2.0),
        "\u{2212}2.0 \u{2212}1.5 \u{2212}1.0 \u{2212}0.5 0.0 0.5 1.0 1.5 2.0"
    );
    assert_eq!(
        labels("linear", 0.0, 1_200_000.0),
        "0 200000 400000 600000 800000 1000000 1200000"
    );
    assert_eq!(
        labels("linear", 0.0, 6e12),
        "0e0 1e12 2e12 3e12 4e12 5e12 6e12"
    );
    assert_eq!(labels("log", 1.0, 1e4), "10⁰ 10¹ 10² 10³ 10⁴");
    assert_eq!(
        labels("date", 19_723.0, 20_088.0),
        "2024-01 2024-04 2024-07 2024-10"
    );
    assert_eq!(
        labels("date", 19_723.0, 19_732.0),
        "2024-01-02 2024-01-04 2024-01-06 2024-01-08 2024-01-10"
    );
    assert_eq!(
        labels("date", 0.0, 20_000.0),
        "1970 1980 1990 2000 2010 2020"
    );
}

/// The forms of E2B's `Result.chart`.
#[test]
fn data_has_the_form_of_e2b() {
    let data = |marks: Value| -> Value {
        let mut chart = axes(marks);
        chart["title"] = "Revenue".into();
        chart["y"]["label"] = "Revenue (EUR)".into();
        serde_json::from_str(&read(&figure(vec![chart])).data()).unwrap()
    };
    let [marked_line, scatter, bars, _, rule, _, pie, boxes, _]: [Value; 9] =
        marks().try_into().unwrap();
    let lines = data(json!([rule, marked_line]));
    assert_eq!(
        [
            &lines["type"],
            &lines["title"],
            &lines["y_unit"],
            &lines["x_label"],
            &lines["x_scale"]
        ],
        [
            &json!("line"),
            &json!("Revenue"),
            &json!("EUR"),
            &Value::Null,
            &json!("linear")
        ]
    );
    assert_eq!(
        lines["elements"],
        json!([{"label": "a < b", "points": [[1.0, 1.0], [2.0, 3.0], [4.0, 5.0]]}])
    );
    assert_eq!(data(json!([scatter]))["type"], "scatter");
    let bars = data(json!([bars]));
    assert_eq!(bars["type"], "bar");
    assert_eq!(
        bars["elements"],
        json!([{"label": "north", "group": "bars", "value": 3.0}])
    );
    let pie = data(json!([pie]));
    assert_eq!(pie["type"], "pie");
    assert_eq!(
        pie["elements"],
        json!([{"label": "one", "angle": 360.0, "radius": 1.0, "autopct": "100%"}])
    );
    let boxes = data(json!([boxes]));
    assert_eq!(boxes["type"], "box_and_whisker");
    assert_eq!(
        boxes["elements"],
        json!([{
            "label": "g", "min": 1.0, "first_quartile": 2.0, "median": 3.0, "third_quartile": 4.0, "max": 5.0,
            "outliers": [9.0]
        }])
    );
    let both: Value =
        serde_json::from_str(&read(&figure(vec![axes(json!([])), axes(json!([]))])).data())
            .unwrap();
    assert_eq!(
        (&both["type"], &both["elements"][1]["type"]),
        (&json!("superchart"), &json!("unknown"))
    );
}

#[test]
fn colors_have_names() {
    for (text, expected) in [
        ("red", Some("#ff0000ff")),
        ("r", Some("#ff0000ff")),
        ("#1f7", Some("#11ff77ff")),
        ("#12345678", Some("#12345678")),
        ("0.5", Some("#808080ff")),
        ("tab:orange", Some("#ff7f0eff")),
        ("None", Some("#00000000")),
        ("#12", None),
        ("#+12345", None),
        ("2", None),
        ("nan", None),
        ("rouge", None),
    ] {
        assert_eq!(color(text).as_deref(), expected, "{text}");
    }
}
