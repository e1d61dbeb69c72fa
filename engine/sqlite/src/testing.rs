//! A directory for one test, removed when the test ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use docket_engine::contract::{KeysHarness, LogHarness, RosterHarness, SagaTableHarness};
use docket_engine::ports::keys::KeyStore;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::EventLog;
use docket_engine::ports::nodes::Nodes;
use docket_engine::ports::sagas::{Barrier, SagaTable};

use crate::{SqliteKeyStore, SqliteLog};

static MADE: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("docket-sqlite-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) async fn log(&self) -> Arc<SqliteLog> {
        Arc::new(SqliteLog::open(self.file("log.db")).await.expect("the log opens"))
    }

    async fn keys(&self) -> Arc<dyn KeyStore> {
        Arc::new(SqliteKeyStore::open(self.file("keys.db")).await.expect("the key store opens"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Best effort: a test that failed has more to say than a directory that stayed.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[async_trait]
impl LogHarness for Directory {
    async fn fresh(&self) -> Arc<dyn EventLog> {
        self.log().await
    }

    async fn second_connection(&self) -> Arc<dyn EventLog> {
        self.log().await
    }
}

#[async_trait]
impl KeysHarness for Directory {
    async fn fresh(&self) -> Arc<dyn KeyStore> {
        self.keys().await
    }

    async fn second_connection(&self) -> Arc<dyn KeyStore> {
        self.keys().await
    }
}

#[async_trait]
impl RosterHarness for Directory {
    async fn fresh(&self) -> (Arc<dyn Leases>, Arc<dyn Nodes>) {
        let log = self.log().await;
        (log.clone(), log)
    }

    async fn second_connection(&self) -> (Arc<dyn Leases>, Arc<dyn Nodes>) {
        let log = self.log().await;
        (log.clone(), log)
    }
}

#[async_trait]
impl SagaTableHarness for Directory {
    async fn fresh(&self) -> (Arc<dyn EventLog>, Arc<dyn SagaTable>, Arc<dyn Barrier>) {
        let log = self.log().await;
        (log.clone(), log.clone(), log)
    }
}
