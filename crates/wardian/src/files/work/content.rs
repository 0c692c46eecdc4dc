//! The bytes of a file in memory: in chunks that copies share until one of them writes.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The bytes of a chunk.
const CHUNK: usize = 64 << 10;

/// The least memory that a chunk takes.
const LEAST: usize = 64;

/// The bytes of a file. To clone them is to share the chunks.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// Those that hold anything, by their numbers. What is missing of one is zeros.
    chunks: BTreeMap<usize, Arc<Vec<u8>>>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the bytes that it counts for: those of memory, chunks included that others share,
    /// and of holes as well, since whoever reads the file has them.
    pub(super) fn weight(&self) -> u64 {
        self.memory().max(self.len)
    }

    fn memory(&self) -> u64 {
        self.chunks
            .values()
            .map(|chunk| room(chunk.len()) as u64)
            .sum()
    }

    /// Returns its weight after a write of `bytes` bytes at `at`.
    pub(super) fn weight_after(&self, at: u64, bytes: usize) -> u64 {
        let end = at.saturating_add(bytes as u64);
        let mut memory = self.memory();
        let mut from = at;
        while from < end {
            let (chunk, start) = place(from);
            let last = (start as u64 + (end - from)).min(CHUNK as u64) as usize;
            let has = self.chunks.get(&chunk).map_or(0, |chunk| chunk.len());
            memory += (room(has.max(last)) - room(has)) as u64;
            from += (last - start) as u64;
        }
        memory.max(self.len).max(end)
    }

    /// Reads at most `bytes` bytes from `at` on.
    pub(super) fn read(&self, at: u64, bytes: usize) -> Vec<u8> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut read = vec![0; bytes.min(left)];
        let mut done = 0;
        while let Some(rest) = read.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let (chunk, start) = place(at + done as u64);
            let len = rest.len().min(CHUNK - start);
            let has = self.chunks.get(&chunk).and_then(|chunk| chunk.get(start..));
            let has = has.unwrap_or_default();
            let here = has.len().min(len);
            if let (Some(rest), Some(has)) = (rest.get_mut(..here), has.get(..here)) {
                rest.copy_from_slice(has);
            }
            done += len;
        }
        read
    }

    /// Writes `bytes` at `at`, after zeros if that is beyond the end.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let (chunk, start) = place(at + done as u64);
            let len = rest.len().min(CHUNK - start);
            let chunk = Arc::make_mut(self.chunks.entry(chunk).or_default());
            let end = start + len;
            if chunk.len() < end {
                chunk.reserve_exact(room(end) - chunk.len());
                chunk.resize(end, 0);
            }
            if let (Some(old), Some(new)) = (chunk.get_mut(start..end), rest.get(..len)) {
                old.copy_from_slice(new);
            }
            done += len;
        }
        self.len = self.len.max(at + bytes.len() as u64);
    }

    /// Cuts it, or makes it longer with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (chunk, rest) = place(len);
            let cut = self.chunks.split_off(&chunk);
            let last = cut.get(&chunk).filter(|_| rest > 0);
            if let Some(last) = last {
                let kept = last.get(..rest).unwrap_or(last).to_vec();
                self.chunks.insert(chunk, Arc::new(kept));
            }
        }
        self.len = len;
    }
}

/// Returns the number of the chunk that holds a byte, and the byte's place in it.
fn place(at: u64) -> (usize, usize) {
    let chunk = usize::try_from(at / CHUNK as u64).unwrap_or(usize::MAX);
    (chunk, (at % CHUNK as u64) as usize)
}

/// Returns the memory that a chunk of `len` bytes takes.
fn room(len: usize) -> usize {
    match len {
        0 => 0,
        len => len.next_power_of_two().max(LEAST),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// Whatever is written, cut and read is as in one vector; a clone stays as it was; and no more
    /// memory is taken than was said before.
    #[test]
    fn chunks_are_as_one_vector() {
        let mut rng = StdRng::seed_from_u64(11);
        let (mut content, mut model) = (Content::default(), Vec::new());
        let mut earlier = Vec::new();
        for _ in 0..2_000 {
            let at = rng.random_range(0..4 * CHUNK);
            if rng.random_ratio(1, 5) {
                content.set_len(at as u64);
                model.resize(at, 0);
            } else {
                let bytes = vec![rng.random(); rng.random_range(1..2 * CHUNK)];
                let expected = content.weight_after(at as u64, bytes.len());
                content.write(at as u64, &bytes);
                assert_eq!(content.weight(), expected);
                model.resize(model.len().max(at + bytes.len()), 0);
                model[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            assert_eq!(content.len(), model.len() as u64);
            let from = rng.random_range(0..=model.len());
            let to = model.len().min(from + CHUNK + 100);
            assert!(content.read(from as u64, to - from) == model[from..to]);
            if rng.random_ratio(1, 200) {
                earlier.push((content.clone(), model.clone()));
            }
        }
        for (content, model) in &earlier {
            assert!(content.read(0, usize::MAX) == *model);
        }
    }

    #[test]
    fn a_hole_takes_no_memory() {
        let mut content = Content::default();
        content.write(1 << 30, b"x");
        assert_eq!(content.memory(), LEAST as u64);
        assert_eq!(content.read((1 << 30) - 1, 9), b"\0x");
    }
}
