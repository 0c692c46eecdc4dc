//! The limit on an instance's memory.

use wasmtime::ResourceLimiter;

/// Allows linear memory to grow up to a limit, and remembers whether more was asked for.
///
/// A refused growth reaches Python as a failed allocation: a `MemoryError` where RustPython
/// handles it, else an abort of the guest, which alone doesn't tell its cause.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    allowed: usize,
    peak: usize,
    refused: Option<usize>,
    /// The count of times that the guest has asked for fuel since.
    refuels: u32,
}

/// The most times that the guest asks for fuel between a refused growth and the end that it brings
/// about.
const REFUELS: u32 = 2;

impl MemoryLimit {
    pub(crate) fn new(allowed: usize) -> Self {
        Self {
            allowed,
            peak: 0,
            refused: None,
            refuels: 0,
        }
    }

    /// Notes the size that the memory has from the start, in bytes.
    pub(crate) fn start_at(&mut self, size: usize) {
        self.peak = size;
    }

    /// Changes the limit.
    pub(crate) fn allow(&mut self, allowed: usize) {
        self.allowed = allowed;
    }

    /// Returns the peak of linear memory, in bytes.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Returns the size that was asked for and refused, in bytes, if the guest has hardly gone on
    /// since. If it has, Python has caught that, and what happens is not for want of memory.
    pub(crate) fn refused(&self) -> Option<usize> {
        self.refused.filter(|_| self.refuels <= REFUELS)
    }

    pub(crate) fn note_refuel(&mut self) {
        self.refuels = self.refuels.saturating_add(1);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.allowed {
            self.refused = Some(desired);
            self.refuels = 0;
            return Ok(false);
        }
        self.peak = self.peak.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The guest's table has its size from the start; only its creation is a growth.
        Ok(current == 0)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }
}
