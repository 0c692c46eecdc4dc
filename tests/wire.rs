//! The contract on the wire: what goes in and comes out is JSON that is read back as it was, by
//! published schemas.

use std::collections::BTreeSet;
use std::path::Path;

use indoc::indoc;
use serde_json::{Value as Json, json};
use wardian::audit::{self, Record};
use wardian::policy::Allowance::AtMost;
use wardian::policy::{Access, Action, Grant, Limit, Permission, Profile, ScreenRules, ToolRules};
use wardian::wire::{Report, ReportError, schemas};
use wardian::{
    Call, Limits, Log, Outcome, Policy, Sandbox, Script, Tool, ToolError, Verdict, load_policy,
};
use wardian_testkit::runtime;

use crate::{run, run_within, unscreened, value};

const EXAMPLES: [&str; 7] = [
    "analyst",
    "customer_service",
    "full",
    "readonly",
    "standard",
    "strict",
    "support",
];

fn example(name: &str) -> Policy {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    load_policy(directory.join(format!("{name}.toml"))).unwrap()
}

fn schema(name: &str) -> Json {
    let [schema] = schemas()
        .into_iter()
        .filter(|(known, _)| *known == name)
        .map(|(_, schema)| schema)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    schema
}

#[track_caller]
fn assert_fits(name: &str, json: &Json) {
    let fits = jsonschema::validate(&schema(name), json);
    assert!(fits.is_ok(), "{json:#}: {fits:?}");
}

/// Sends an outcome as text, and reads it back.
#[track_caller]
fn assert_survives(outcome: &Outcome) -> Json {
    let text = serde_json::to_string(outcome).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    assert_fits("outcome", &json);
    let back: Outcome = serde_json::from_str(&text).unwrap();
    assert_eq!(&back, outcome);
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    json
}

/// `UPDATE_EXPECT=1` writes them anew.
#[test]
fn the_schemas_are_published() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
    for (name, schema) in schemas() {
        let file = directory.join(format!("{name}.schema.json"));
        let schema = format!("{schema:#}\n");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &schema).unwrap();
        }
        let published = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            published == schema,
            "{name}: UPDATE_EXPECT=1 writes it anew"
        );
    }
}

#[test]
fn outcomes_of_every_kind_are_read_back_as_they_were() {
    let little = |limit, amount| Limits::default().with(limit, AtMost(amount)).unwrap();
    for (script, verdict) in [
        ("print('x'); {'a': [1, 0.1 + 0.2, None]}", "completed"),
        ("float('nan')", "completed"),
        ("object()", "completed"),
        ("x = 1", "completed"),
        (
            "import sys\nsys.stdout.buffer.write(b'\\xff\\x00\\xfe')",
            "completed",
        ),
        ("print('\\ufffd\\x00\\x1b[0m')", "completed"),
        ("1 / 0", "raised"),
        ("raise SystemExit(3)", "exited"),
        ("raise SystemExit", "exited"),
        ("open('/etc/passwd')", "raised"),
        ("import wardian\nwardian.call('none')", "raised"),
        ("x = (", "raised"),
    ] {
        let json = assert_survives(&run(script));
        assert_eq!(json["verdict"], verdict, "{script}");
        assert_eq!(json["version"], 1);
    }
    for (limit, amount, script) in [
        (Limit::Fuel, 50_000_000, "while True: pass"),
        (
            Limit::Memory,
            64 << 20,
            "x = []\nwhile True: x.append(bytearray(1 << 20))",
        ),
        (Limit::Timeout, 200_000_000, "import time\ntime.sleep(60)"),
        (Limit::Stdout, 1 << 10, "print('ä' * 5_000)"),
    ] {
        let outcome = run_within(script, little(limit, amount));
        let json = assert_survives(&outcome);
        if limit == Limit::Stdout {
            let stream = &json["streams"]["stdout"];
            assert_eq!(
                (&stream["truncated"], &stream["written_bytes"]),
                (&json!(true), &json!(10_001))
            );
        } else {
            assert_eq!(json["limit"]["key"], limit.key());
        }
    }
}

