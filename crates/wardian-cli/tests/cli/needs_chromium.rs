//! The report of `wardian attack`, as a browser shows it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{run, text};

/// Text that must be shown and not run, and a word that fits on no line.
const HOSTILE: &str = "<script>top.ran = 1</script><img src=x onerror='top.ran = 2'></style>";

/// Of phones, and of a screen.
const WIDTHS: [u64; 4] = [320, 360, 390, 1280];

/// Looks into a frame, which has the page's origin.
const LOOK: &str = "<pre></pre><script>
onload = () => {
    const page = frames[0].document;
    const rows = [...page.querySelectorAll('details')];
    rows.forEach(row => row.open = true);
    const code = page.querySelector('code');
    const isBroken = (text, word) => {
        const range = page.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        return range.getClientRects().length > 1;
    };
    const heads = [...page.querySelectorAll('th')].map(head => head.firstChild);
    const words = heads.flatMap(text => [...text.data.matchAll(/\\S+/g)].filter(word => isBroken(text, word)));
    document.querySelector('pre').textContent = JSON.stringify({
        over: page.documentElement.scrollWidth - page.documentElement.clientWidth,
        rows: rows.length,
        broken: words.map(word => word[0]),
        agent: code.textContent,
        pixels: parseFloat(frames[0].getComputedStyle(code).fontSize),
        elements: page.querySelectorAll('script, img, link, iframe, [onerror]').length,
        loaded: frames[0].performance.getEntriesByType('resource').length,
        ran: window.ran ?? null,
    });
};
</script>";

/// Words of hostile code and of policies are text, nothing is run or loaded, and no line is wider
/// than a phone.
#[test]
fn the_report_is_safe_and_fits_on_a_phone() {
    let dir = tempfile::tempdir().unwrap();
    let [report, policy] = ["report.html", "policy.toml"].map(|name| dir.path().join(name));
    let agent = format!("{HOSTILE}{}", "x".repeat(300));
    fs::write(
        &policy,
        format!("version = 1\npermissions = [\"EXECUTE_CODE\"]\nagent = '''{agent}'''\n"),
    )
    .unwrap();
    // Some that are safe, one that has details, some that are left out.
    let only = "VAL-01,VAL-02,RES-20,FS-01,SUP";
    let tried = run(&[
        "attack",
        "--policy",
        policy.to_str().unwrap(),
        "--only",
        only,
        "--report",
        report.to_str().unwrap(),
    ]);
    assert!(tried.status.success(), "{}", text(&tried.stderr));
    let page = fs::read_to_string(&report).unwrap();
    for width in WIDTHS {
        let seen = look(&page, width, dir.path()).unwrap();
        assert_eq!(seen["over"], 0, "{width}: {seen}");
        let shown = seen["agent"].as_str().unwrap();
        assert!(
            shown.starts_with("<script>top.ran = 1</script><img"),
            "{seen}"
        );
        assert!(seen["rows"].as_u64() > Some(10), "{seen}");
        assert!(seen["pixels"].as_f64() > Some(11.0), "{seen}");
        assert_eq!(seen["broken"], Value::Array(Vec::new()), "{width}: {seen}");
        assert_eq!(seen["elements"], 0, "{seen}");
        assert_eq!(seen["loaded"], 0, "{seen}");
        assert_eq!(seen["ran"], Value::Null, "{seen}");
    }
}

/// Looks at a page in Chromium, in a frame of this width.
fn look(page: &str, width: u64, dir: &Path) -> Result<Value, String> {
    let file = dir.join("look.html");
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<!doctype html><iframe width={width} height=800 style='border: 0' srcdoc=\"{page}\"></iframe>"
    );
    fs::write(&file, frame + LOOK).map_err(|error| error.to_string())?;
    let shown = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg("--virtual-time-budget=5000")
        .arg(format!(
            "--user-data-dir={}",
            dir.join("chromium").display()
        ))
        .arg(format!("file://{}", file.display()))
        .output()
        .map_err(|error| format!("Debian's package chromium is not there: {error}"))?;
    let dom = text(&shown.stdout);
    let seen = dom
        .rsplit_once("<pre>")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map(|(seen, _)| {
            seen.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
        });
    let seen = seen.and_then(|seen| serde_json::from_str(&seen).ok());
    seen.ok_or_else(|| format!("{dom}{}", text(&shown.stderr)))
}
