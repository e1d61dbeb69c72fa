//! Tokens that were verified already, until they expire.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use docket_schemas::{Timestamp, canonical};
use parking_lot::RwLock;

use super::Token;

/// Parts of the cache, so that threads seldom wait for each other. A power of two.
const SHARDS: usize = 16;
/// Most tokens in one part.
const SHARD_TOKENS_MAX: usize = 4_096;
/// Tokens dropped at once from a full part, so that the search for room is seldom.
const SHARD_VICTIMS: usize = SHARD_TOKENS_MAX / 8;

/// A token's name: the SHA-256 of its text, so that the text itself is not kept.
pub(super) type Digest = [u8; 32];

type Shard = RwLock<HashMap<Digest, Token, BuildHasherDefault<FirstBytes>>>;

/// Verified tokens by digest; bounded.
#[derive(Default)]
pub(super) struct Cache([Shard; SHARDS]);

impl Cache {
    pub(super) fn digest(text: &str) -> Digest {
        canonical::sha256(text.as_bytes())
    }

    /// The token, if it was verified, has not expired at `now`, and its key is still one.
    pub(super) fn get(&self, digest: &Digest, now: Timestamp) -> Option<Token> {
        let shard = self.shard(digest).read();
        let good = |token: &&Token| token.expires_at > now && !token.key.is_withdrawn();
        shard.get(digest).filter(good).cloned()
    }

    /// Keeps a verified token; a full part first drops what has expired, then some others.
    pub(super) fn put(&self, digest: Digest, token: Token, now: Timestamp) {
        let mut shard = self.shard(&digest).write();
        if shard.len() >= SHARD_TOKENS_MAX {
            shard.retain(|_, token| token.expires_at > now);
        }
        if shard.len() >= SHARD_TOKENS_MAX {
            let victims: Vec<_> = shard.keys().take(SHARD_VICTIMS).copied().collect();
            for victim in victims {
                shard.remove(&victim);
            }
        }
        shard.insert(digest, token);
    }

    fn shard(&self, digest: &Digest) -> &Shard {
        &self.0[usize::from(digest[31]) % SHARDS]
    }
}

/// Takes the first eight bytes as they are: they come from SHA-256 already.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    // An array first writes its length, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use docket_schemas::Role;

    use super::*;
    use crate::auth::Trust;

    fn token(expires_at: i64) -> Token {
        Token {
            tenant: "default".parse().unwrap(),
            role: Role::Agent,
            subject: "ann".into(),
            device: "".into(),
            expires_at: Timestamp::from_micros(expires_at),
            key: Trust::default(),
        }
    }

    #[test]
    fn a_token_is_found_until_it_expires_or_its_key_is_withdrawn() {
        let cache = Cache::default();
        let digest = Cache::digest("a.b.c");
        let signed = token(10);
        cache.put(digest, signed.clone(), Timestamp::from_micros(0));
        assert!(cache.get(&digest, Timestamp::from_micros(9)).is_some());
        assert!(cache.get(&digest, Timestamp::from_micros(10)).is_none());
        assert!(cache.get(&Cache::digest("a.b.d"), Timestamp::from_micros(0)).is_none());
        signed.key.withdraw();
        assert!(cache.get(&digest, Timestamp::from_micros(9)).is_none());
    }

    #[test]
    fn the_cache_stays_bounded() {
        let cache = Cache::default();
        for number in 0..SHARD_TOKENS_MAX * 2 {
            // All of one part.
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_ne_bytes());
            cache.put(digest, token(10), Timestamp::from_micros(0));
        }
        assert!(cache.0.iter().all(|shard| shard.read().len() <= SHARD_TOKENS_MAX));
    }
}
