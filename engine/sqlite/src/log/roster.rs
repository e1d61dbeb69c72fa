//! Leases and nodes, by the clock of the machine that holds the file.

use std::time::Duration;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::LogError;
use docket_engine::ports::nodes::{NODE_FORGOTTEN_AFTER, Nodes, SeenNode};
use sqlx::Row as _;
use uuid::Uuid;

use super::SqliteLog;
use super::keep::{heads_json, parse_heads};
use crate::failure::Failure;

const HOLD: &str = "INSERT INTO lease (name, holder, epoch, expires_at) \
     VALUES (?1, ?2, 1, unixepoch('subsec') + ?3) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
      epoch = lease.epoch + (lease.holder <> excluded.holder) \
     WHERE lease.holder = excluded.holder OR lease.expires_at <= unixepoch('subsec') \
     RETURNING epoch";

const REPORT: &str = "INSERT INTO node (id, index_position, seen_at) \
     VALUES (?1, ?2, unixepoch('subsec')) ON CONFLICT (id) DO UPDATE \
     SET index_position = excluded.index_position, seen_at = excluded.seen_at";

#[async_trait]
impl Leases for SqliteLog {
    async fn hold(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<u64>, LogError> {
        let name = name.to_owned();
        let holding = self.0.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query_scalar::<_, i64>(HOLD).bind(name).bind(holder);
                Ok(query.bind(ttl.as_secs_f64()).fetch_optional(connection).await?)
            })
        });
        let epoch = holding.await.map_err(self.failed())?;
        Ok(epoch.map(i64::cast_unsigned))
    }

    async fn release(&self, name: &str, holder: Uuid) -> Result<(), LogError> {
        let name = name.to_owned();
        let releasing = self.0.write(move |connection| {
            Box::pin(async move {
                let sql = "UPDATE lease SET expires_at = 0 WHERE name = ?1 AND holder = ?2";
                sqlx::query(sql).bind(name).bind(holder).execute(connection).await?;
                Ok(())
            })
        });
        releasing.await.map_err(self.failed())
    }
}

#[async_trait]
impl Nodes for SqliteLog {
    async fn report(&self, node: Uuid, index: &Positions) -> Result<(), LogError> {
        let index = heads_json(index);
        let reporting = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM node WHERE seen_at < unixepoch('subsec') - ?1")
                    .bind(NODE_FORGOTTEN_AFTER.as_secs_f64())
                    .execute(&mut *connection)
                    .await?;
                sqlx::query(REPORT).bind(node).bind(index).execute(connection).await?;
                Ok(())
            })
        });
        reporting.await.map_err(self.failed())
    }

    async fn seen(&self, within: Duration) -> Result<Vec<SeenNode>, LogError> {
        let found = async {
            let sql = "SELECT id, index_position FROM node \
                 WHERE seen_at > unixepoch('subsec') - ?1 ORDER BY id";
            let query = sqlx::query(sql).bind(within.as_secs_f64());
            let mut nodes = Vec::new();
            for row in query.fetch_all(self.0.readers()).await? {
                let id: Uuid = row.try_get("id")?;
                let index = parse_heads(row.try_get("index_position")?)
                    .ok_or_else(|| Failure::Row(format!("node {id}")))?;
                nodes.push(SeenNode { id, index });
            }
            Ok(nodes)
        };
        found.await.map_err(self.failed())
    }

    async fn leave(&self, node: Uuid) -> Result<(), LogError> {
        let leaving = self.0.write(move |connection| {
            Box::pin(async move {
                let sql = "DELETE FROM node WHERE id = ?1";
                sqlx::query(sql).bind(node).execute(connection).await?;
                Ok(())
            })
        });
        leaving.await.map_err(self.failed())
    }
}
