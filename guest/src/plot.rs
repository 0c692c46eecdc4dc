//! `_wardian_plot`: figures that are described as JSON, as SVG, PNG and data.
//! `library/wardian/_figure.py` describes them.

pub(crate) use _wardian_plot::module_def;

#[rustpython_vm::pymodule]
mod _wardian_plot {
    use rustpython_vm::builtins::{PyBytesRef, PyStrRef};
    use rustpython_vm::function::ArgIntoFloat;
    use rustpython_vm::{PyResult, VirtualMachine};
    use wardian_plot::Figure;

    fn figure(description: &PyStrRef, vm: &VirtualMachine) -> PyResult<Figure> {
        let description = description.to_str().unwrap_or_default();
        Figure::from_json(description).map_err(|error| vm.new_value_error(error))
    }

    #[pyfunction]
    fn svg(description: PyStrRef, vm: &VirtualMachine) -> PyResult<String> {
        Ok(figure(&description, vm)?.svg())
    }

    #[pyfunction]
    fn png(description: PyStrRef, dpi: ArgIntoFloat, vm: &VirtualMachine) -> PyResult<PyBytesRef> {
        let picture = figure(&description, vm)?.png(dpi.into_float() as f32);
        let picture = picture.map_err(|error| vm.new_value_error(error))?;
        Ok(vm.ctx.new_bytes(picture))
    }

    #[pyfunction]
    fn data(description: PyStrRef, vm: &VirtualMachine) -> PyResult<String> {
        Ok(figure(&description, vm)?.data())
    }

    /// `#rrggbbaa` of a colour; `None` if it is none.
    #[pyfunction]
    fn color(text: PyStrRef) -> Option<String> {
        wardian_plot::color(text.to_str()?)
    }
}
