//! Measures rebuilding and answering: `DATABASE_URL=… cargo run --release -p docket-views-postgres --example view_rate`,
//! in an empty database.

use std::sync::Arc;

use docket_projections::contract::load::{answers, rebuild_rate};
use docket_views_postgres::PostgresViews;

const TICKETS: u64 = 20_000;
const ROWS: u64 = 1_000_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for people")]
#[expect(clippy::disallowed_methods, reason = "an example has no command line")]
async fn main() {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names an empty database");
    let store = Arc::new(PostgresViews::connect(&url).await.expect("a store"));
    println!("rebuild: {} events/s", rebuild_rate(store.clone(), TICKETS).await);
    let (rate, answered) = answers(store, ROWS).await;
    println!("bare rows: {rate} rows/s");
    for (name, half, most) in answered {
        println!("{name}: p50 {half:.1?}, p99 {most:.1?}");
    }
}
