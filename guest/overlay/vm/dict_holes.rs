//! Crate: rustpython-vm 0.6.0
//! File: src/dict_inner.rs
//! Item: DictInner<T>::unchecked_push = e2957b44f5f2e7c8
//! Test: tests/python/rolling_dict.py
//!
//! Reason: a dict of a hundred keys that come and go grew without end, and finding its first key took longer each time: 50,000
//! misses of an `lru_cache` took 200 times CPython's time.
//!
//! Upstream: A dict whose keys come and go grows without end
//!
//! `DictInner::unchecked_push` looks if the table has to be made anew only when a key takes a slot that was free. A key that takes
//! the slot of a deleted one adds an entry as well, so `entries` collects holes for as long as all slots in use stay the same:
//! memory grows, and `next(iter(d))`, `popitem` of an OrderedDict and evictions of `lru_cache` walk over all of them. CPython
//! counts entries.

impl<T> DictInner<T> {
    /// Adds an entry for a key that is not there; its place among the entries.
    fn unchecked_push(
        &mut self,
        index: IndexIndex,
        hash: HashValue,
        key: PyObjectRef,
        value: T,
        replaced: IndexEntry,
    ) -> usize {
        // SAFETY: as many entries as that do not fit in memory.
        self.indices[index] = unsafe { IndexEntry::from_index_unchecked(self.entries.len()) };
        self.entries.push(Some(DictEntry {
            hash,
            key,
            index,
            value,
        }));
        self.used += 1;
        self.filled += usize::from(replaced == IndexEntry::FREE);
        let taken = self.filled.max(self.entries.len());
        if taken * 3 > self.indices.len() * 2 {
            self.resize(self.used * 2);
        }
        self.entries.len() - 1
    }
}
