//! What PostgreSQL's own full-text search does with the same texts: one row for each ticket, its words in a GIN index.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};

use super::{BenchDatabase, BenchError, settle};

/// Rows of one insert.
pub const FULL_TEXT_BATCH_ROWS: usize = 2_000;
/// Results of a question.
const FOUND_MAX: u32 = 50;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FullTextQuery {
    /// As PostgreSQL reads what people type: words are all required, `"…"` is a phrase, `or`, `-`.
    Typed(String),
    /// Words that begin like this.
    Prefix(String),
}

/// How much room it takes.
#[derive(Debug, Clone, Copy)]
pub struct FullTextSize {
    /// The index.
    pub index_bytes: u64,
    /// The column that is indexed, which ranking needs.
    pub words_bytes: u64,
}

/// A table of texts of its own.
#[derive(Debug)]
pub struct FullText {
    connection: PgConnection,
}

impl BenchDatabase {
    /// A session in which texts are written or looked for; the first one makes the table.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn full_text(&self) -> Result<FullText, BenchError> {
        let own: &PgConnectOptions = &self.own;
        let mut connection = own.connect().await?;
        connection
            .execute(
                "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; \
                 SET client_min_messages = warning; \
                 CREATE TABLE IF NOT EXISTS public.full_text \
                   (ticket bigint PRIMARY KEY, text text NOT NULL, words tsvector NOT NULL)",
            )
            .await?;
        Ok(FullText { connection })
    }
}

impl FullText {
    /// Adds tickets by number with their texts.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn add(&mut self, tickets: &[i64], texts: &[String]) -> Result<(), BenchError> {
        let statement = "INSERT INTO public.full_text SELECT ticket, text, to_tsvector('english', text) \
             FROM unnest($1::bigint[], $2::text[]) AS t (ticket, text)";
        sqlx::query(statement).bind(tickets).bind(texts).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Makes the index, and lets the server tidy up.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn index(&mut self) -> Result<FullTextSize, BenchError> {
        let made = "CREATE INDEX full_text_words ON public.full_text USING gin (words)";
        self.connection.execute(made).await?;
        settle(&mut self.connection).await?;
        let query = "SELECT pg_relation_size('public.full_text_words'), \
             (SELECT sum(pg_column_size(words))::bigint FROM public.full_text)";
        let (index, words): (i64, i64) =
            sqlx::query_as(query).fetch_one(&mut self.connection).await?;
        Ok(FullTextSize { index_bytes: index.unsigned_abs(), words_bytes: words.unsigned_abs() })
    }

    /// The best 50 by `ts_rank` with the number of all that fit; answers that number, and how long it took by `clock`.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn ask(
        &mut self,
        query: &FullTextQuery,
        clock: fn() -> Instant,
    ) -> Result<(u64, Duration), BenchError> {
        let (words, text) = match query {
            FullTextQuery::Typed(text) => ("websearch_to_tsquery", text.clone()),
            FullTextQuery::Prefix(text) => ("to_tsquery", format!("{text}:*")),
        };
        let statement = format!(
            "SELECT ticket, count(*) OVER () FROM public.full_text, {words}('english', $1) AS asked \
             WHERE words @@ asked ORDER BY ts_rank(words, asked) DESC, ticket DESC LIMIT {FOUND_MAX}"
        );
        let began = clock();
        let found: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(text)
            .fetch_all(&mut self.connection)
            .await?;
        let took = clock().duration_since(began);
        Ok((found.first().map_or(0, |(_, all)| all.unsigned_abs()), took))
    }
}
