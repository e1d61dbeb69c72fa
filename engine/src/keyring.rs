//! The keyring: persons and their data keys in clear, in memory, in front of the key store.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use docket_schemas::canonical::{Fields, sha256};
use docket_schemas::{KeyId, Mac, PersonId, Tenant};
use lru::LruCache;
use parking_lot::Mutex;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::ports::ids::Ids;
use crate::ports::keys::{KeyStore, KeyStoreError, PersonLookup, StoredPerson, StoredSecrets};
use crate::seal::{DataKey, KEY_BYTES, SealError, aead, open_bytes, seal_bytes};

/// Most persons held in memory.
pub const PERSONS_CACHED_MAX: usize = 20_000;

/// Keys that are read in one query.
const WARM_KEYS_MAX: usize = 500;

/// Why the keyring cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The store failed; try again.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
    /// The master key does not open what the store holds.
    #[error("the master key does not open this key store: use the one that it was made with")]
    WrongMasterKey(#[source] SealError),
}

/// A person of a tenant, with the key that seals what is theirs.
#[derive(Debug)]
pub struct Person {
    /// Whose.
    pub tenant: Tenant,
    /// As the log knows the person.
    pub id: PersonId,
    /// As tokens and callers know the person.
    pub outside_id: Arc<str>,
    /// None once an erasure has destroyed it.
    pub key: Option<Arc<DataKey>>,
    key_id: KeyId,
}

/// Persons and keys, opened with the master key.
pub struct Keyring {
    store: Arc<dyn KeyStore>,
    ids: Arc<dyn Ids>,
    master: LessSafeKey,
    store_id: Uuid,
    person_key: hmac::Key,
    request_key: hmac::Key,
    cached: Mutex<Cached>,
}

struct Cached {
    by_outside_id: LruCache<(Tenant, Arc<str>), Arc<Person>>,
    by_id: LruCache<PersonId, Arc<Person>>,
    by_key: LruCache<KeyId, Arc<Person>>,
}

impl Cached {
    fn new() -> Self {
        let size = NonZeroUsize::new(PERSONS_CACHED_MAX).expect("a constant above zero");
        Self {
            by_outside_id: LruCache::new(size),
            by_id: LruCache::new(size),
            by_key: LruCache::new(size),
        }
    }

    fn put(&mut self, person: &Arc<Person>) {
        let outside = (person.tenant.clone(), Arc::clone(&person.outside_id));
        self.by_outside_id.put(outside, Arc::clone(person));
        self.by_id.put(person.id, Arc::clone(person));
        self.by_key.put(person.key_id, Arc::clone(person));
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({})", self.store_id)
    }
}

impl Keyring {
    /// Opens a key store, and makes its secrets when it is new.
    ///
    /// # Errors
    /// When the store fails or was made with another master key.
    pub async fn open(
        store: Arc<dyn KeyStore>,
        master_key: &[u8; KEY_BYTES],
        ids: Arc<dyn Ids>,
    ) -> Result<Self, KeyringError> {
        let master = aead(master_key);
        let stored = match store.secrets().await? {
            Some(stored) => stored,
            None => store.create_secrets(new_secrets(&master, &*ids)).await?,
        };
        let secret = |wrapped: &[u8], what: &str| {
            open_bytes(&master, what.as_bytes(), wrapped)
                .map(|bytes| hmac::Key::new(hmac::HMAC_SHA256, &Zeroizing::new(bytes)))
                .map_err(KeyringError::WrongMasterKey)
        };
        Ok(Self {
            person_key: secret(&stored.person_key, PERSON_KEY)?,
            request_key: secret(&stored.request_key, REQUEST_KEY)?,
            store_id: stored.store_id,
            store,
            ids,
            master,
            cached: Mutex::new(Cached::new()),
        })
    }

    /// The name by which a log knows this key store.
    #[must_use]
    pub const fn store_id(&self) -> Uuid {
        self.store_id
    }

