//! Incident event logs.

use docket_engine::desk::AsOf;
use docket_engine::version::Version;
use docket_schemas::{Channel, Priority, Role, Scalar, Status, TicketPayload};

use super::*;

const HEADER: &str = "number,incident_state,opened_at,sys_updated_at,caller_id,contact_type,category,subcategory,\
                      impact,urgency,priority,assignment_group,assigned_to,notify\n";

/// Six rows: an opening, nothing new, taken and moved, a state without a name, nothing known of group and assignee,
/// closed.
const INCIDENT: &str = "\
INC1,New,29-02-2016 01:16,29-02-2016 01:23,Caller 1,Phone,Net,VPN,2 - Medium,2 - Medium,3 - Moderate,Group 1,?,x
INC1,New,29-02-2016 01:16,29-02-2016 01:30,Caller 1,Phone,Net,VPN,2 - Medium,2 - Medium,3 - Moderate,Group 1,?,y
INC1,Active,29-02-2016 01:16,29-02-2016 02:00,Caller 1,Phone,Net,?,1 - High,2 - Medium,1 - Critical,Group 2,Ann,y
INC1,-100,29-02-2016 01:16,31-02-2016 02:30,Caller 1,Phone,Net,?,1 - High,2 - Medium,5 - Planning,Group 2,Bob,y
INC1,Awaiting Vendor,29-02-2016 01:16,29-02-2016 03:00,Caller 1,Phone,Net,?,1 - High,2 - Medium,1 - Critical,?,?,y
INC1,Closed,29-02-2016 01:16,05-03-2016 12:00,Caller 1,Phone,Net,?,1 - High,2 - Medium,1 - Critical,?,?,y
";

fn log(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

#[tokio::test]
async fn each_row_writes_what_it_changes_against_the_last_good_one() {
    let office = Office::open().await;
    let (outcome, said) = office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 4, 0, 1]);
    assert_eq!(
        said,
        "line 5: incident_state: is not New, Active, Awaiting …, Resolved or Closed\n\
         line 5: priority: is not 1 to 4, as in 3 - Moderate\n\
         line 5: sys_updated_at: is no time of the form DD-MM-YYYY hh:mm\n"
    );
    let ticket = office.ticket("INC1").await;
    assert_eq!((ticket.status, ticket.priority), (Status::Closed, Priority::Urgent));
    assert_eq!((ticket.group, ticket.assignee), (None, None));
    assert_eq!(ticket.requester, office.person("Caller 1").await);
    assert_eq!(ticket.channel, Channel::Phone);
    assert_eq!(ticket.created_at.to_string(), "2016-02-29T01:16:00.000000Z");
    assert_eq!(ticket.updated_at.to_string(), "2016-03-05T12:00:00.000000Z");
    let custom: Vec<_> = ticket.custom_fields.into_iter().collect();
    let text = |text: &str| Scalar::Text(text.to_owned());
    let expected = [
        ("category".to_owned(), text("Net")),
        ("contact_type".to_owned(), text("Phone")),
        ("impact".to_owned(), text("1 - High")),
        ("urgency".to_owned(), text("2 - Medium")),
    ];
    assert_eq!(custom, expected);
}

#[tokio::test]
async fn an_event_names_its_row_and_only_what_the_row_changes() {
    let office = Office::open().await;
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 4, 0, 1]);
    let id = office.ticket("INC1").await.id;
    let events = office.events(id).await;
    let data: Vec<&str> = events.iter().skip(1).map(|event| event.data.as_str()).collect();
    let ann = office.person("Ann").await;
    let taken = format!(
        r#"{{"assignee_id":"{ann}","custom_fields":{{"impact":"1 - High","subcategory":null}},"group_id":"Group 2","priority":"urgent","source_row":3,"status":"open"}}"#
    );
    let let_go = r#"{"assignee_id":null,"group_id":null,"source_row":5,"status":"hold"}"#;
    assert_eq!(data, [taken.as_str(), let_go, r#"{"source_row":6,"status":"closed"}"#]);
    assert!(events.iter().all(|event| event.role == Role::Bot && event.device.is_empty()));
    assert!(events.iter().all(|event| event.principal.to_string() == "import"));
    let version = Version::of_change(&events[1].change.as_ref().unwrap().hash);
    let then = office.started.desk.as_of(&tenant(), id, &AsOf::Version(version)).await;
    let then = then.unwrap().unwrap().resolve().unwrap();
    assert_eq!((then.status, then.assignee), (Status::Open, Some(ann)));
}

#[tokio::test]
async fn the_file_has_no_text_so_the_ticket_tells_number_and_category() {
    let office = Office::open().await;
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 4, 0, 1]);
    let opening = office.events(office.ticket("INC1").await.id).await.swap_remove(0);
    let sealed = opening.sealed.as_ref().unwrap();
    let key = office.started.desk.ports().keyring.key(sealed.key_id).await.unwrap().unwrap();
    let text: docket_schemas::OpeningText =
        key.open(&tenant(), opening.event_id, opening.schema, sealed).unwrap();
    assert_eq!((text.subject.as_str(), text.body.as_str()), ("INC1: Net, VPN", "INC1: Net, VPN"));
    let TicketPayload::Opened(opened) = opening.ticket_payload().unwrap() else {
        panic!("an opening")
    };
    assert_eq!(opened.source_row, Some(1));
}

