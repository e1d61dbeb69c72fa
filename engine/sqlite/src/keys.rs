//! The key store in a SQLite file of its own, backed up apart from the log.

use std::path::Path;

use async_trait::async_trait;
use docket_engine::ports::keys::{
    KeyStore, KeyStoreError, PersonLookup, StoredPerson, StoredSecrets,
};
use docket_schemas::{KeyId, PersonId, Tenant};
use serde_json::json;
use sqlx::Row as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::failure::{Failure, OpenError};
use crate::file::File;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/keys");

macro_rules! person_columns {
    () => {
        "person.tenant, person.lookup, person.person, person.generation, person.outside_id, \
         person.key_id, person.wrapped_key"
    };
}

/// A key store in one file. Other processes may use the same file.
#[derive(Debug)]
pub struct SqliteKeyStore(File);

impl SqliteKeyStore {
    /// Opens the key store, or makes an empty one where the file is missing.
    ///
    /// # Errors
    /// Naming the file, when it cannot be opened or is no key store of this release or an older one.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self(File::open(path.as_ref(), &MIGRATIONS).await?))
    }

    async fn find(
        &self,
        sql: &'static str,
        asked: serde_json::Value,
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        let rows = sqlx::query(sql).bind(asked.to_string()).fetch_all(self.0.readers()).await;
        let rows = rows.map_err(Failure::from);
        let persons = rows.and_then(|rows| rows.iter().map(read_person).collect());
        persons.map_err(|failure| failure.of_keys(self.0.path()))
    }
}

#[async_trait]
impl KeyStore for SqliteKeyStore {
    async fn secrets(&self) -> Result<Option<StoredSecrets>, KeyStoreError> {
        let sql = "SELECT store_id, person_key, request_key FROM secrets";
        let row = sqlx::query(sql).fetch_optional(self.0.readers()).await.map_err(Failure::from);
        let secrets = row.and_then(|row| row.as_ref().map(read_secrets).transpose());
        secrets.map_err(|failure| failure.of_keys(self.0.path()))
    }

    async fn create_secrets(&self, secrets: StoredSecrets) -> Result<StoredSecrets, KeyStoreError> {
        let standing = self.0.write(move |c| Box::pin(create_secrets(c, secrets))).await;
        standing.map_err(|failure| failure.of_keys(self.0.path()))
    }

    async fn persons_by_lookup(
        &self,
        lookups: &[(Tenant, PersonLookup)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        let asked =
            lookups.iter().map(|(tenant, lookup)| json!([tenant, hex::encode(lookup)])).collect();
        let sql = concat!(
            "SELECT ",
            person_columns!(),
            " FROM json_each(?1) AS asked CROSS JOIN person ON lookup = unhex(asked.value ->> 1)",
            " AND tenant = asked.value ->> 0 AND wrapped_key IS NOT NULL"
        );
        self.find(sql, asked).await
    }

    async fn persons_by_id(
        &self,
        ids: &[(Tenant, PersonId)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        let asked =
            ids.iter().map(|(tenant, id)| json!([tenant, hex::encode(id.as_bytes())])).collect();
        let sql = concat!(
            "SELECT ",
            person_columns!(),
            " FROM json_each(?1) AS asked CROSS JOIN person ON person = unhex(asked.value ->> 1)",
            " AND tenant = asked.value ->> 0"
        );
        self.find(sql, asked).await
    }

    async fn persons_by_key(&self, keys: &[KeyId]) -> Result<Vec<StoredPerson>, KeyStoreError> {
        let asked = keys.iter().map(|key| hex::encode(key.as_bytes())).collect();
        let sql = concat!(
            "SELECT ",
            person_columns!(),
            " FROM json_each(?1) AS asked CROSS JOIN person ON key_id = unhex(asked.value)"
        );
        self.find(sql, asked).await
    }

    async fn add_persons(
        &self,
        persons: &[StoredPerson],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        let persons = persons.to_vec();
        let standing = self.0.write(move |c| Box::pin(add_persons(c, persons))).await;
        standing.map_err(|failure| failure.of_keys(self.0.path()))
    }
}

async fn create_secrets(
    connection: &mut SqliteConnection,
    secrets: StoredSecrets,
) -> Result<StoredSecrets, Failure> {
    let insert = "INSERT INTO secrets VALUES (1, ?1, ?2, ?3) ON CONFLICT DO NOTHING";
    sqlx::query(insert)
        .bind(secrets.store_id)
        .bind(secrets.person_key)
        .bind(secrets.request_key)
        .execute(&mut *connection)
        .await?;
    let standing = "SELECT store_id, person_key, request_key FROM secrets";
    read_secrets(&sqlx::query(standing).fetch_one(connection).await?)
}

async fn add_persons(
    connection: &mut SqliteConnection,
    persons: Vec<StoredPerson>,
) -> Result<Vec<StoredPerson>, Failure> {
    let mut standing = Vec::with_capacity(persons.len());
    for person in persons {
        standing.push(add_person(&mut *connection, person).await?);
    }
    Ok(standing)
}

async fn add_person(
    connection: &mut SqliteConnection,
    person: StoredPerson,
) -> Result<StoredPerson, Failure> {
    let insert = "INSERT INTO person \
         (tenant, lookup, person, generation, outside_id, key_id, wrapped_key) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    let added = sqlx::query(insert)
        .bind(person.tenant.as_str())
        .bind(person.lookup.as_slice())
        .bind(person.person.uuid())
        .bind(person.generation)
        .bind(person.outside_id.as_slice())
        .bind(person.key_id.uuid())
        .bind(person.wrapped_key.as_deref())
        .execute(&mut *connection)
        .await?;
    if added.rows_affected() > 0 {
        return Ok(person);
    }
    let standing = concat!(
        "SELECT ",
        person_columns!(),
        " FROM person WHERE tenant = ?1 AND (person = ?2 OR (lookup = ?3 AND wrapped_key IS NOT NULL))",
        " ORDER BY person = ?2 DESC LIMIT 1"
    );
    let row = sqlx::query(standing)
        .bind(person.tenant.as_str())
        .bind(person.person.uuid())
        .bind(person.lookup.as_slice())
        .fetch_one(connection)
        .await?;
    read_person(&row)
}

fn read_secrets(row: &SqliteRow) -> Result<StoredSecrets, Failure> {
    Ok(StoredSecrets {
        store_id: row.try_get("store_id")?,
        person_key: row.try_get("person_key")?,
        request_key: row.try_get("request_key")?,
    })
}

fn read_person(row: &SqliteRow) -> Result<StoredPerson, Failure> {
    let damaged = |column| Failure::Row(format!("a person's {column}"));
    let lookup: &[u8] = row.try_get("lookup")?;
    Ok(StoredPerson {
        tenant: row.try_get::<&str, _>("tenant")?.parse().map_err(|_| damaged("tenant"))?,
        lookup: lookup.try_into().map_err(|_| damaged("lookup"))?,
        person: PersonId::new(row.try_get("person")?),
        generation: row.try_get("generation")?,
        outside_id: row.try_get("outside_id")?,
        key_id: KeyId::new(row.try_get("key_id")?),
        wrapped_key: row.try_get("wrapped_key")?,
    })
}

#[cfg(test)]
mod tests {
    docket_engine::keys_contract!(crate::testing::Directory::new());
}
