//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/list.rs
//! Item: Py<PyList>::index = 61b4650ef08525c4
//! Item: Py<PyList>::remove = c2498f5163546edc
//! Test: tests/python/messages.py
//!
//! Reason: `[1].remove(2)` said "'2' is not in list", as of a string.
//!
//! Upstream: list.index and list.remove show an int as a string
//!
//! The messages in CPython 3.14 are "list.index(x): x not in list" and "list.remove(x): x not in list". Here they quote
//! the value's `str()`, so that a missing 2 reads like a missing "2".

impl Py<PyList> {
    #[pymethod]
    fn index(
        &self,
        value: PyObjectRef,
        range: OptionalRangeArgs,
        vm: &VirtualMachine,
    ) -> PyResult<usize> {
        let (start, stop) = range.saturate(self.__len__(), vm)?;
        let index: Option<usize> = self.mut_index_range(vm, &value, start..stop)?.into();
        index.ok_or_else(|| vm.new_value_error("list.index(x): x not in list"))
    }

    #[pymethod]
    fn remove(&self, value: PyObjectRef, vm: &VirtualMachine) -> PyResult<()> {
        let index: Option<usize> = self.mut_index(vm, &value)?.into();
        let Some(index) = index else {
            return Err(vm.new_value_error("list.remove(x): x not in list"));
        };
        // It is dropped when the list is free again, because its finalizer may use the list.
        let removed = {
            let mut elements = self.borrow_vec_mut();
            (index < elements.len()).then(|| elements.remove(index))
        };
        drop(removed);
        Ok(())
    }
}
