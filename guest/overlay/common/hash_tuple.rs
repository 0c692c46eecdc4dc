//! Crate: rustpython-common 0.6.0
//! File: src/hash.rs
//! Item: hash_tuple = bb7b3284b2bba785
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: hashes have 64 bits here, but those of tuples were made with the constants for 32: other values, and more collisions.
//!
//! Upstream: Hashes of tuples mix constants of 32 bits into hashes of 64 on wasm32
//!
//! `hash_tuple` takes its primes by the width of pointers. `PyHash` has 64 bits on every target, so `rotate_left(13)` and primes of
//! 32 bits disperse badly, and `hash(())` is not CPython's 5740354900026072187.

/// The hash of a tuple, of those of its elements: xxHash as CPython has it.
pub fn hash_tuple<E>(elements: impl IntoIterator<Item = Result<PyHash, E>>) -> Result<PyHash, E> {
    const PRIMES: [u64; 3] = [
        11_400_714_785_074_694_791,
        14_029_467_366_897_019_727,
        2_870_177_450_012_600_261,
    ];
    let [multiplier, factor, start] = PRIMES;
    let (mut hash, mut length) = (start, 0_u64);
    for element in elements {
        hash = hash.wrapping_add((element? as u64).wrapping_mul(factor));
        hash = hash.rotate_left(31).wrapping_mul(multiplier);
        length += 1;
    }
    hash = hash.wrapping_add(length ^ start ^ 3_527_539);
    Ok(match hash as PyHash {
        // Of an error.
        -1 => 1_546_275_796,
        hash => hash,
    })
}
