//! The key store on PostgreSQL: the schema `docket_keys`, best in a database that is backed up apart from the log's.

use async_trait::async_trait;
use docket_engine::ports::keys::{
    KeyStore, KeyStoreError, PersonLookup, StoredPerson, StoredSecrets,
};
use docket_schemas::{KeyId, PersonId, Tenant};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connect::{ConnectError, PostgresOptions, Schema, connect};
use crate::session::Sessions;

/// A key store in the schema `docket_keys` of one database. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct PostgresKeyStore {
    sessions: Sessions,
}

impl PostgresKeyStore {
    /// Connects and brings the schema up to date; several nodes may do so at once.
    ///
    /// # Errors
    /// With what to do about it, and without the password.
    pub async fn connect(url: &str, options: &PostgresOptions) -> Result<Self, ConnectError> {
        let pool = connect(url, options, Schema::keys()).await?;
        Ok(Self { sessions: Sessions::new(pool, options) })
    }
}

macro_rules! person_columns {
    () => {
        "SELECT p.tenant, p.lookup, p.person, p.generation, p.outside_id, p.key_id, p.wrapped_key "
    };
}

#[async_trait]
impl KeyStore for PostgresKeyStore {
    async fn secrets(&self) -> Result<Option<StoredSecrets>, KeyStoreError> {
        let query = "SELECT s.store_id, s.person_key, s.request_key FROM docket_keys.secrets s";
        let secrets = |row: &PgRow| {
            let (store_id, person_key) = (row.try_get(0)?, row.try_get(1)?);
            Ok(StoredSecrets { store_id, person_key, request_key: row.try_get(2)? })
        };
        let rows = self.sessions.send(sqlx::query(query)).await.map_err(failed)?;
        rows.first().map(secrets).transpose().map_err(failed)
    }

    async fn create_secrets(&self, secrets: StoredSecrets) -> Result<StoredSecrets, KeyStoreError> {
        let query = "INSERT INTO docket_keys.secrets (store_id, person_key, request_key) \
                     VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let create = sqlx::query(query)
            .bind(secrets.store_id)
            .bind(&secrets.person_key)
            .bind(&secrets.request_key);
        self.sessions.send(create).await.map_err(failed)?;
        self.secrets().await?.ok_or_else(|| failed(sqlx::Error::RowNotFound))
    }

