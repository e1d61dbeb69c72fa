//! A database of one test's own, dropped with it.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Lives as long as its test.
pub(crate) struct Database {
    name: String,
    admin_url: String,
}

impl Database {
    /// An empty database on the server that `DATABASE_URL` names.
    pub(crate) async fn create() -> Self {
        let admin_url = admin_url();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("docket_views_{}_{number}", std::process::id());
        let mut admin = connect(&admin_url).await;
        // What a killed run of the same process id left behind.
        for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            let tail = if statement.starts_with("CREATE") { " TEMPLATE template0" } else { "" };
            let sql = format!("{statement} {name}{tail}");
            admin.execute(AssertSqlSafe(sql)).await.expect("an admin may make databases");
        }
        Self { name, admin_url }
    }

    /// How to connect to it.
    pub(crate) fn url(&self) -> String {
        let (server, query) = match self.admin_url.split_once('?') {
            Some((server, query)) => (server, format!("?{query}")),
            None => (self.admin_url.as_str(), String::new()),
        };
        let (scheme, rest) = server.split_once("://").expect("a URL");
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        format!("{scheme}://{host}/{}{query}", self.name)
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> PgConnection {
        connect(&self.url()).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, sql) =
            (self.admin_url.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let drop_it = async {
                let mut admin = connect(&url).await;
                admin.execute(AssertSqlSafe(sql)).await.expect("an admin may drop databases");
            };
            runtime.expect("a runtime").block_on(drop_it);
        });
        assert!(dropping.join().is_ok() || std::thread::panicking(), "the database stays behind");
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("DATABASE_URL names a running server")
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line")]
fn admin_url() -> String {
    std::env::var("DATABASE_URL").expect(
        "DATABASE_URL is not set: these tests need a PostgreSQL server and an admin's URL to it; \
         `cargo xtask test` starts one and sets it",
    )
}
