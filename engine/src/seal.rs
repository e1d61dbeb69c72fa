//! Sealing: AES-256-GCM over the personal part of an event, bound to the event that holds it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use docket_schemas::canonical::Fields;
use docket_schemas::{EventId, KeyId, Sealed, Tenant};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ports::ids::Ids;

/// Bytes of a data key.
pub const KEY_BYTES: usize = 32;

/// A sealed text that does not open: another key, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open with this key")]
pub struct SealError;

/// The data key of one person.
pub struct DataKey {
    id: KeyId,
    key: LessSafeKey,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

impl DataKey {
    /// A key from its bytes.
    #[must_use]
    pub fn new(id: KeyId, bytes: &[u8; KEY_BYTES]) -> Self {
        Self { id, key: aead(bytes) }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Seals `text` into the event `event_id` under a fresh nonce.
    ///
    /// # Panics
    /// Never: texts are far below the cipher's limit.
    #[must_use]
    pub fn seal<T: Serialize>(
        &self,
        tenant: &Tenant,
        event_id: EventId,
        schema: u16,
        text: &T,
        ids: &dyn Ids,
    ) -> Sealed {
        let clear = serde_json::to_vec(text).expect("a text has string keys only");
        let bytes =
            seal_bytes(&self.key, &associated(tenant, event_id, self.id, schema), clear, ids);
        Sealed { key_id: self.id, bytes }
    }

    /// Opens the text of an event.
    ///
    /// # Errors
    /// When the bytes were sealed under another key, or for another event.
    pub fn open<T: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        event_id: EventId,
        schema: u16,
        sealed: &Sealed,
    ) -> Result<T, SealError> {
        let clear =
            open_bytes(&self.key, &associated(tenant, event_id, self.id, schema), &sealed.bytes)?;
        serde_json::from_slice(&clear).map_err(|_| SealError)
    }
}

fn associated(tenant: &Tenant, event_id: EventId, key_id: KeyId, schema: u16) -> [u8; 32] {
    Fields::new("docket/seal/1")
        .field(tenant.as_str())
        .field(event_id.as_bytes())
        .field(key_id.as_bytes())
        .field(schema.to_be_bytes())
        .finish()
}

pub(crate) fn aead(bytes: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes make an AES-256 key"))
}

/// Nonce, ciphertext and tag of `clear`.
pub(crate) fn seal_bytes(
    key: &LessSafeKey,
    associated: &[u8],
    mut clear: Vec<u8>,
    ids: &dyn Ids,
) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    ids.fill(&mut nonce);
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(associated),
        &mut clear,
    )
    .expect("a text is far below the cipher's limit");
    let mut bytes = Vec::with_capacity(NONCE_LEN + clear.len());
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&clear);
    bytes
}

/// What [`seal_bytes`] sealed.
pub(crate) fn open_bytes(
    key: &LessSafeKey,
    associated: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, SealError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
    let mut bytes = rest.to_vec();
    let clear = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(associated), &mut bytes)
        .map_err(|_| SealError)?
        .len();
    bytes.truncate(clear);
    Ok(bytes)
}
