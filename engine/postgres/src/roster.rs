//! Leases and nodes, by the server's clock. A crash may lose the newest of them, and nobody minds: they wait for no disk.

use std::time::Duration;

use async_trait::async_trait;
use docket_engine::cursor::Positions;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::LogError;
use docket_engine::ports::nodes::{NODE_FORGOTTEN_AFTER, Nodes, SeenNode};
use uuid::Uuid;

use crate::event_row::get;
use crate::failure::{damaged, failed};
use crate::fences::positions;
use crate::log::PostgresLog;
use crate::read::stored_positions;

const HOLD: &str = "INSERT INTO docket.lease AS l (name, holder, epoch, expires_at) \
     SELECT $1, $2, 1, clock_timestamp() + make_interval(secs => $3) \
     FROM set_config('synchronous_commit', 'off', true) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
      epoch = l.epoch + (l.holder <> excluded.holder)::int \
     WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp() RETURNING l.epoch";

const RELEASE: &str = "UPDATE docket.lease l SET expires_at = '-infinity' \
     FROM set_config('synchronous_commit', 'off', true) WHERE l.name = $1 AND l.holder = $2";

const REPORT: &str = "WITH forgotten AS (\
      DELETE FROM docket.node n WHERE n.seen_at < clock_timestamp() - make_interval(secs => $3)) \
     INSERT INTO docket.node (id, index_position, seen_at) SELECT $1, $2, clock_timestamp() \
     FROM set_config('synchronous_commit', 'off', true) \
     ON CONFLICT (id) DO UPDATE SET index_position = excluded.index_position, seen_at = excluded.seen_at";

const SEEN: &str = "SELECT n.id, n.index_position FROM docket.node n \
     WHERE n.seen_at > clock_timestamp() - make_interval(secs => $1) ORDER BY n.id";

#[async_trait]
impl Leases for PostgresLog {
    async fn hold(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<u64>, LogError> {
        let hold = sqlx::query(HOLD).bind(name.to_owned()).bind(holder).bind(ttl.as_secs_f64());
        let rows = self.sessions().send(hold).await.map_err(failed)?;
        let epoch = rows.first().map(|row| get::<i64>(row, 0)).transpose()?;
        epoch.map(|epoch| u64::try_from(epoch).map_err(damaged)).transpose()
    }

    async fn release(&self, name: &str, holder: Uuid) -> Result<(), LogError> {
        let release = sqlx::query(RELEASE).bind(name.to_owned()).bind(holder);
        self.sessions().send(release).await.map(drop).map_err(failed)
    }
}

#[async_trait]
impl Nodes for PostgresLog {
    async fn report(&self, node: Uuid, index: &Positions) -> Result<(), LogError> {
        let report = sqlx::query(REPORT)
            .bind(node)
            .bind(stored_positions(index))
            .bind(NODE_FORGOTTEN_AFTER.as_secs_f64());
        self.sessions().send(report).await.map(drop).map_err(failed)
    }

    async fn seen(&self, within: Duration) -> Result<Vec<SeenNode>, LogError> {
        let question = || sqlx::query(SEEN).bind(within.as_secs_f64());
        let rows = self.sessions().ask(question).await.map_err(failed)?;
        let node = |row| {
            let index = positions(&get::<Vec<i64>>(row, 1)?)?;
            Ok(SeenNode { id: get(row, 0)?, index })
        };
        rows.iter().map(node).collect()
    }

    async fn leave(&self, node: Uuid) -> Result<(), LogError> {
        let leave = sqlx::query("DELETE FROM docket.node n WHERE n.id = $1").bind(node);
        self.sessions().send(leave).await.map(drop).map_err(failed)
    }
}
