//! Sheets with a ticket a row.

use docket_schemas::{Channel, Priority, Scalar, Status, TicketType};

use super::*;

const SHEET: &str = "\u{feff}Title,body,Who,status,priority,type,group_id,assignee_id,tags,channel,key,created_at,floor\r\n\
    Printer on fire,\"It burns,\r\nstill.\",bob@example.com,open,high,incident,g1,ann,vip fire,phone,A-1,2024-05-06T07:08:09+02:00,3\r\n\
    Lost badge,,cus_2,,,,,,,,A-2,,\r\n\
    ,x,cus_3,asleep,,,,,,,A-3,yesterday,\r\n\
    Again,,cus_2,,,,,,,,A-1,,\r\n";

const MAP: [&str; 4] = ["subject=Title", "requester=Who", "external_id=key", "custom.floor=floor"];

fn import(office: &Office, text: &str, map: &[&str]) -> Import {
    let columns = map.iter().map(|mapping| mapping.parse().unwrap()).collect();
    Import { columns, ..office.import(Format::Csv, text) }
}

#[tokio::test]
async fn a_row_is_a_ticket_with_the_columns_that_are_mapped_or_named_like_fields() {
    let office = Office::open().await;
    let (outcome, said) = office.run(import(&office, SHEET, &MAP)).await;
    done(outcome, [2, 2, 0, 2]);
    assert_eq!(
        said,
        "line 5: subject: is empty\n\
         line 5: status: is not one of new, open, pending, snoozed, hold, solved, closed\n\
         line 5: created_at: is no RFC 3339 time such as 2026-11-20T12:00:00Z\n\
         line 6: external_id: is that of line 2 too\n"
    );
    let ticket = office.ticket("A-1").await;
    assert_eq!((ticket.status, ticket.priority), (Status::Open, Priority::High));
    assert_eq!((ticket.ticket_type, ticket.channel), (Some(TicketType::Incident), Channel::Phone));
    assert_eq!(ticket.group.as_deref(), Some("g1"));
    assert_eq!(ticket.assignee, Some(office.person("ann").await));
    assert_eq!(ticket.requester, office.person("bob@example.com").await);
    assert_eq!(ticket.tags, ["fire", "vip"]);
    assert_eq!(ticket.created_at.to_string(), "2024-05-06T05:08:09.000000Z");
    assert_eq!(ticket.custom_fields["floor"], Scalar::Text("3".to_owned()));
    assert_eq!(office.ticket("A-2").await.status, Status::New);
}

#[tokio::test]
async fn a_second_run_adds_nothing_also_where_rows_have_no_id() {
    let office = Office::open().await;
    let (outcome, _) = office.run(import(&office, SHEET, &MAP)).await;
    done(outcome, [2, 2, 0, 2]);
    let (outcome, _) = office.run(import(&office, SHEET, &MAP)).await;
    done(outcome, [2, 0, 2, 2]);
    let twice = "subject,requester\nTea,bob\nTea,bob\n";
    done(office.run(import(&office, twice, &[])).await.0, [2, 2, 0, 0]);
    let thrice = "subject,requester\nCoffee,bob\nTea,bob\n\nTea,bob\nTea,bob\n";
    done(office.run(import(&office, thrice, &[])).await.0, [4, 2, 2, 0]);
}

#[tokio::test]
async fn a_column_that_is_not_there_is_named() {
    let office = Office::open().await;
    let (outcome, _) = office.run(import(&office, SHEET, &["subject=Titel"])).await;
    let told = outcome.unwrap_err().to_string();
    assert!(told.ends_with("has no column `Titel`"), "{told}");
}
