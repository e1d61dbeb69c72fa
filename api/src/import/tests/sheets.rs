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

#[tokio::test]
async fn a_stray_quote_costs_its_own_row_only() {
    let office = Office::open().await;
    let sheet =
        "subject,requester\na,mia\n\"b,mia\nc,mia\nd \"x\",mia\ne\",mia\n\"f\ng\",mia,\nh,mia\n";
    let (outcome, said) = office.run(import(&office, sheet, &[])).await;
    done(outcome, [5, 5, 0, 3]);
    assert_eq!(
        said,
        "line 3: subject: has text after its closing quote on line 5\n\
         line 7: row: has 3 fields instead of 2, with the lines to 8 in its quotes\n\
         line 8: row: has 3 fields instead of 2\n"
    );
}

/// A sheet whose rows fill so many custom fields.
fn wide(filled: &[usize]) -> String {
    let keys: Vec<String> = (0..150).map(|key| format!("custom.k{key}")).collect();
    let mut text = format!("subject,requester,{}\n", keys.join(","));
    for (row, filled) in filled.iter().enumerate() {
        let cells: Vec<&str> = (0..150).map(|key| if key < *filled { "x" } else { "" }).collect();
        writeln!(text, "row {row},mia,{}", cells.join(",")).unwrap();
    }
    text
}

#[tokio::test]
async fn a_row_is_held_to_the_limits_of_every_door() {
    let office = Office::open().await;
    let (outcome, said) = office.run(import(&office, &wide(&[150, 100, 101]), &[])).await;
    done(outcome, [1, 1, 0, 2]);
    assert_eq!(
        said,
        "line 2: custom_fields: has more than 100 fields\n\
         line 4: custom_fields: has more than 100 fields\n"
    );
    let long = |length: usize| "x".repeat(length);
    let tags = (0..101).map(|tag| format!("t{tag}")).collect::<Vec<_>>().join(" ");
    let row = [
        long(256),
        long(65_537),
        long(256),
        long(256),
        long(256),
        long(256),
        long(65),
        long(1_025),
    ];
    let sheet = format!(
        "subject,body,requester,group_id,external_id,assignee_id,tags,custom.a\n{}\na,b,c,d,e,f,{tags},g\n",
        row.join(",")
    );
    let (outcome, said) = office.run(import(&office, &sheet, &[])).await;
    done(outcome, [0, 0, 0, 2]);
    assert_eq!(
        said,
        "line 2: requester: has more than 255 bytes\n\
         line 2: subject: has more than 255 characters\n\
         line 2: body: has more than 65536 bytes\n\
         line 2: tags: has a tag that has more than 64 characters\n\
         line 2: group_id: has more than 255 bytes\n\
         line 2: custom.a: has more than 1024 bytes\n\
         line 2: external_id: has more than 255 bytes\n\
         line 2: assignee_id: has more than 255 bytes\n\
         line 3: tags: has more than 100 tags\n"
    );
}

#[tokio::test]
async fn a_key_that_no_ticket_takes_is_refused_with_its_column() {
    let office = Office::open().await;
    let long = format!("custom.{}", "k".repeat(300));
    for (header, told) in [
        (long.as_str(), "the key of a custom field has more than 255 bytes"),
        ("custom.a\0b", "the name of a column holds a NUL character"),
    ] {
        let sheet = format!("subject,requester,{header}\na,mia,x\n");
        let (outcome, _) = office.run(import(&office, &sheet, &[])).await;
        let said = outcome.unwrap_err().to_string();
        assert!(said.ends_with(told), "{said}");
    }
}

#[tokio::test]
async fn odd_files_are_imported_or_say_what_is_wrong() {
    let office = Office::open().await;
    let (outcome, _) = office.run(import(&office, "", &[])).await;
    let said = outcome.unwrap_err().to_string();
    assert!(said.ends_with("file: is empty: its first line has to name its columns"), "{said}");
    let (outcome, said) = office.run(import(&office, "\u{feff}subject,requester\r\n", &[])).await;
    done(outcome, [0, 0, 0, 0]);
    assert_eq!(said, "");
    let import = import(&office, "", &[]);
    let mut bytes = b"subject,requester\r\nTee f\xfcr zwei,mia\r\n".to_vec();
    bytes.resize(bytes.len() + 100_000_000, b'x');
    bytes.extend_from_slice(b"\r\nKaffee,mia");
    std::fs::write(&import.file, bytes).unwrap();
    let (outcome, said) = office.run(import).await;
    done(outcome, [1, 1, 0, 2]);
    assert_eq!(said, "line 2: subject: is not UTF-8\nline 3: row: is longer than 2 MiB\n");
}
