//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/type.rs
//! Item: linearise_mro = d26d6b70fb66c797
//! Test: tests/python/method_resolution.py
//!
//! Reason: `class D(C, B, A)` with `class C(A)` resolved to D, C, A, B, in silence.
//!
//! Upstream: The MRO does not keep the order of the direct bases
//!
//! C3 merges the MROs of the bases and the list of the bases themselves. `linearise_mro` leaves that list out and only checks that no base
//! is in the MRO of a later one. With `class A: pass`, `class B: pass`, `class C(A): pass`, `class D(C, B, A): pass`, CPython has
//! D, C, B, A; RustPython has D, C, A, B, so that methods are found in another class.

fn linearise_mro(mut mros: Vec<Vec<PyTypeRef>>) -> Result<Vec<PyTypeRef>, String> {
    let bases: Vec<PyTypeRef> = mros.iter().filter_map(|mro| mro.first().cloned()).collect();
    mros.push(bases.clone());
    let mut merged = Vec::new();
    loop {
        mros.retain(|mro| !mro.is_empty());
        if mros.is_empty() {
            return Ok(merged);
        }
        let Some(next) = take_next_base(&mut mros) else {
            let names: Vec<_> = bases.iter().map(|base| base.name().to_string()).collect();
            return Err(format!(
                "Cannot create a consistent method resolution order (MRO) for bases {}",
                names.join(", ")
            ));
        };
        merged.push(next);
    }
}
