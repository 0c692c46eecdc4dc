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
        /// The translation of a text all of whose characters are, and become, one byte each.
        fn of_bytes(
            bytes: &[u8],
            translate: impl Fn(u8) -> PyResult<Wtf8Buf>,
        ) -> PyResult<Option<Wtf8Buf>> {
            let mut occurs = [false; 128];
            for byte in bytes {
                let Some(occurs) = occurs.get_mut(usize::from(*byte)) else {
                    return Ok(None);
                };
                *occurs = true;
            }
            let mut becomes = [0; 256];
            for ((byte, becomes), occurs) in (0..).zip(&mut becomes).zip(occurs) {
                if occurs {
                    match translate(byte)?.as_bytes() {
                        [single] => *becomes = *single,
                        _ => return Ok(None),
                    }
                }
            }
            let bytes = bytes.iter().map(|byte| becomes[usize::from(*byte)]);
            Ok(String::from_utf8(bytes.collect()).ok().map(Wtf8Buf::from))
        }
        let of_bytes = of_bytes(self.as_wtf8().as_bytes(), |byte| {
            let one = PyStr::from(char::from(byte)).into_ref(&vm.ctx);
            one.translate_each(table.clone(), vm)
        })?;
        if let Some(translated) = of_bytes {
            return Ok(translated);
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
