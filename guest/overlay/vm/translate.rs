//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/str.rs
//! Item: Py<PyStr>::translate, kept as translate_each = a6b4783c198c34f4
//! Test: tests/python/translating.py
//!
//! Reason: `str.translate` took 89 times CPython's time: each character was made an int and looked up.
//!
//! Upstream: str.translate looks up every character anew
//!
//! CPython keeps what it has found for ASCII characters during a call (`unicode_fast_translate`). Here each code point is made
//! an int object and looked up in the table, so that a megabyte of text takes 89 times as long.

impl Py<PyStr> {
    #[pymethod]
    pub fn translate(&self, table: PyObjectRef, vm: &VirtualMachine) -> PyResult<Wtf8Buf> {
        if table.downcast_ref_if_exact::<PyDict>(vm).is_none() {
            return self.translate_each(table, vm);
        }
        let mut known = [const { None::<Wtf8Buf> }; 256];
        let mut translated = Wtf8Buf::with_capacity(self.as_wtf8().len());
        for code in self.as_wtf8().code_points() {
            let translate = || {
                let one = PyStr::from(code).into_ref(&vm.ctx);
                one.translate_each(table.clone(), vm)
            };
            let Some(known) = known.get_mut(code.to_u32() as usize) else {
                translated.push_wtf8(&translate()?);
                continue;
            };
            if known.is_none() {
                *known = Some(translate()?);
            }
            if let Some(known) = known {
                translated.push_wtf8(known);
            }
        }
        Ok(translated)
    }
}
