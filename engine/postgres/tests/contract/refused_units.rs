//! Batches of which one unit is at fault: it alone is left out, and the others are what they would be without it.

use std::sync::Arc;
use std::time::Duration;

use docket_engine::append::partition_of;
use docket_engine::contract::drafts::{
    after, append, batch, chained, draft, duplicate, eu, events_of, numbers, opening, place,
    placed, ticket, units,
};
use docket_engine::ports::log::{EventLog, UnitOutcome};
use docket_postgres::{PostgresLog, PostgresOptions};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::database::Database;

async fn log(database: &Database) -> Arc<dyn EventLog> {
    let log = PostgresLog::connect(&database.url(), &PostgresOptions::default()).await;
    let log = Arc::new(log.expect("a log"));
    log.begin_incarnation(None, &eu(1)).await.expect("an incarnation begins");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_may_append_between_the_units_of_a_refused_batch() {
    let database = Database::create().await;
    let (ours, theirs) = (log(&database).await, log(&database).await);
    let mut beside = database.connect().await;
    let good = draft(ticket(1), 1);
    let mut bad = (2..).map(|number| draft(ticket(number), 2));
    let bad = bad.find(|bad| partition_of(bad) != partition_of(&good)).expect("15 in 16");
    let trap = format!(
        "CREATE FUNCTION docket.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_advisory_xact_lock(1); RAISE check_violation; END $$; \
         CREATE TRIGGER trap BEFORE INSERT ON docket.event FOR EACH ROW \
         WHEN (NEW.command_id = '{}') EXECUTE FUNCTION docket.trap()",
        bad.command_id.uuid()
    );
    sqlx::raw_sql(AssertSqlSafe(trap)).execute(&mut beside).await.expect("a trap");
    run(&mut beside, "SELECT pg_advisory_lock(1)").await;

    let rows = units([opening(good), opening(bad), chained(draft(ticket(1), 3))]);
    let appending = tokio::spawn(async move { ours.append(batch(eu(1), rows)).await });
    trapped(&mut beside).await;
    // The batch goes on to be refused; when the lock is back, its first unit is on the way alone.
    run(&mut beside, "SELECT pg_advisory_unlock(1)").await;
    run(&mut beside, "SELECT pg_advisory_lock(1)").await;
    trapped(&mut beside).await;
    let between = place(&theirs, after(1, draft(ticket(1), 9))).await;
    assert_eq!(between.position, 2);
    run(&mut beside, "SELECT pg_advisory_unlock(1)").await;

    let outcomes = appending.await.expect("no panic").expect("the log is available");
    assert_eq!(placed(&outcomes[0])[0].position, 1);
    assert!(matches!(outcomes[1], UnitOutcome::Damaged { .. }), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2], UnitOutcome::Behind);
    assert_eq!(numbers(&events_of(&theirs, ticket(1)).await), [1, 9]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_event_that_cannot_be_read_is_the_damage_of_its_own_retry_alone() {
    let database = Database::create().await;
    let log = log(&database).await;
    let open = |number| opening(draft(ticket(number), number));
    for outcome in append(&log, units([open(1), open(2)])).await {
        placed(&outcome);
    }
    let damage = "UPDATE docket.event SET type = 'ticket.eaten' WHERE command_id = $1";
    let damage = sqlx::query(damage).bind(draft(ticket(1), 1).command_id.uuid());
    damage.execute(&mut database.connect().await).await.expect("damaged");

    let outcomes = append(&log, units([open(1), open(3), open(2)])).await;
    assert!(matches!(outcomes[0], UnitOutcome::Damaged { .. }), "{:?}", outcomes[0]);
    placed(&outcomes[1]);
    assert_eq!(duplicate(&outcomes[2]).1.draft, draft(ticket(2), 2));
}

/// Until somebody waits for the advisory lock.
async fn trapped(beside: &mut PgConnection) {
    let waiting = "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                   WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
    while run(beside, waiting).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> u64 {
    sqlx::query(sql).execute(connection).await.expect("the server answers").rows_affected()
}
