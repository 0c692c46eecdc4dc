//! A guard against getting slower that does not depend on the machine: what scripts cost is on
//! record.
//!
//! `UPDATE_EXPECT=1` writes the record anew, for changes that are meant.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{run, text};

/// By what part a cost may differ from the record, either way: what got better belongs on record
/// too.
const TOLERANCE: [(&str, f64); 3] = [("fuel", 0.05), ("pages", 0.1), ("bytes", 0.05)];

/// Every cost by its name: `fuel of print("hi")`.
fn costs() -> BTreeMap<String, u64> {
    let output = run(&["bench", "--costs", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut costs = BTreeMap::new();
    for script in told["costs"].as_array().unwrap() {
        for of in ["fuel", "pages"] {
            // Pages are counted up to 512: what is near that would be on record one day and gone
            // the next.
            if let Some(cost) = script[of]
                .as_u64()
                .filter(|cost| of != "pages" || *cost < 450)
            {
                let name = format!("{of} of {}", script["script"].as_str().unwrap());
                costs.insert(name, cost);
            }
        }
    }
    let binary = fs::metadata(env!("CARGO_BIN_EXE_wardian")).unwrap();
    costs.insert("bytes of the binary".to_owned(), binary.len());
    costs
}

#[test]
fn costs_are_on_record() {
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/costs.json");
    let costs = costs();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let text = serde_json::to_string_pretty(&json!(costs)).unwrap();
        fs::write(&record, text + "\n").unwrap();
        return;
    }
    let recorded: BTreeMap<String, u64> =
        serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let names = |costs: &BTreeMap<String, u64>| costs.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&costs), names(&recorded));
    for (name, cost) in &costs {
        let (_, tolerance) = TOLERANCE
            .into_iter()
            .find(|(of, _)| name.starts_with(of))
            .unwrap();
        let recorded = recorded[name];
        let differs = *cost as f64 / recorded as f64 - 1.0;
        assert!(
            differs.abs() <= tolerance,
            "{name}: {cost}, {:+.1} % of the {recorded} on record. If that is meant, run this with UPDATE_EXPECT=1.",
            differs * 100.0
        );
    }
    let again = self::costs();
    assert_eq!(again, costs, "costs are the same every time");
}

#[test]
fn a_bench_is_a_table_for_people() {
    let output = run(&["bench", "--costs"]);
    let table = text(&output.stdout);
    assert!(table.starts_with(" SCRIPT"), "{table}");
    assert!(table.contains("print(\"hi\")"), "{table}");
}
