//! The request of a run: what the guest is told, as JSON.

use std::path::Path;

use wardian_abi::{Request, SCRIPT_NAME, SessionCall, VERSION, tool};
use wardian_policy::{Limit, Limits};

use super::Script;
use crate::{Error, Gate};

/// The most bytes of JSON that a script's inputs, arguments and environment take.
const INPUT_BYTES: usize = 16 << 20;

/// Writes the request for a run. Returns it with what the guest reads from its standard input.
pub(super) fn write_request(
    mut script: Script,
    call: Option<SessionCall>,
    gate: &Gate,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let policy = gate.policy();
    let limits = policy.limits();
    for (name, value) in policy.env() {
        let value = || value.clone();
        script.env.entry(name.clone()).or_insert_with(value);
    }
    let stdin = std::mem::take(&mut script.stdin);
    let tools = gate.specs();
    let mut rules = policy.source_rules().screening().cloned();
    if let Some(allowed) = rules
        .as_mut()
        .and_then(|rules| rules.allowed_imports.as_mut())
    {
        // Whoever may call tools may import them.
        if !tools.is_empty() {
            allowed.extend([tool::MODULE.to_owned()]);
        }
        // A module that came along with the script is its own, and a package the policy's.
        allowed.extend(script.modules.keys().cloned());
        let packages = gate.packages().into_iter();
        allowed.extend(packages.flat_map(|packages| packages.names.iter().cloned()));
    }
    // Source that is escaped byte by byte takes six times its size, and is allowed to.
    let max = INPUT_BYTES + script.source_bytes().saturating_mul(6);
    let request = Request {
        version: VERSION,
        source: script.source,
        call,
        file: script.name.as_deref().and_then(file_name),
        work: policy.work().map(ToString::to_string),
        packages: policy.package_directory().map(ToString::to_string),
        modules: script.modules,
        args: script.args,
        inputs: script.inputs,
        env: script.env,
        tools,
        rules,
        value_bytes: limits.get(Limit::Value).or_max(),
        value_depth: max_value_depth(limits),
        interactive: script.interactive,
    };
    let json = serde_json::to_vec(&request).map_err(|error| Error::Host(error.to_string()))?;
    let bytes = json.len();
    if bytes > max {
        return Err(Error::InputsTooLarge {
            bytes,
            max_bytes: INPUT_BYTES,
        });
    }
    Ok((json, stdin))
}

/// Makes a script's `__file__` of its name, without the directories of the host.
fn file_name(name: &str) -> Option<String> {
    let file = Path::new(name).file_name()?.to_str()?;
    (file != SCRIPT_NAME).then(|| format!("/{file}"))
}

/// Returns the deepest nesting of a value that comes back.
pub(super) fn max_value_depth(limits: &Limits) -> u32 {
    u32::try_from(limits.get(Limit::ValueDepth).or_max()).unwrap_or(u32::MAX)
}
