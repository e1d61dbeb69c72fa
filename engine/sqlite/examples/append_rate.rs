//! Measures appends: `cargo run --release -p docket-sqlite --example append_rate -- <directory>`.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use docket_engine::contract::drafts::{after, append, draft, eu, opening, placed, ticket, units};
use docket_engine::ports::log::EventLog;
use docket_sqlite::SqliteLog;

/// Rows of each measurement.
const ROWS: u64 = 100_000;

#[tokio::main]
async fn main() {
    let directory = std::env::args_os().nth(1).expect("a directory to write the log to");
    let path = std::path::Path::new(&directory).join("append_rate.db");
    let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(&path).await.expect("the log opens"));
    log.begin_incarnation(None, &eu(1)).await.expect("a new log");
    let mut first = 1;
    for batch_rows in [500, 100, 10, 1] {
        let rows = ROWS.min(batch_rows * 400);
        measure(&log, first, rows, batch_rows).await;
        first += 2 * rows;
    }
}

/// Opens `rows` tickets and writes once more to each, in batches of `batch_rows`.
#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
async fn measure(log: &Arc<dyn EventLog>, first: u64, rows: u64, batch_rows: u64) {
    let mut positions = Vec::new();
    let began = Instant::now();
    for start in (first..first + rows).step_by(usize::try_from(batch_rows).expect("small")) {
        let rows = (start..start + batch_rows).map(|number| opening(draft(ticket(number), number)));
        let outcomes = append(log, units(rows)).await;
        positions.extend(outcomes.iter().map(|outcome| placed(outcome)[0].position));
    }
    report("new tickets", batch_rows, rows, began);
    let began = Instant::now();
    for (chunk, start) in positions
        .chunks(usize::try_from(batch_rows).expect("small"))
        .zip((first..).step_by(usize::try_from(batch_rows).expect("small")))
    {
        let rows = chunk
            .iter()
            .zip(start..)
            .map(|(position, number)| after(*position, draft(ticket(number), number + rows)));
        for outcome in append(log, units(rows)).await {
            placed(&outcome);
        }
    }
    report("second events", batch_rows, rows, began);
}

#[expect(clippy::print_stdout, reason = "a program for people")]
fn report(what: &str, batch_rows: u64, rows: u64, began: Instant) {
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let micros = NonZeroU64::new(micros).unwrap_or(NonZeroU64::MIN);
    println!("{what}, {batch_rows} a batch: {} rows/s", rows * 1_000_000 / micros);
}
