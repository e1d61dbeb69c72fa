//! The key store: wrapped keys and mapped persons, kept apart from the log and backed up apart.

use async_trait::async_trait;
use docket_schemas::{KeyId, PersonId, Tenant};
use uuid::Uuid;

/// HMAC-SHA-256 of an outside id: how a person is found without the id standing in clear.
pub type PersonLookup = [u8; 32];

/// The key store failed, or a write's outcome is unknown; every call may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("key store unavailable")]
pub struct KeyStoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The installation's own secrets, each wrapped by the master key. Made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecrets {
    /// The name by which a log knows this key store.
    pub store_id: Uuid,
    /// Maps outside ids to persons.
    pub person_key: Vec<u8>,
    /// Authenticates requests, so that a retry is told from a reused key. Never rotated.
    pub request_key: Vec<u8>,
}

/// A person as the key store holds them: outside id and data key, both wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPerson {
    /// Whose.
    pub tenant: Tenant,
    /// Finds the person by outside id; unique within the tenant for the living generation.
    pub lookup: PersonLookup,
    /// As the log knows the person.
    pub person: PersonId,
    /// Ended by an erasure; the first is 1.
    pub generation: u32,
    /// The id that tokens and callers use, sealed.
    pub outside_id: Vec<u8>,
    /// Names the data key.
    pub key_id: KeyId,
    /// The data key, wrapped by the master key; none once it was destroyed.
    pub wrapped_key: Option<Vec<u8>>,
}

/// Where wrapped keys live: a SQLite file, a database of their own, or a KMS. It sees no key in clear.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The installation's secrets; none for a new store.
    async fn secrets(&self) -> Result<Option<StoredSecrets>, KeyStoreError>;

    /// Keeps `secrets` unless the store has some; answers those that it has, durably.
    async fn create_secrets(&self, secrets: StoredSecrets) -> Result<StoredSecrets, KeyStoreError>;

    /// The living persons with these look-ups; the unknown are left out.
    async fn persons_by_lookup(
        &self,
        lookups: &[(Tenant, PersonLookup)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError>;

    /// The persons that the log knows by these ids, of any generation; the unknown are left out.
    async fn persons_by_id(
        &self,
        ids: &[(Tenant, PersonId)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError>;

    /// The persons whose keys have these ids; the unknown are left out.
    async fn persons_by_key(&self, keys: &[KeyId]) -> Result<Vec<StoredPerson>, KeyStoreError>;

    /// Adds persons in one durable write; one whose (tenant, look-up) is there already is left as it is.
    /// Answers, in order, those that now stand.
    async fn add_persons(
        &self,
        persons: &[StoredPerson],
    ) -> Result<Vec<StoredPerson>, KeyStoreError>;
}
