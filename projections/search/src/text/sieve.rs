//! Which tokens stand side by side, roughly.
//!
//! A phrase of two words that each stand in half of all texts would compare positions in a quarter of them. Every pair of tokens that
//! stands in a text is therefore hashed to one of a few keys: a text without the phrase's keys is passed over, and of those that have them
//! few have them by chance. Keys of their own for all pairs would be most of the index.

use super::is_pair;

/// Bits of a key: in a text of 30 words another pair has the same key once in 500 times.
const KEY_BITS: u32 = 14;

/// The key of two tokens that stand side by side; none where they have [a key of their own](super::pair).
///
/// Two characters of ASCII, which is what a dictionary of them holds in the least room.
#[must_use]
pub fn sieve_key(first: &str, second: &str) -> Option<String> {
    if is_pair(first, second) {
        return None;
    }
    let hash = hash(first.bytes().chain([0xFF]).chain(second.bytes()));
    let key = (hash ^ hash >> KEY_BITS) & ((1 << KEY_BITS) - 1);
    [key >> (KEY_BITS / 2), key & ((1 << (KEY_BITS / 2)) - 1)]
        .into_iter()
        .map(char::from_u32)
        .collect()
}

/// FNV-1a, the same on every machine.
fn hash(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