    /// HMAC-SHA-256 of a request's fields.
    #[must_use]
    pub fn request_mac(&self, request: &[u8]) -> Mac {
        mac(&self.request_key, request)
    }

    /// The person that callers know as `outside_id`, made where there is none yet: durable before it is answered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn person(
        &self,
        tenant: &Tenant,
        outside_id: &str,
    ) -> Result<Arc<Person>, KeyringError> {
        let name = (tenant.clone(), Arc::<str>::from(outside_id));
        if let Some(person) = self.cached.lock().by_outside_id.get(&name) {
            return Ok(Arc::clone(person));
        }
        let lookup = self.lookup(tenant, outside_id);
        let known = self.store.persons_by_lookup(&[(tenant.clone(), lookup)]).await?;
        let stored = match known.into_iter().next() {
            Some(stored) => stored,
            None => {
                let made = self.make(tenant, outside_id, lookup);
                let standing = self.store.add_persons(std::slice::from_ref(&made)).await?;
                standing.into_iter().next().unwrap_or(made)
            }
        };
        self.admit(stored)
    }

    /// The person that callers know as `outside_id`, if anybody has ever named them: for those who only ask.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn known_person(
        &self,
        tenant: &Tenant,
        outside_id: &str,
    ) -> Result<Option<Arc<Person>>, KeyringError> {
        let name = (tenant.clone(), Arc::<str>::from(outside_id));
        if let Some(person) = self.cached.lock().by_outside_id.get(&name) {
            return Ok(Some(Arc::clone(person)));
        }
        let lookup = self.lookup(tenant, outside_id);
        let known = self.store.persons_by_lookup(&[(tenant.clone(), lookup)]).await?;
        known.into_iter().next().map(|stored| self.admit(stored)).transpose()
    }

    /// Brings persons into memory, in one read, for those who are about to ask for each of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recall(
        &self,
        tenant: &Tenant,
        ids: impl IntoIterator<Item = PersonId>,
    ) -> Result<(), KeyringError> {
        let mut missing: Vec<PersonId> = {
            let cached = self.cached.lock();
            ids.into_iter().filter(|id| !cached.by_id.contains(id)).collect()
        };
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = missing.into_iter().map(|id| (tenant.clone(), id)).collect();
        for stored in self.store.persons_by_id(&asked).await? {
            self.admit(stored)?;
        }
        Ok(())
    }

    /// Makes persons of all whom nobody knows yet, in one durable write: for those who bring many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn introduce(
        &self,
        tenant: &Tenant,
        outside_ids: &[String],
    ) -> Result<(), KeyringError> {
        let made = outside_ids.iter().map(|id| self.make(tenant, id, self.lookup(tenant, id)));
        for standing in self.store.add_persons(&made.collect::<Vec<_>>()).await? {
            self.admit(standing)?;
        }
        Ok(())
    }

    /// The person whom the log knows by `id`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn person_by_id(
        &self,
        tenant: &Tenant,
        id: PersonId,
    ) -> Result<Option<Arc<Person>>, KeyringError> {
        if let Some(person) = self.cached.lock().by_id.get(&id) {
            return Ok((person.tenant == *tenant).then(|| Arc::clone(person)));
        }
        let found = self.store.persons_by_id(&[(tenant.clone(), id)]).await?;
        found.into_iter().next().map(|stored| self.admit(stored)).transpose()
    }

    /// The key of this name; none once it was destroyed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn key(&self, key: KeyId) -> Result<Option<Arc<DataKey>>, KeyringError> {
        if let Some(person) = self.cached.lock().by_key.get(&key) {
            return Ok(person.key.clone());
        }
        let found = self.store.persons_by_key(&[key]).await?;
        let person = found.into_iter().next().map(|stored| self.admit(stored)).transpose()?;
        Ok(person.and_then(|person| person.key.clone()))
    }

    /// Reads keys that are about to be used, those that are not in memory in one query.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn warm(&self, keys: &[KeyId]) -> Result<(), KeyringError> {
        let missing: BTreeSet<KeyId> = {
            let cached = self.cached.lock();
            keys.iter().copied().filter(|key| !cached.by_key.contains(key)).collect()
        };
        let missing: Vec<KeyId> = missing.into_iter().take(PERSONS_CACHED_MAX / 2).collect();
        for keys in missing.chunks(WARM_KEYS_MAX) {
            for stored in self.store.persons_by_key(keys).await? {
                self.admit(stored)?;
            }
        }
        Ok(())
    }

    /// Forgets every key held in memory, as after an erasure on another node.
    pub fn forget(&self) {
        *self.cached.lock() = Cached::new();
    }

    fn lookup(&self, tenant: &Tenant, outside_id: &str) -> PersonLookup {
        mac(
            &self.person_key,
            &Fields::new("docket/lookup/1").field(tenant.as_str()).field(outside_id).finish(),
        )
    }

    fn make(&self, tenant: &Tenant, outside_id: &str, lookup: PersonLookup) -> StoredPerson {
        let generation: u32 = 1;
        let named = Fields::new("docket/person/1")
            .field(tenant.as_str())
            .field(outside_id)
            .field(generation.to_be_bytes())
            .finish();
        let hash = mac(&self.person_key, &named);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        let person = PersonId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid());
        let key_id = KeyId::new(self.ids.time_ordered());
        let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
        self.ids.fill(&mut key);
        let wrapped =
            seal_bytes(&self.master, &key_context(tenant, key_id), key.to_vec(), &*self.ids);
        let context = outside_context(tenant, person);
        StoredPerson {
            tenant: tenant.clone(),
            lookup,
            person,
            generation,
            outside_id: seal_bytes(
                &self.master,
                &context,
                outside_id.as_bytes().to_vec(),
                &*self.ids,
            ),
            key_id,
            wrapped_key: Some(wrapped),
        }
    }

    fn admit(&self, stored: StoredPerson) -> Result<Arc<Person>, KeyringError> {
        let outside = open_bytes(
            &self.master,
            &outside_context(&stored.tenant, stored.person),
            &stored.outside_id,
        )
        .map_err(KeyringError::WrongMasterKey)?;
        let key = stored
            .wrapped_key
            .map(|wrapped| {
                let context = key_context(&stored.tenant, stored.key_id);
                let bytes = Zeroizing::new(open_bytes(&self.master, &context, &wrapped)?);
                let bytes = bytes.as_slice().try_into().map_err(|_| SealError)?;
                Ok(Arc::new(DataKey::new(stored.key_id, bytes)))
            })
            .transpose()
            .map_err(KeyringError::WrongMasterKey)?;
        let outside_id = String::from_utf8_lossy(&outside).as_ref().into();
        let person = Arc::new(Person {
            tenant: stored.tenant,
            id: stored.person,
            outside_id,
            key,
            key_id: stored.key_id,
        });
        self.cached.lock().put(&person);
        Ok(person)
    }
}

const PERSON_KEY: &str = "docket/secret/person/1";
const REQUEST_KEY: &str = "docket/secret/request/1";

fn new_secrets(master: &LessSafeKey, ids: &dyn Ids) -> StoredSecrets {
    let secret = |what: &str| {
        let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
        ids.fill(&mut bytes);
        seal_bytes(master, what.as_bytes(), bytes.to_vec(), ids)
    };
    StoredSecrets {
        store_id: ids.time_ordered(),
        person_key: secret(PERSON_KEY),
        request_key: secret(REQUEST_KEY),
    }
}

fn key_context(tenant: &Tenant, key: KeyId) -> [u8; 32] {
    Fields::new("docket/data-key/1").field(tenant.as_str()).field(key.as_bytes()).finish()
}

fn outside_context(tenant: &Tenant, person: PersonId) -> [u8; 32] {
    sha256(
        &Fields::new("docket/outside-id/1")
            .field(tenant.as_str())
            .field(person.as_bytes())
            .finish(),
    )
}

fn mac(key: &hmac::Key, bytes: &[u8]) -> [u8; 32] {
    hmac::sign(key, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
