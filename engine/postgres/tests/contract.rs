//! The engine's suites, held against PostgreSQL, with what only a server can get wrong.

#[path = "contract/agreement.rs"]
mod agreement;
#[path = "contract/connecting.rs"]
mod connecting;
#[path = "contract/database.rs"]
mod database;
#[path = "contract/lost_answers.rs"]
mod lost_answers;
#[path = "contract/plans.rs"]
mod plans;
#[path = "contract/refused_units.rs"]
mod refused_units;
#[path = "contract/waking.rs"]
mod waking;

use std::sync::Arc;

use async_trait::async_trait;
use database::Database;
use docket_engine::contract::{KeysHarness, LogHarness, RosterHarness, SagaTableHarness};
use docket_engine::ports::keys::KeyStore;
use docket_engine::ports::leases::Leases;
use docket_engine::ports::log::EventLog;
use docket_engine::ports::nodes::Nodes;
use docket_engine::ports::sagas::{Barrier, SagaTable};
use docket_postgres::{PostgresKeyStore, PostgresLog, PostgresOptions};
use tokio::sync::OnceCell;

/// One database a case, made when it is first asked for.
#[derive(Default)]
struct Postgres(OnceCell<Database>);

impl Postgres {
    async fn url(&self) -> String {
        self.0.get_or_init(Database::create).await.url()
    }

    async fn log(&self) -> Arc<PostgresLog> {
        let options = PostgresOptions::default();
        Arc::new(PostgresLog::connect(&self.url().await, &options).await.expect("a log"))
    }

    async fn keys(&self) -> Arc<dyn KeyStore> {
        let options = PostgresOptions::default();
        let keys = PostgresKeyStore::connect(&self.url().await, &options).await;
        Arc::new(keys.expect("a key store"))
    }
}

#[async_trait]
impl LogHarness for Postgres {
    async fn fresh(&self) -> Arc<dyn EventLog> {
        self.log().await
    }

    async fn second_connection(&self) -> Arc<dyn EventLog> {
        self.log().await
    }
}

#[async_trait]
impl KeysHarness for Postgres {
    async fn fresh(&self) -> Arc<dyn KeyStore> {
        self.keys().await
    }

    async fn second_connection(&self) -> Arc<dyn KeyStore> {
        self.keys().await
    }
}

#[async_trait]
impl RosterHarness for Postgres {
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
impl SagaTableHarness for Postgres {
    async fn fresh(&self) -> (Arc<dyn EventLog>, Arc<dyn SagaTable>, Arc<dyn Barrier>) {
        let log = self.log().await;
        (log.clone(), log.clone(), log)
    }
}

mod saga_table {
    docket_engine::saga_table_contract!(super::Postgres::default());
}

mod roster {
    docket_engine::roster_contract!(super::Postgres::default());
}

mod log {
    docket_engine::log_contract!(super::Postgres::default());

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_snapshot_of_what_the_log_does_not_have_is_not_kept() {
        use docket_engine::contract::keeping;
        let log = super::Postgres::default();
        keeping::a_snapshot_of_what_the_log_does_not_have_is_not_kept(&log).await;
    }
}

mod keys {
    docket_engine::keys_contract!(super::Postgres::default());
}