#[tokio::test]
async fn a_second_run_adds_nothing_and_a_longer_file_only_what_is_new() {
    let office = Office::open().await;
    let half: String = INCIDENT.split_inclusive('\n').take(3).collect();
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(&half))).await;
    done(outcome, [1, 2, 0, 0]);
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 2, 2, 1]);
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 0, 4, 1]);
    let straight = Office::open().await;
    let (outcome, _) = straight.run(straight.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 4, 0, 1]);
    let id = straight.ticket("INC1").await.id;
    let commands = |events: Vec<Event>| -> Vec<_> {
        events.iter().map(|event| (event.command_id, event.occurred_at)).collect()
    };
    assert_eq!(commands(straight.events(id).await), commands(office.events(id).await));
}

#[tokio::test]
async fn a_strict_import_writes_nothing_when_a_row_is_bad() {
    let office = Office::open().await;
    let import = office.import(Format::ServicenowCsv, &log(INCIDENT));
    let (outcome, said) = office.run(Import { bad_rows: BadRows::Refuse, ..import }).await;
    assert!(matches!(outcome, Err(ImportError::Refused(1))), "{outcome:?}");
    assert!(said.starts_with("line 5: incident_state: "), "{said}");
    let log = &office.started.desk.ports().log;
    assert!(log.tickets_by_external_id(&tenant(), "INC1", 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_ticket_whose_first_row_is_bad_is_opened_by_the_next() {
    let office = Office::open().await;
    let mended = INCIDENT.to_owned();
    let broken = mended.replacen("INC1,New,29-02-2016", "INC1,New,29-14-2016", 1);
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(&broken))).await;
    done(outcome, [1, 4, 0, 2]);
    let id = office.ticket("INC1").await.id;
    let TicketPayload::Opened(opened) = office.events(id).await[0].ticket_payload().unwrap() else {
        panic!("an opening")
    };
    assert_eq!(opened.source_row, Some(2));

    let (outcome, said) = office.run(office.import(Format::ServicenowCsv, &log(&mended))).await;
    done(outcome, [1, 0, 0, 5]);
    assert!(said.contains("line 2: number: has a ticket that an earlier import opened"), "{said}");
    assert_eq!(office.ticket("INC1").await.id, id);
}

#[tokio::test]
async fn a_row_mended_after_later_rows_were_imported_is_told_and_left_out() {
    let office = Office::open().await;
    let (outcome, _) = office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await;
    done(outcome, [1, 4, 0, 1]);
    let mended = INCIDENT
        .replace("INC1,-100,", "INC1,Resolved,")
        .replace("31-02-2016", "29-02-2016")
        .replace("5 - Planning", "4 - Low");
    let (outcome, said) = office.run(office.import(Format::ServicenowCsv, &log(&mended))).await;
    done(outcome, [1, 0, 4, 1]);
    assert!(said.starts_with("line 5: row: comes too late"), "{said}");
    assert_eq!(office.ticket("INC1").await.status, Status::Closed);
}

#[tokio::test]
async fn a_caller_who_changes_is_told_and_the_requester_stays() {
    let office = Office::open().await;
    let rows = INCIDENT.replacen("29-02-2016 02:00,Caller 1", "29-02-2016 02:00,Caller 2", 1);
    let rows: String = rows.split_inclusive('\n').take(3).collect();
    let (outcome, said) = office.run(office.import(Format::ServicenowCsv, &log(&rows))).await;
    done(outcome, [1, 2, 0, 0]);
    let told = "line 4: caller_id: is another than before; the ticket keeps its requester\n";
    assert_eq!(said, told);
    let ticket = office.ticket("INC1").await;
    assert_eq!(ticket.requester, office.person("Caller 1").await);
    assert_eq!(ticket.status, Status::Open, "the rest of the row counts");
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_by_what_it_lacks() {
    let office = Office::open().await;
    let import = office.import(Format::ServicenowCsv, "subject,body\na,b\n");
    let (outcome, _) = office.run(import).await;
    let told = outcome.unwrap_err().to_string();
    assert!(told.contains("is no incident event log: it has no column number, "), "{told}");
}

#[tokio::test]
async fn a_strict_import_writes_nothing_when_the_log_would_refuse_a_row() {
    let office = Office::open().await;
    let broken = INCIDENT.replacen("INC1,New,29-02-2016", "INC1,New,29-14-2016", 1);
    done(office.run(office.import(Format::ServicenowCsv, &log(&broken))).await.0, [1, 4, 0, 2]);
    let before = office.event_count().await;

    let good = INCIDENT.replace("INC1,-100,", "INC1,Resolved,").replace("31-02-2016", "29-02-2016");
    let good = good.replace("5 - Planning", "4 - Low");
    let both = format!("{good}{}", good.replace("INC1", "INC2"));
    let (outcome, said) = office.run(office.strict(Format::ServicenowCsv, &log(&both))).await;
    assert!(matches!(outcome, Err(ImportError::Refused(5))), "{outcome:?}");
    let told = "line 2: number: has a ticket that an earlier import opened from another row\n\
                line 4: row: belongs to a ticket that could not be opened\n";
    assert!(said.starts_with(told), "{said}");
    assert_eq!(office.event_count().await, before);
}

#[tokio::test]
async fn a_strict_import_writes_nothing_when_a_row_comes_too_late() {
    let office = Office::open().await;
    done(office.run(office.import(Format::ServicenowCsv, &log(INCIDENT))).await.0, [1, 4, 0, 1]);
    let before = office.event_count().await;
    let mended = INCIDENT
        .replace("INC1,-100,", "INC1,Resolved,")
        .replace("31-02-2016", "29-02-2016")
        .replace("5 - Planning", "4 - Low");
    let both = format!("{}{mended}", mended.replace("INC1", "INC0"));
    let (outcome, said) = office.run(office.strict(Format::ServicenowCsv, &log(&both))).await;
    assert!(matches!(outcome, Err(ImportError::Refused(1))), "{outcome:?}");
    assert_eq!(
        said,
        "line 11: row: comes too late: later rows of the incident are imported already\n"
    );
    assert_eq!(office.event_count().await, before);
}

#[tokio::test]
async fn a_strict_import_of_good_rows_writes_them_once() {
    let office = Office::open().await;
    let rows: String = INCIDENT.split_inclusive('\n').take(3).collect();
    let longer = format!("{rows}{}", rows.replace("INC1", "INC2"));
    for (rows, expected) in [(&rows, [1, 2, 0, 0]), (&longer, [2, 2, 2, 0])] {
        let (outcome, said) = office.run(office.strict(Format::ServicenowCsv, &log(rows))).await;
        done(outcome, expected);
        assert_eq!(said, "");
    }
}

#[tokio::test]
async fn a_row_with_a_stray_quote_counts_among_its_incident_s_rows() {
    let office = Office::open().await;
    let stray = INCIDENT.replacen("INC1,Active", "\"INC1,Active", 1);
    let (outcome, said) = office.run(office.import(Format::ServicenowCsv, &log(&stray))).await;
    done(outcome, [1, 3, 0, 2]);
    assert!(said.starts_with("line 4: number: has a quote that is never closed\n"), "{said}");
    let rows = office.events(office.ticket("INC1").await.id).await;
    let rows = rows.iter().filter_map(|event| match event.ticket_payload().unwrap() {
        TicketPayload::Opened(opened) => opened.source_row,
        TicketPayload::Changed(changed) => changed.source_row,
        _ => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), [1, 5, 6]);
}
