//! Displays: what a script shows, besides what it prints.

use rustpython_vm::builtins::{PyDictRef, PyStr};
use rustpython_vm::{PyObjectRef, PyResult, VirtualMachine};
use wardian_abi::{DISPLAY_BYTES, DISPLAY_FORMS, Display, is_mime_type, tool};

use crate::tools::host;

/// The function that `support.py` shows things by, with its name there.
pub(crate) fn function(vm: &VirtualMachine) -> (&'static str, PyObjectRef) {
    ("show", vm.new_function("show", show).into())
}

/// `show(forms, is_result)`: hands over something that is shown, its forms by MIME type.
fn show(forms: PyDictRef, is_result: bool, vm: &VirtualMachine) -> PyResult<()> {
    let mut display = Display {
        data: Default::default(),
        is_result,
    };
    for (mime, form) in forms {
        let text = |object: &PyObjectRef| {
            let text = object.downcast_ref::<PyStr>()?.to_str()?;
            Some(text.to_owned())
        };
        let mime = text(&mime).filter(|mime| is_mime_type(mime));
        let mime = mime.ok_or_else(|| {
            vm.new_value_error("the name of a form is that of a MIME type: 'text/html'")
        })?;
        let form = text(&form).ok_or_else(|| {
            vm.new_type_error(format!(
                "{mime} can't be shown: it is no text, or holds a lone surrogate"
            ))
        })?;
        display.data.insert(mime, form);
    }
    if display.data.len() > DISPLAY_FORMS {
        return Err(vm.new_value_error(format!(
            "can't be shown: it has {} forms, and {DISPLAY_FORMS} are the most",
            display.data.len()
        )));
    }
    let json = serde_json::to_vec(&display).expect("a display is JSON");
    if json.len() > DISPLAY_BYTES as usize {
        let [is, most] = [json.len(), DISPLAY_BYTES as usize];
        return Err(vm.new_value_error(format!(
            "can't be shown: it takes {is} bytes of JSON, and {most} is the most"
        )));
    }
    host(tool::SHOW, json.as_ptr().addr() as u32, json.len() as u32);
    Ok(())
}
