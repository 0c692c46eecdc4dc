//! The modules that a script brings along, and the rules about imports once more, where imports
//! happen.
//!
//! For the script's own code: what it imports by `__import__`, by `importlib`, in code that it
//! makes up. The standard library goes on importing what it needs. A script that wants to can
//! get around this, since all of it is Python: it is hygiene, and the boundary is WebAssembly.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rustpython_vm::builtins::{PyCode, PyStrRef};
use rustpython_vm::{PyObjectRef, PyRef, PyResult, VirtualMachine};
use wardian_abi::{ModuleSource, ScreenRules};

use crate::interpreter::Support;

thread_local! {
    static RULES: RefCell<ScreenRules> = RefCell::default();
}

/// From here on, the script's imports are held to the rules.
pub(crate) fn guard(rules: ScreenRules, support: &Support, vm: &VirtualMachine) -> PyResult<()> {
    if rules.allowed_imports.is_none() && rules.forbidden_imports.is_empty() {
        return Ok(());
    }
    RULES.set(rules);
    support.guard_imports.call((), vm)?;
    Ok(())
}

/// The functions that `support.py` asks about imports, by their names there.
pub(crate) fn functions(vm: &VirtualMachine) -> [(&'static str, PyObjectRef); 2] {
    [
        (
            "import_refusal",
            vm.new_function("import_refusal", import_refusal).into(),
        ),
        (
            "allowed_parts",
            vm.new_function("allowed_parts", allowed_parts).into(),
        ),
    ]
}

/// Lets the script import the modules that it brings along, of which this is the code, in the order
/// of their names.
pub(crate) fn offer(
    modules: &BTreeMap<String, ModuleSource>,
    code: Vec<PyRef<PyCode>>,
    support: &Support,
    vm: &VirtualMachine,
) -> PyResult<()> {
    let offered = vm.ctx.new_dict();
    for ((name, module), code) in modules.iter().zip(code) {
        let file = vm.ctx.new_str(module.file.as_str());
        let is_package = vm.ctx.new_bool(module.is_package);
        let entry = vm.new_tuple((code, file, is_package));
        offered.set_item(name.as_str(), entry.into(), vm)?;
    }
    support.offer_modules.call((offered,), vm)?;
    Ok(())
}

/// Returns the reason for which a module may not be imported; `None` if it may.
fn import_refusal(module: PyStrRef) -> Option<String> {
    RULES.with_borrow(|rules| rules.import_refusal(&module.to_string_lossy()))
}

/// The parts of a module that are all a script may see of it; `None` if it may see the whole.
fn allowed_parts(module: PyStrRef, vm: &VirtualMachine) -> Option<PyObjectRef> {
    let module = module.to_string_lossy();
    RULES.with_borrow(|rules| {
        let parts = || {
            rules
                .allowed_parts(&module)
                .map(|part| vm.ctx.new_str(part).into())
        };
        let is_in_part = rules.is_allowed_in_part(&module);
        is_in_part.then(|| vm.ctx.new_list(parts().collect()).into())
    })
}
