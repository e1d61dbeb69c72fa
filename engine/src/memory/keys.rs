//! The key store in memory, which forgets every key with its process.

use async_trait::async_trait;
use docket_schemas::{KeyId, PersonId, Tenant};
use parking_lot::Mutex;

use crate::ports::keys::{KeyStore, KeyStoreError, PersonLookup, StoredPerson, StoredSecrets};

/// A key store that lives as long as its process. Shared by `Arc`.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    secrets: Option<StoredSecrets>,
    persons: Vec<StoredPerson>,
}

impl MemoryKeyStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn matching(&self, wanted: impl Fn(&StoredPerson) -> bool) -> Vec<StoredPerson> {
        let kept = self.0.lock();
        kept.persons.iter().filter(|person| wanted(person)).cloned().collect()
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn secrets(&self) -> Result<Option<StoredSecrets>, KeyStoreError> {
        Ok(self.0.lock().secrets.clone())
    }

    async fn create_secrets(&self, secrets: StoredSecrets) -> Result<StoredSecrets, KeyStoreError> {
        Ok(self.0.lock().secrets.get_or_insert(secrets).clone())
    }

    async fn persons_by_lookup(
        &self,
        lookups: &[(Tenant, PersonLookup)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        Ok(self.matching(|person| {
            let asked = |(tenant, lookup): &_| is_living(person, tenant, lookup);
            lookups.iter().any(asked)
        }))
    }

    async fn persons_by_id(
        &self,
        ids: &[(Tenant, PersonId)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        Ok(self.matching(|person| {
            ids.iter().any(|(tenant, id)| person.tenant == *tenant && person.person == *id)
        }))
    }

    async fn persons_by_key(&self, keys: &[KeyId]) -> Result<Vec<StoredPerson>, KeyStoreError> {
        Ok(self.matching(|person| keys.contains(&person.key_id)))
    }

    async fn add_persons(
        &self,
        persons: &[StoredPerson],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        let mut kept = self.0.lock();
        let mut standing = Vec::with_capacity(persons.len());
        for person in persons {
            let found = kept.persons.iter().find(|kept| is_same(kept, person)).cloned();
            if found.is_none() {
                kept.persons.push(person.clone());
            }
            standing.push(found.unwrap_or_else(|| person.clone()));
        }
        Ok(standing)
    }
}

fn is_living(person: &StoredPerson, tenant: &Tenant, lookup: &PersonLookup) -> bool {
    person.wrapped_key.is_some() && person.tenant == *tenant && person.lookup == *lookup
}

/// Whether `kept` stands in the way of `person`: the same person, or the living one with the same look-up.
fn is_same(kept: &StoredPerson, person: &StoredPerson) -> bool {
    let same_id = kept.tenant == person.tenant && kept.person == person.person;
    let both_live = person.wrapped_key.is_some() && is_living(kept, &person.tenant, &person.lookup);
    same_id || both_live
}
