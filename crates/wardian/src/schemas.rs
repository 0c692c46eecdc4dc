//! The published JSON Schemas of the contract on the wire.

use serde_json::Value;
use wardian_audit::Record;
use wardian_policy::CanonicalPolicy;

use crate::run::{Report, ScriptForm};

/// Returns the JSON Schema of each form on the wire, by its name: `script`, `outcome`, `policy`,
/// `record`.
///
/// `policy` is the canonical form; the schema of policy files is
/// [`policy::schema`](wardian_policy::schema).
pub fn schemas() -> [(&'static str, Value); 4] {
    [
        ("script", schemars::schema_for!(ScriptForm).to_value()),
        ("outcome", schemars::schema_for!(Report).to_value()),
        ("policy", schemars::schema_for!(CanonicalPolicy).to_value()),
        ("record", schemars::schema_for!(Record).to_value()),
    ]
}
