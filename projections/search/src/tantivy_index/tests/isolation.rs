//! What a customer is told does not depend on anything that the customer may not see.

use docket_engine::policy::Audience;
use docket_schemas::{Kind, PersonId};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::world::{Indexed, SORTS, STAFF, person, question, random};
use crate::document::TicketWrite;
use crate::port::{Found, Question, Reader};

/// Queries of a customer.
const QUERIES: usize = 1_000;
const TICKETS: u64 = 120;

/// The public part of a customer's own tickets, as if there were nothing else in the world.
fn public_part(world: &[TicketWrite], customer: PersonId) -> Vec<TicketWrite> {
    let own = world.iter().filter(|write| {
        write.ticket.requester == customer || write.ticket.followers.contains(&customer)
    });
    own.cloned()
        .map(|mut write| {
            write.messages.retain(|message| message.public);
            write.with(|ticket| {
                ticket.status = Audience::Customer.status(ticket.status);
                ticket.tags = vec!["made-up".to_owned()];
                ticket.group = Some("made-up".to_owned());
                ticket.kind = Kind::Chat;
                ticket.updated_at = ticket.public_updated_at;
                ticket.followers = vec![customer];
            })
        })
        .collect()
}

/// All of an answer that its reader gets to know.
fn told(found: &Found) -> String {
    let hits = found.hits.iter().map(|hit| {
        format!("{} {} {} {:?} {:?}\n", hit.ticket, hit.score, hit.subject, hit.messages, hit.rank)
    });
    let (count, more, hits) = (found.count, found.more, hits.collect::<String>());
    format!("{count} {more} {:?} {:?}\n{hits}", found.facets, found.newest_visible)
}

fn runner() -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn pick<S: Strategy>(runner: &mut TestRunner, from: &S) -> S::Value {
    from.new_tree(runner).expect("a value").current()
}

#[tokio::test]
async fn a_thousand_queries_of_customers_are_answered_as_if_nothing_else_were_there() {
    let mut runner = runner();
    let tickets = (1..=TICKETS).map(random::ticket_with).collect::<Vec<_>>();
    let world = pick(&mut runner, &tickets);
    let whole = Indexed::of(world.clone()).await;
    let mut own = Vec::new();
    for number in 1..4 {
        own.push(Indexed::of(public_part(&world, person(number))).await);
    }
    let (mut found, mut hidden) = (0, 0);
    for case in 0..QUERIES {
        let query = pick(&mut runner, &random::query());
        let number = case % own.len();
        let customer = Reader::Customer(person(number as u128 + 1));
        let question = Question {
            sort: SORTS[case % SORTS.len()],
            size: 1 + case % 20,
            ..question(customer, &query)
        };
        let (told_all, told_own) =
            (whole.ask(question.clone()).await, own[number].ask(question.clone()).await);
        assert_eq!(told(&told_all), told(&told_own), "{query} by {:?}", question.sort);
        if let (Some(last), true) = (told_all.hits.last(), told_all.more) {
            let next = Question { after: Some(last.rank), ..question.clone() };
            let pages = (whole.ask(next.clone()).await, own[number].ask(next).await);
            assert_eq!(told(&pages.0), told(&pages.1), "{query} behind {:?}", last.rank);
        }
        found += told_all.count;
        hidden += whole
            .ask(Question { reader: STAFF, ..question })
            .await
            .count
            .saturating_sub(told_all.count);
    }
    // The queries were worth asking.
    assert!(found > 1_000 && hidden > 1_000, "{found} found, {hidden} hidden");
}

#[tokio::test]
async fn a_tenant_finds_nothing_of_another() {
    use super::world::{tenant, ticket, writes};
    use crate::port::SearchIndex as _;

    let other = ticket(1, "printer on fire").says(true, "打印机").with(|ticket| {
        ticket.tenant = "other".parse().expect("a tenant");
        ticket.tags = vec!["vip".to_owned()];
    });
    let indexed = Indexed::of(vec![ticket(2, "scanner")]).await;
    let before = told(&indexed.ask(question(STAFF, "-printer")).await);
    indexed.index.write(writes(vec![other], 2)).await.expect("written");
    indexed.index.commit().await.expect("committed");
    assert_eq!(told(&indexed.ask(question(STAFF, "-printer")).await), before);
    for query in
        ["printer", "print*", "pritner~1", "打印", "\"on fire\"", "tag:vip", "requester:p1 fire"]
    {
        assert_eq!(indexed.finds(STAFF, query).await, [] as [u64; 0], "{query}");
        let there =
            Question { tenant: "other".parse().expect("a tenant"), ..question(STAFF, query) };
        assert_eq!(indexed.ask(there).await.count, 1, "{query} of another than {}", tenant());
    }
}