    async fn persons_by_lookup(
        &self,
        lookups: &[(Tenant, PersonLookup)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        const QUERY: &str = concat!(
            person_columns!(),
            "FROM unnest($1::text[], $2::bytea[]) AS r (tenant, lookup) JOIN docket_keys.person p",
            " ON p.tenant = r.tenant AND p.lookup = r.lookup AND p.wrapped_key IS NOT NULL"
        );
        let question = sqlx::query(QUERY)
            .bind(lookups.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
            .bind(lookups.iter().map(|(_, lookup)| &lookup[..]).collect::<Vec<_>>());
        persons(&self.sessions.send(question).await.map_err(failed)?)
    }

    async fn persons_by_id(
        &self,
        ids: &[(Tenant, PersonId)],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        const QUERY: &str = concat!(
            person_columns!(),
            "FROM unnest($1::text[], $2::uuid[]) AS r (tenant, person) JOIN docket_keys.person p",
            " ON p.tenant = r.tenant AND p.person = r.person"
        );
        let question = sqlx::query(QUERY)
            .bind(ids.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
            .bind(ids.iter().map(|(_, person)| person.uuid()).collect::<Vec<_>>());
        persons(&self.sessions.send(question).await.map_err(failed)?)
    }

    async fn persons_by_key(&self, keys: &[KeyId]) -> Result<Vec<StoredPerson>, KeyStoreError> {
        const QUERY: &str =
            concat!(person_columns!(), "FROM docket_keys.person p WHERE p.key_id = ANY ($1)");
        let keys: Vec<Uuid> = keys.iter().map(|key| key.uuid()).collect();
        let question = sqlx::query(QUERY).bind(keys);
        persons(&self.sessions.send(question).await.map_err(failed)?)
    }

    async fn add_persons(
        &self,
        persons: &[StoredPerson],
    ) -> Result<Vec<StoredPerson>, KeyStoreError> {
        insert(&self.sessions, persons).await.map_err(failed)?;
        standing(&self.sessions, persons).await
    }
}

/// Adds who is not there, in an order that two nodes share, so that they cannot wait for each other.
async fn insert(sessions: &Sessions, persons: &[StoredPerson]) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO docket_keys.person \
                 (tenant, lookup, person, generation, outside_id, key_id, wrapped_key) \
                 SELECT * FROM unnest($1::text[], $2::bytea[], $3::uuid[], $4::bigint[], \
                 $5::bytea[], $6::uuid[], $7::bytea[]) ON CONFLICT DO NOTHING";
    let mut persons: Vec<_> = persons.iter().collect();
    persons.sort_by_key(|person| (&person.tenant, person.lookup));
    let add = sqlx::query(query)
        .bind(persons.iter().map(|one| one.tenant.as_str()).collect::<Vec<_>>())
        .bind(persons.iter().map(|one| &one.lookup[..]).collect::<Vec<_>>())
        .bind(persons.iter().map(|one| one.person.uuid()).collect::<Vec<_>>())
        .bind(persons.iter().map(|one| i64::from(one.generation)).collect::<Vec<_>>())
        .bind(persons.iter().map(|one| &one.outside_id[..]).collect::<Vec<_>>())
        .bind(persons.iter().map(|one| one.key_id.uuid()).collect::<Vec<_>>())
        .bind(persons.iter().map(|one| one.wrapped_key.as_deref()).collect::<Vec<_>>());
    sessions.send(add).await.map(drop)
}

/// For each asked, in order: the person of that id, or else the living one with its look-up.
async fn standing(
    sessions: &Sessions,
    asked: &[StoredPerson],
) -> Result<Vec<StoredPerson>, KeyStoreError> {
    const QUERY: &str = concat!(
        person_columns!(),
        "FROM unnest($1::text[], $2::uuid[], $3::bytea[])",
        " WITH ORDINALITY AS r (tenant, person, lookup, number)",
        " CROSS JOIN LATERAL (SELECT * FROM (",
        "  SELECT 1 AS rank, a.* FROM docket_keys.person a",
        "  WHERE a.tenant = r.tenant AND a.person = r.person",
        "  UNION ALL SELECT 2, b.* FROM docket_keys.person b",
        "  WHERE b.tenant = r.tenant AND b.lookup = r.lookup AND b.wrapped_key IS NOT NULL",
        " ) AS found ORDER BY found.rank LIMIT 1) AS p ORDER BY r.number"
    );
    let question = sqlx::query(QUERY)
        .bind(asked.iter().map(|one| one.tenant.as_str()).collect::<Vec<_>>())
        .bind(asked.iter().map(|one| one.person.uuid()).collect::<Vec<_>>())
        .bind(asked.iter().map(|one| &one.lookup[..]).collect::<Vec<_>>());
    persons(&sessions.send(question).await.map_err(failed)?)
}

fn persons(rows: &[PgRow]) -> Result<Vec<StoredPerson>, KeyStoreError> {
    rows.iter().map(|row| person(row).map_err(failed)).collect()
}

fn person(row: &PgRow) -> Result<StoredPerson, sqlx::Error> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    Ok(StoredPerson {
        tenant: row.try_get::<&str, _>(0)?.parse().map_err(|error| broken(Box::new(error)))?,
        lookup: row.try_get(1)?,
        person: PersonId::new(row.try_get(2)?),
        generation: u32::try_from(row.try_get::<i64, _>(3)?)
            .map_err(|error| broken(Box::new(error)))?,
        outside_id: row.try_get(4)?,
        key_id: KeyId::new(row.try_get(5)?),
        wrapped_key: row.try_get(6)?,
    })
}

fn failed(error: sqlx::Error) -> KeyStoreError {
    KeyStoreError(Box::new(error))
}