#[test]
fn outcomes_keep_their_places_in_policy_files() {
    let host = tempfile::tempdir().unwrap();
    let policy = host.path().join("policy.toml");
    std::fs::create_dir(host.path().join("in")).unwrap();
    let text = indoc! {r#"
        version = 1
        permissions = ["EXECUTE_CODE", "READ_FILE"]
        allowed_paths = [{ path = "/in", host = "in", access = "read" }]
        [source]
        profile = "standard"
    "#};
    std::fs::write(&policy, text).unwrap();
    let sandbox = Sandbox::new(runtime(), load_policy(&policy).unwrap()).unwrap();
    let json = assert_survives(&sandbox.run_blocking("open('/in/x', 'w')").unwrap());
    let refusal = &json["refusals"][0];
    assert_eq!(
        (&refusal["operation"], &refusal["location"]["line"]),
        (&json!("write"), &json!(2))
    );
    let json = assert_survives(&sandbox.run_blocking("import socket\neval('1')").unwrap());
    assert_eq!(json["violations"][0]["rule"], "import");

    std::fs::write(&policy, "version = 1\npermissions = []\n").unwrap();
    let sandbox = Sandbox::new(runtime(), load_policy(&policy).unwrap()).unwrap();
    let json = assert_survives(&sandbox.run_blocking("1").unwrap());
    assert_eq!(
        (&json["verdict"], &json["denial"]["location"]["line"]),
        (&json!("denied"), &json!(2))
    );
}

#[test]
fn a_report_that_no_outcome_has_is_refused() {
    let report = |edit: fn(&mut Json)| {
        let mut json = run("1 / 0").json();
        edit(&mut json);
        serde_json::from_value::<Report>(json).map(Outcome::try_from)
    };
    assert!(matches!(report(|_| {}), Ok(Ok(_))));
    for (edit, expected) in [
        (
            (|json| json["version"] = 2.into()) as fn(&mut Json),
            ReportError::Version(2),
        ),
        (
            |json| json["run_id"] = Json::Null,
            ReportError::Field("run_id"),
        ),
        (
            |json| json["exception"] = Json::Null,
            ReportError::Field("exception"),
        ),
        (
            |json| json["source_sha256"] = Json::Null,
            ReportError::Field("source_sha256"),
        ),
        (
            |json| json["streams"]["stdout"]["base64"] = "%".into(),
            ReportError::Field("streams.stdout"),
        ),
        (
            |json| json["streams"]["stdout"]["base64"] = "eA==".into(),
            ReportError::Contradiction,
        ),
        (
            |json| json["success"] = true.into(),
            ReportError::Contradiction,
        ),
        (
            |json| json["error"] = "another".into(),
            ReportError::Contradiction,
        ),
        (
            |json| json["exit_status"] = 0.into(),
            ReportError::Contradiction,
        ),
        (
            |json| json["usage"]["wall_ms"] = (-1.0).into(),
            ReportError::Contradiction,
        ),
    ] {
        assert_eq!(report(edit).unwrap().unwrap_err(), expected);
    }
    // A verdict that no run comes to, and a field that there is not.
    let usage = report(|json| json["verdict"] = "usage".into()).unwrap();
    assert!(matches!(usage, Err(ReportError::NoRun(..))));
    assert!(report(|json| json["more"] = 1.into()).is_err());
}

#[test]
fn scripts_are_read_back_as_they_were() {
    let full = Script::new("import helper\nprint(helper.x)")
        .named("a.py")
        .module("helper", "x = 1")
        .module("package.part", "y = 2")
        .arg("--fast")
        .input("rows", vec![1, 2])
        .input("ratio", f64::NAN)
        .input("forged", json!({"$float": "nan"}))
        .env("LANG", "C")
        .stdin("text");
    for script in [Script::new(""), full.clone(), full.stdin(vec![0xff, 0x00])] {
        let json = serde_json::to_value(&script).unwrap();
        assert_fits("script", &json);
        let back: Script = serde_json::from_value(json).unwrap();
        assert_eq!(back, script);
    }
    let script: Script =
        serde_json::from_str(r#"{"source": "x * 2", "inputs": {"x": 21}}"#).unwrap();
    assert_eq!(value(script), 42);
    let script = r#"{"source": "import sys\nsys.stdin.read()", "stdin_base64": "aGk="}"#;
    assert_eq!(value(serde_json::from_str::<Script>(script).unwrap()), "hi");
}

#[test]
fn what_is_no_script_is_refused_by_name() {
    for (form, message) in [
        (json!({}), "source"),
        (json!({"source": "1", "version": 2}), "version"),
        (
            json!({"source": "1", "stdin": "", "stdin_base64": ""}),
            "stdin_base64",
        ),
        (json!({"source": "1", "stdin_base64": "%"}), "stdin_base64"),
        (json!({"source": "1", "sauce": 1}), "sauce"),
        (json!({"source": 1}), "string"),
    ] {
        let error = serde_json::from_value::<Script>(form)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn policies_grant_the_same_when_they_are_read_back() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut policies: Vec<_> = EXAMPLES.into_iter().map(example).collect();
    let grant = Grant::new("/data", here, Access::READ_WRITE).unwrap();
    policies.push(
        unscreened()
            .with_permissions(Permission::READ_FILE)
            .with_grant(grant)
            .unwrap(),
    );
    let rules = ScreenRules {
        allowed_imports: Some(["json".to_owned()].into_iter().collect()),
        ..ScreenRules::default()
    };
    let mut changed = Profile::Strict.source_rules();
    changed.rules = rules;
    policies.push(Policy::computing().with_source_rules(changed));
    for policy in policies {
        let json = serde_json::to_value(&policy).unwrap();
        assert_fits("policy", &json);
        let back: Policy = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(back.sha256(), policy.sha256());
        assert_eq!(serde_json::to_value(&back).unwrap(), json);
        assert_eq!(
            (back.widenings(&policy), policy.widenings(&back)),
            (vec![], vec![])
        );
    }
}

#[test]
fn what_is_no_policy_is_refused_by_name() {
    let policy = example("analyst");
    let refused = |edit: fn(&mut Json)| {
        let mut json = serde_json::to_value(&policy).unwrap();
        edit(&mut json);
        serde_json::from_value::<Policy>(json)
            .unwrap_err()
            .to_string()
    };
    for (edit, message) in [
        (
            (|json| json["version"] = 2.into()) as fn(&mut Json),
            "version",
        ),
        (|json| json["permissions"] = json!(["ROOT"]), "ROOT"),
        (
            |json| json["allowed_paths"][0]["host"] = "data".into(),
            "allowed_paths",
        ),
        (
            |json| json["allowed_paths"][0]["host"] = "/".into(),
            "allowed_paths",
        ),
        (
            |json| json["allowed_paths"][0]["access"] = "execute".into(),
            "execute",
        ),
        (
            |json| json["allowed_paths"][1] = json["allowed_paths"][0].clone(),
            "overlaps",
        ),
        (
            |json| json["allowed_domains"] = json!(["ftp://x"]),
            "allowed_domains",
        ),
        (|json| json["limits"]["limits.fuel"] = 0.into(), "limits"),
        (
            |json| json["limits"]["limits.fuel"] = "much".into(),
            "Amount",
        ),
        (
            |json| json["limits"]["limits.more"] = 1.into(),
            "limits.more",
        ),
        (
            |json| {
                drop(
                    json["limits"]
                        .as_object_mut()
                        .unwrap()
                        .remove("limits.fuel"),
                )
            },
            "limits.fuel",
        ),
        (|json| json["source"]["profile"] = "loose".into(), "loose"),
        (
            |json| json["source"]["forbidden_calls"] = json!(["a;b"]),
            "a;b",
        ),
        (|json| json["env"] = json!({"A=B": ""}), "A=B"),
        (
            |json| {
                json["tools"] =
                    json!({"Send": {"max_calls": 1, "approval": false, "args": {}, "config": {}}})
            },
            "Send",
        ),
        (|json| json["more"] = 1.into(), "more"),
    ] {
        let error = refused(edit);
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Double {
    number: i64,
}

async fn double(args: Double, _: Call) -> Result<i64, ToolError> {
    Ok(args.number * 2)
}

#[test]
fn records_are_as_their_schema_says() {
    let (log, memory) = Log::memory();
    let policy = unscreened()
        .with_tool("double", ToolRules::default())
        .with_limits(crate::little_fuel());
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let double = Tool::new("double", Action::Execute, double).unwrap();
    let sandbox = sandbox.with_tools([double]).unwrap();
    let sandbox = sandbox.with_audit(log).unwrap();
    for script in [
        "open('/etc/passwd')",
        "from wardian import tools\ntools.double(number=21)",
        "from wardian import tools\ntools.double(number='x')",
        "raise SystemExit(2)",
        "while True: pass",
    ] {
        let outcome = sandbox.run_blocking(script).unwrap();
        assert!(!matches!(outcome.verdict, Verdict::Crashed { .. }));
    }
    let mut events = BTreeSet::new();
    for line in memory.text().lines() {
        let json: Json = serde_json::from_str(line).unwrap();
        assert_fits("record", &json);
        let record: Record = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), json);
        events.insert(record.event.name());
    }
    let events: Vec<_> = events.into_iter().collect();
    let expected = [
        "file",
        "limit",
        "run_finished",
        "run_started",
        "tool_finished",
        "tool_started",
    ];
    assert_eq!(events, expected);
    assert!(audit::verify(memory.text().as_bytes()).is_ok());
}

#[test]
fn floats_are_the_same_on_both_sides() {
    let floats = [
        0.1 + 0.2,
        5e-324,
        1.797_693_134_862_315_7e308,
        2.225_073_858_507_201e-308,
        9_007_199_254_740_993.0,
        -6.313_225_804_654_345e-230,
        0.954_375_412_359_843_1,
        16.625_000_000_000_004,
    ];
    let random = (0..2_000_u64).map(|n| f64::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let floats: Vec<_> = floats
        .into_iter()
        .chain(random.filter(|n| n.is_finite()))
        .collect();
    let script = Script::new("[(x, x.hex()) for x in floats]").input("floats", floats.clone());
    let outcome = assert_survives(&run(script));
    for (float, pair) in floats.iter().zip(outcome["value"].as_array().unwrap()) {
        assert_eq!(
            pair[0].as_f64().unwrap().to_bits(),
            float.to_bits(),
            "{float}: {pair}"
        );
    }
}
