//! Both backends: the same test runs on SQLite and on PostgreSQL.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::{Database, Node, Site};

/// How long a change by hand waits for the node that writes the same file.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// A fresh installation on one backend, and the database that goes with it.
pub struct Backend {
    /// Where nodes are started.
    pub site: Site,
    database: Option<Database>,
}

impl Backend {
    /// SQLite in a data directory.
    #[must_use]
    pub fn sqlite() -> Self {
        Self { site: Site::embedded().with("rate-limit", "off"), database: None }
    }

    /// A PostgreSQL database of its own.
    pub async fn postgres() -> Self {
        let database = Database::create().await;
        let site = Site::on(&database).with("rate-limit", "off");
        Self { site, database: Some(database) }
    }

    /// Runs a statement on the tables of the tickets view, as somebody does who changes them by hand.
    ///
    /// # Panics
    /// When the statement fails.
    pub async fn change_view(&self, statement: &str) {
        self.change("docket_views", "views.db", statement).await;
    }

    /// Runs a statement on the tables of the log.
    ///
    /// # Panics
    /// When the statement fails.
    pub async fn change_log(&self, statement: &str) {
        self.change("docket", "docket.db", statement).await;
    }

    async fn change(&self, schema: &str, file: &str, statement: &str) {
        if let Some(database) = &self.database {
            let mut connection = database.connect().await;
            let statement = format!("SET search_path = {schema}; {statement}");
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
            done.expect("a statement on the tables");
            return;
        }
        let file = self.site.data().join(file);
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_WAIT);
        let mut connection = options.connect().await.expect("the file opens");
        let statement = statement.to_owned();
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
        done.expect("a statement on the tables");
    }

    /// Every row of one of the log's PostgreSQL tables as text.
    ///
    /// # Panics
    /// On SQLite, or when the table cannot be read.
    pub async fn rows(&self, table: &str) -> String {
        let database = self.database.as_ref().expect("a PostgreSQL backend");
        let statement =
            format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM docket.{table} t");
        let mut connection = database.connect().await;
        let row = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement));
        row.fetch_one(&mut connection).await.expect("a table of the log")
    }

    /// Copies the PostgreSQL database; nodes are cut off for a moment.
    ///
    /// # Panics
    /// On SQLite, or when the server refuses.
    pub async fn save(&self) {
        self.database.as_ref().expect("a PostgreSQL backend").save().await;
    }

    /// Puts the copy in the database's place, under running nodes.
    ///
    /// # Panics
    /// On SQLite, or when the server refuses.
    pub async fn restore(&self) {
        self.database.as_ref().expect("a PostgreSQL backend").restore().await;
    }

    /// Cuts every node off its PostgreSQL database, as when the server is gone.
    ///
    /// # Panics
    /// On SQLite, or when the server refuses.
    pub async fn lock_out(&self) {
        self.database.as_ref().expect("a PostgreSQL backend").lock_out().await;
    }
}

/// Runs a check against a node on each backend. Afterwards the node has to be alive, and must never have panicked.
///
/// # Panics
/// When the check does, or the node is dead or has panicked.
pub async fn on_both_backends(check: impl AsyncFn(&Site, &Node)) {
    for backend in [Backend::sqlite(), Backend::postgres().await] {
        let node = backend.site.serve().await;
        check(&backend.site, &node).await;
        let _ = node.anonymous().get("/readyz").send().await.expect_status(200);
        assert!(!node.log().contains("panic"), "the node panicked");
    }
}
