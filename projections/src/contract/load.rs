//! Load for measurements: a log of made-up tickets to rebuild from, and rows enough that lists have to be found quickly.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docket_engine::command::Command;
use docket_engine::ports::clock::Clock;
use docket_engine::testing::Office;
use docket_schemas::{Priority, Role, Status, Timestamp};

use super::sample::{active, resolved, spans, tenant};
use crate::query::{CountQuery, Direction, ListQuery, Sort, SortKey, TicketFilter, Viewer};
use crate::row::{ROW_FORMAT, TicketRow};
use crate::store::ViewStore;
use crate::{Rebuild, Taken};

/// Events of each ticket in the log.
const EVENTS: u64 = 7;

/// Rows of one batch.
const BATCH_ROWS: u64 = 10_000;

/// Times that each question is asked.
const ASKED: u32 = 200;

/// Rebuilds `store` from a log of so many tickets; answers events per second.
///
/// # Panics
/// When anything fails.
pub async fn rebuild_rate(store: Arc<dyn ViewStore>, tickets: u64) -> u64 {
    let office = Office::new().await;
    let desk = office.desk().await;
    let agent = office.caller(Role::Agent, "ann").await;
    let customer = office.caller(Role::Customer, "cus_1").await;
    for number in 0..tickets {
        office.clock.advance(1_000);
        let ticket = desk.open(office.opening().await).await.expect("a ticket").ticket.id;
        let priority = Priority::ALL[usize::try_from(number % 4).unwrap_or(0)];
        for (caller, command) in [
            (&agent, Command::priority(priority)),
            (&agent, Command::reply("Have you turned it off?")),
            (&customer, Command::reply("Yes.")),
            (&agent, Command::status(Status::Pending)),
            (&agent, Command::tags(&["printer"], &[])),
            (&agent, Command::status(Status::Solved)),
        ] {
            let intent = office.intent(caller, ticket, command).await;
            desk.execute(intent).await.expect("it is allowed");
        }
    }
    let clock: Arc<dyn Clock> = office.clock.clone();
    let log = Arc::clone(&office.log);
    let began = now();
    let rebuild = Rebuild { store, log, clock, told: Box::new(|_| {}) };
    rebuild.run().await.expect("a version");
    // A rebuild goes on feeding for a while after its switch.
    let took = began.elapsed().saturating_sub(Duration::from_secs(2));
    per_second(tickets * EVENTS, took)
}

/// Writes so many rows into a new version; answers rows per second, and what was answered how quickly: the question, and
/// the 50th and 99th of a hundred.
///
/// # Panics
/// When anything fails.
pub async fn answers(
    store: Arc<dyn ViewStore>,
    rows: u64,
) -> (u64, Vec<(String, Duration, Duration)>) {
    let time = Timestamp::from_micros(1_795_000_000_000_000);
    let version = store.begin(ROW_FORMAT, time).await.expect("a version");
    let began = now();
    for checkpoint in 0..rows.div_ceil(BATCH_ROWS) {
        let first = checkpoint * BATCH_ROWS;
        let batch: Vec<TicketRow> = (first..rows.min(first + BATCH_ROWS)).map(spread).collect();
        let spans = spans(batch, checkpoint, checkpoint + 1);
        assert_eq!(store.write(version, None, spans).await.expect("an answer"), Taken::Done);
    }
    let rate = per_second(rows, began.elapsed());
    store.index(version).await.expect("indexes");
    assert!(store.switch(version, time).await.expect("an answer"));
    assert_eq!(active(&*store).await, version);
    let mut answered = Vec::new();
    for (name, filter) in filters() {
        for key in [SortKey::CreatedAt, SortKey::UpdatedAt, SortKey::Priority] {
            for direction in [Direction::Ascending, Direction::Descending] {
                let sort = Sort { key, direction };
                answered.push(
                    list(&*store, &format!("list {name} {key:?} {direction:?}"), &filter, sort)
                        .await,
                );
            }
        }
        let query = CountQuery { tenant: tenant(), viewer: Viewer::Staff, filter };
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let began = now();
            store.count(&query).await.expect("an answer");
            took.push(began.elapsed());
        }
        answered.push(quantiles(format!("count {name}"), took));
    }
    (rate, answered)
}

async fn list(
    store: &dyn ViewStore,
    name: &str,
    filter: &TicketFilter,
    sort: Sort,
) -> (String, Duration, Duration) {
    let (tenant, viewer, filter) = (tenant(), Viewer::Staff, filter.clone());
    let mut query = ListQuery { tenant, viewer, filter, sort, after: None, limit: 50 };
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let began = now();
        let page = store.list(&query).await.expect("an answer");
        took.push(began.elapsed());
        query.after = page.tickets.last().map(|last| last.place).filter(|_| page.more);
    }
    quantiles(name.to_owned(), took)
}

/// A ticket of a help desk with many groups, agents and customers, a few of them rare.
fn spread(number: u64) -> TicketRow {
    let mut ticket = resolved(number);
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    ticket.requester = super::sample::person(mixed % 200_000);
    ticket.assignee =
        (!mixed.is_multiple_of(10)).then(|| super::sample::person(300_000 + mixed % 400));
    ticket.group = Some(format!("group {}", mixed % 40));
    ticket.status = match mixed % 100 {
        0 => Status::New,
        1..=8 => Status::Open,
        9..=14 => Status::Pending,
        15..=16 => Status::Hold,
        _ => Status::Closed,
    };
    ticket.tags = vec![format!("topic {}", mixed % 300)];
    if mixed.is_multiple_of(50_000) {
        ticket.tags.push("rare".to_owned());
    }
    let time = 1_600_000_000_000_000 + number.cast_signed() * 60_000_000;
    ticket.created_at = Timestamp::from_micros(time);
    let later = i64::try_from(mixed % 1_000_000).unwrap_or(0) * 1_000_000;
    ticket.updated_at = ticket.created_at.plus_micros(later);
    TicketRow::of(&tenant(), &ticket, number + 1, number + 1)
}

fn filters() -> Vec<(&'static str, TicketFilter)> {
    let none = TicketFilter::default;
    let person = super::sample::person;
    vec![
        ("all", none()),
        ("status closed", TicketFilter { status: Some(Status::Closed), ..none() }),
        ("status new", TicketFilter { status: Some(Status::New), ..none() }),
        ("priority urgent", TicketFilter { priority: Some(Priority::Urgent), ..none() }),
        ("an assignee", TicketFilter { assignee: Some(Some(person(300_007))), ..none() }),
        ("nobody's", TicketFilter { assignee: Some(None), ..none() }),
        ("a group", TicketFilter { group: Some(Some("group 7".to_owned())), ..none() }),
        ("a requester", TicketFilter { requester: Some(person(7)), ..none() }),
        ("a tag", TicketFilter { tag: Some("topic 7".to_owned()), ..none() }),
        ("a rare tag", TicketFilter { tag: Some("rare".to_owned()), ..none() }),
        ("no such tag", TicketFilter { tag: Some("never".to_owned()), ..none() }),
        (
            "open in a group",
            TicketFilter {
                status: Some(Status::Open),
                group: Some(Some("group 7".to_owned())),
                ..none()
            },
        ),
    ]
}

fn quantiles(name: String, mut took: Vec<Duration>) -> (String, Duration, Duration) {
    took.sort_unstable();
    (name, took[took.len() / 2], took[took.len() * 99 / 100])
}

fn per_second(number: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    number * 1_000_000 / NonZeroU64::new(micros).unwrap_or(NonZeroU64::MIN)
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
fn now() -> Instant {
    Instant::now()
}
