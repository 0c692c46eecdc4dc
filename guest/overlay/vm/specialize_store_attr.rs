//! Crate: rustpython-vm 0.6.0
//! File: src/frame.rs
//! Item: ExecutingFrame::specialize_store_attr, kept as specialize_plain_store_attr = b68b8750e24ae8b7
//! Item: ExecutingFrame::specialize_load_attr, kept as specialize_plain_load_attr = 6dac8544baa6ed23
//! Test: tests/python/descriptors_at_hot_sites.py
//!
//! Reason: from the third time that one site stores an attribute, a descriptor with `__set__` and without `__get__` was
//! bypassed; and one whose class got its `__get__` or `__set__` later was bypassed at stores and loads.
//!
//! Upstream: STORE_ATTR bypasses a descriptor that has only `__set__`, once it is specialized
//!
//! `specialize_store_attr` takes an attribute of the class for a data descriptor if its type has both `descr_get` and
//! `descr_set`. CPython asks for `tp_descr_set` alone (`analyze_descriptor` in Python/specialize.c). A validating
//! descriptor without `__get__` works twice and is then bypassed: the raw value lands in the instance's dictionary. CPython
//! also specializes neither loads nor stores if the type of the class's attribute is mutable, because
//! no version that the instruction checks changes when that type gets a `__get__` or `__set__`
//! (`TestLoadAttrCache.test_descriptor_added_after_optimization` in test_opcache).

impl ExecutingFrame<'_> {
    fn specialize_store_attr(
        &mut self,
        vm: &VirtualMachine,
        attr_idx: bytecode::NameIdx,
        instr_idx: usize,
        cache_base: usize,
    ) {
        if self.class_attribute_may_intervene(attr_idx) {
            self.cooldown_adaptive_at(cache_base);
        } else {
            self.specialize_plain_store_attr(vm, attr_idx, instr_idx, cache_base);
        }
    }

    fn specialize_load_attr(
        &mut self,
        vm: &VirtualMachine,
        oparg: LoadAttr,
        instr_idx: usize,
        cache_base: usize,
    ) {
        if self.class_attribute_may_intervene(oparg.name_idx()) {
            self.cooldown_adaptive_at(cache_base);
        } else {
            self.specialize_plain_load_attr(vm, oparg, instr_idx, cache_base);
        }
    }

    /// Does the class of the object on top have an attribute of this name that is a descriptor of a kind which the
    /// specialized instructions don't know, or that can still become one?
    fn class_attribute_may_intervene(&self, name: bytecode::NameIdx) -> bool {
        let owner = self.top_value();
        let classes = [owner.downcast_ref::<PyType>(), Some(owner.class())];
        let name = self.code.names[name as usize];
        classes.into_iter().flatten().any(|class| {
            class.get_attr(name).is_some_and(|attribute| {
                let slots = attribute.class().slots();
                let has_only_set =
                    slots.descr_set.load().is_some() && slots.descr_get.load().is_none();
                has_only_set || !slots.flags.has_feature(PyTypeFlags::IMMUTABLETYPE)
            })
        })
    }
}
