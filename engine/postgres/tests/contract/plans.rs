//! Plans made on an empty log stay right while it grows: no call reads more rows than it asks for.

use std::time::Duration;

use docket_engine::contract::drafts::{
    after, append, draft, duplicate, eu, events_of, opening, placed, taking, tenant, ticket, units,
};
use docket_engine::cursor::Positions;
use docket_engine::ports::log::EventLog;
use docket_postgres::{PostgresLog, PostgresOptions};
use docket_schemas::{Draft, SlotKey, Stream};
use sqlx::PgConnection;

use crate::database::Database;

const ROUNDS: u64 = 60;
const OPENINGS: u64 = 40;

/// Index entries that one event may cost, written, found as a duplicate, and read in every way.
const READS_PER_EVENT_MAX: i64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_walks_the_log() {
    let database = Database::create().await;
    let mut beside = database.connect().await;
    let options = PostgresOptions { connections_max: 1, ..PostgresOptions::default() };
    let log = PostgresLog::connect(&database.url(), &options).await.expect("a log");
    let tables = "ALTER TABLE docket.event SET (autovacuum_enabled = off); \
                  ALTER TABLE docket.slot SET (autovacuum_enabled = off)";
    sqlx::raw_sql(tables).execute(&mut beside).await.expect("no ANALYZE comes to help");
    log.begin_incarnation(None, &eu(1)).await.expect("an incarnation begins");
    let shared = std::sync::Arc::new(log.clone()) as std::sync::Arc<dyn EventLog>;
    for round in 0..ROUNDS {
        let first = round * 100 + 1;
        let external = |number| Some(format!("external/{number}"));
        let open = |number| {
            opening(Draft { external_id: external(number), ..draft(ticket(number), number) })
        };
        let plain = append(&shared, units((first..first + OPENINGS).map(open))).await;
        let again = append(&shared, units([open(first), open(first + 1)])).await;
        duplicate(&again[1]);
        let reply = after(placed(&plain[0])[0].position, draft(ticket(first), first + 50));
        let replies = (1..OPENINGS / 2).map(|number| {
            let number = usize::try_from(number).expect("few");
            let id = first + number as u64;
            after(placed(&plain[number])[0].position, draft(ticket(id), id + 60))
        });
        for outcome in append(&shared, units(replies)).await {
            placed(&outcome);
        }
        let claim = taking(ticket(first + 51), first + 51, &[SlotKey::claim(ticket(first))]);
        for outcome in append(&shared, units([reply, opening(claim)])).await {
            placed(&outcome);
        }
        assert_eq!(events_of(&shared, ticket(first)).await.len(), 2);
        let partition = Stream::ticket(ticket(first)).partition(&tenant("acme"));
        let command = draft(ticket(first), first).command_id;
        let acme = tenant("acme");
        let of_command = log.event_of_command(&acme, partition, command);
        assert!(of_command.await.expect("an answer").is_some());
        let id = format!("external/{first}");
        let found = log.tickets_by_external_id(&tenant("acme"), &id, 9).await.expect("an answer");
        assert_eq!(found, [ticket(first)]);
        let nobody = log.tenant_events(&tenant("nobody"), &Positions::START, 100).await;
        assert!(nobody.expect("a page").events.is_empty());
    }
    let written = i64::try_from(log.heads().await.expect("heads").total()).expect("few");
    log.close().await;
    let (walked, probed) = reads(&mut beside).await;
    assert_eq!(walked, 0, "rows of a sequential scan");
    let most = written * READS_PER_EVENT_MAX;
    assert!(probed <= most, "{probed} index entries were read for {written} events");
}

/// Rows read by sequential scans, and entries read from indexes, once the statistics have come to rest.
async fn reads(connection: &mut PgConnection) -> (i64, i64) {
    let query = "SELECT \
        (SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname IN ('event', 'slot')), \
        (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname IN ('event', 'slot'))";
    let mut last = (-1, -1);
    loop {
        let now: (i64, i64) =
            sqlx::query_as(query).fetch_one(&mut *connection).await.expect("statistics");
        if now == last && now.1 > 0 {
            return now;
        }
        last = now;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}
