//! Measures rebuilding and answering: `cargo run --release -p docket-views-sqlite --example view_rate -- <file>`.

use std::sync::Arc;

use docket_projections::contract::load::{answers, rebuild_rate};
use docket_views_sqlite::SqliteViews;

const TICKETS: u64 = 20_000;
const ROWS: u64 = 1_000_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for people")]
async fn main() {
    let file = std::env::args_os().nth(1).expect("a file to make the view in");
    let store = Arc::new(SqliteViews::open(&file).await.expect("a store"));
    println!("rebuild: {} events/s", rebuild_rate(store.clone(), TICKETS).await);
    let (rate, answered) = answers(store, ROWS).await;
    println!("bare rows: {rate} rows/s");
    for (name, half, most) in answered {
        println!("{name}: p50 {half:.1?}, p99 {most:.1?}");
    }
}
