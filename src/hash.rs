//! A hash that is the same in every process, on every machine and in every version: what is chosen by it, several
//! processes choose alike without a word between them. It is quick, and no help against someone who looks for collisions.

/// The hash of `bytes`, which follow on what `seed` is the hash of: the finaliser of `SplitMix64`, over words of eight
/// bytes in little-endian order, the last one filled up with zeros, and at last their number.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let step = |hash, word: &[u8]| {
        let mut filled = [0; 8];
        filled[..word.len()].copy_from_slice(word);
        mix(hash ^ u64::from_le_bytes(filled))
    };
    mix(bytes.chunks(8).fold(seed, step) ^ bytes.len() as u64)
}

/// Spreads each bit of `word` over all of them, and no two words to the same: `SplitMix64` (Steele, Lea and Flood 2014),
/// with the constants of its reference implementation.
pub(crate) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_that_of_splitmix64() {
        // The first numbers of the generator seeded with 1234567.
        let seed = 1_234_567_u64;
        assert_eq!(mix(seed), 6_457_827_717_110_365_317);
        assert_eq!(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)), 3_203_168_211_198_807_973);
    }

    /// Processes of different versions must agree, so these numbers never change.
    #[test]
    fn the_hash_stays_what_it_is() {
        let hashes = ["", "a", "deployment", "12345678"].map(|text| hash(0, text.as_bytes()));
        let known = [
            16_294_208_416_658_607_535,
            1_303_865_553_363_498_507,
            16_842_667_420_749_018_822,
            4_507_756_205_931_369_907,
        ];
        assert_eq!(hashes, known);
    }

    #[test]
    fn the_length_and_the_seed_count() {
        assert_ne!(hash(0, b"a"), hash(0, b"a\0"));
        assert_ne!(hash(0, b""), hash(0, b"\0\0\0\0\0\0\0\0"));
        assert_ne!(hash(0, b"a"), hash(1, b"a"));
    }
}
