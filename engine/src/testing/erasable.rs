//! A key store that can destroy every key, as an erasure destroys one.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use docket_schemas::{KeyId, PersonId, Tenant};

use crate::memory::MemoryKeyStore;
use crate::ports::keys::{KeyStore, KeyStoreError, PersonLookup, StoredPerson, StoredSecrets};

/// A key store in memory.
#[derive(Debug, Default)]
pub struct ErasableKeyStore {
    inner: MemoryKeyStore,
    destroyed: AtomicBool,
}

impl ErasableKeyStore {
    /// Destroys the data keys of all persons.
    pub fn destroy(&self) {
        self.destroyed.store(true, Ordering::SeqCst);
    }

    fn left(&self, mut persons: Vec<StoredPerson>) -> Vec<StoredPerson> {
        if self.destroyed.load(Ordering::SeqCst) {
            persons.iter_mut().for_each(|person| person.wrapped_key = None);
        }
        persons
    }
}

#[async_trait]
impl KeyStore for ErasableKeyStore {
    async fn secrets(&self) -> Result<Option<StoredSecrets>, KeyStoreError> {
        self.inner.secrets().await
    }

    async fn create_secrets(&self, secrets: StoredSecrets) -> Result<StoredSecrets, KeyStoreError> {
        self.inner.create_secrets(secrets).await
    }

    async fn persons_by_lookup(
        &self,
        lookups: &[(Tenant, PersonLookup)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        Ok(self.left(self.inner.persons_by_lookup(lookups).await?))
    }

    async fn persons_by_id(
        &self,
        ids: &[(Tenant, PersonId)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        Ok(self.left(self.inner.persons_by_id(ids).await?))
    }

    async fn persons_by_key(&self, keys: &[KeyId]) -> Result<Vec<StoredPerson>, KeyStoreError> {
        Ok(self.left(self.inner.persons_by_key(keys).await?))
    }

    async fn add_persons(
        &self,
        persons: &[StoredPerson],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        self.inner.add_persons(persons).await
    }
}
