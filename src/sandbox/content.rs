//! The bytes of artifacts: made chunk by chunk from a number, so that a large file costs no memory.

/// Bytes in a chunk.
const CHUNK: u64 = 64 << 10;

/// The content of the artifact with this number and this size in bytes, in chunks of 64 KiB; the last may be
/// shorter. The same on every run and machine.
pub fn artifact_content(number: u32, size: u64) -> impl Iterator<Item = Vec<u8>> + Send {
    (0..size.div_ceil(CHUNK)).map(move |chunk| {
        let begin = chunk * CHUNK;
        bytes(number, begin, CHUNK.min(size - begin))
    })
}

/// A stretch of the stream that a number makes; `begin` is a multiple of 8.
fn bytes(number: u32, begin: u64, length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or_default();
    let mut bytes = vec![0; length.next_multiple_of(8)];
    // Written in place: a test build would take ten times as long to append.
    for (word, place) in (begin / 8..).zip(bytes.chunks_exact_mut(8)) {
        place.copy_from_slice(&mixed(u64::from(number), word).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// SplitMix64's n-th number of the series of a seed.
pub(super) fn mixed(seed: u64, n: u64) -> u64 {
    let seed = seed.wrapping_mul(0xd134_2543_de82_ef95);
    let mut bits = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_depends_on_the_number_alone() {
        let whole = |number, size| artifact_content(number, size).collect::<Vec<_>>();
        assert_eq!(whole(1, 0), [] as [Vec<u8>; 0]);
        let long = whole(1, 2 * CHUNK + 5);
        assert_eq!(long.iter().map(Vec::len).collect::<Vec<_>>(), [65_536, 65_536, 5]);
        assert_eq!(long, whole(1, 2 * CHUNK + 5));
        assert_eq!(whole(1, 13)[0], long[0][..13]);
        assert_ne!(whole(2, 13), whole(1, 13));
        assert_ne!(long[0], long[1]);
    }
}
