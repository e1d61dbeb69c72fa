//! A PostgreSQL database of one test.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::edge;

/// An empty database on the server of this test run, dropped with this value.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes it on the server that `DATABASE_URL` names, whose user may create databases.
    ///
    /// # Panics
    ///
    /// When there is no server, or it refuses.
    pub async fn create() -> Self {
        let server = edge::variable("DATABASE_URL")
            .expect("DATABASE_URL is not set: run the tests with `cargo xtask test`");
        let name = edge::unique("docket_test_");
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        execute(&server, sql).await.expect("an old test database can be dropped");
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        execute(&server, sql).await.expect("a test database can be created");
        Self { server, name }
    }

    /// Its URL, as `--database-url` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// Takes no connections any more, and ends those that there are.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn lock_out(&self) {
        let name = &self.name;
        let closed = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false");
        execute(&self.server, closed).await.expect("a database can be closed");
        let ended = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        execute(&self.server, ended).await.expect("connections can be ended");
    }

    /// Copies it as it is; every connection is ended for that, and new ones are taken afterwards.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn save(&self) {
        self.lock_out().await;
        copy(&self.server, &self.name, &self.saved()).await;
        self.let_in().await;
    }

    /// Puts the copy that [`Database::save`] made in its place, while nobody is connected.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn restore(&self) {
        self.lock_out().await;
        let sql = format!("DROP DATABASE {}", self.name);
        execute(&self.server, sql).await.expect("a database can be dropped");
        copy(&self.server, &self.saved(), &self.name).await;
    }

    async fn let_in(&self) {
        let sql = format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", self.name);
        execute(&self.server, sql).await.expect("a database can be opened");
    }

    fn saved(&self) -> String {
        format!("{}_saved", self.name)
    }

    /// A connection of the test's own, to look at tables or to break them.
    ///
    /// # Panics
    ///
    /// When the server takes none.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("the test database takes connections")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, names) = (self.server.clone(), [self.name.clone(), self.saved()]);
        // A thread of its own: a destructor cannot wait inside the test's runtime.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            names.into_iter().try_for_each(|name| {
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                runtime.block_on(execute(&server, sql))
            })
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("the test database {} stays behind", self.name);
        }
    }
}

async fn copy(server: &str, from: &str, to: &str) {
    let sql = format!("CREATE DATABASE {to} TEMPLATE {from}");
    execute(server, sql).await.expect("a database that nobody uses can be copied");
}

async fn execute(url: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

/// `url` with another database, its parameters kept.
fn with_database(url: &str, name: &str) -> String {
    let (base, parameters) = match url.split_once('?') {
        Some((base, parameters)) => (base, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let scheme = base.find("://").map_or(0, |at| at + 3);
    let host = base[scheme..].find('/').map_or(base, |at| &base[..scheme + at]);
    format!("{host}/{name}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced_and_its_parameters_stay() {
        let check = |url, expected| assert_eq!(with_database(url, "t1"), expected);
        check("postgres://u:p@h:5432/postgres", "postgres://u:p@h:5432/t1");
        check("postgres://u@h?sslmode=disable", "postgres://u@h/t1?sslmode=disable");
        check("postgres://u@h/db?a=/b", "postgres://u@h/t1?a=/b");
    }
}
