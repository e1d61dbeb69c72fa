//! Rows: what is written comes back, whatever stands in it.

use super::ViewHarness;
use super::sample::{active, partition, resolved, row, tenant, write};
use super::writes::all;
use crate::query::TicketFilter;
use crate::row::TicketRow;
use docket_schemas::Scalar;

/// Case.
pub async fn a_row_comes_back_as_it_was(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let rows: Vec<TicketRow> = (0..60).map(|number| row(number, number + 1)).collect();
    write(&*store, version, rows.clone(), (0, 61)).await;
    let mut found = Vec::new();
    for one in docket_schemas::Partition::all() {
        let dump = store.dump(version, one).await.expect("an answer");
        assert_eq!((dump.stray, dump.unreadable), (vec![], vec![]));
        assert_eq!(dump.counters, crate::counters::recount(&dump.rows));
        found.extend(dump.rows);
    }
    found.sort_by_key(|row| row.ticket);
    assert_eq!(found, rows);
    let digests = |rows: &[TicketRow]| rows.iter().map(TicketRow::digest).collect::<Vec<_>>();
    assert_eq!(digests(&found), digests(&rows));
}

/// Case.
pub async fn odd_texts_come_back_as_they_were(harness: &dyn ViewHarness) {
    let store = harness.fresh().await;
    let version = active(&*store).await;
    let odd =
        ["", " ", "=", "none", "NULL", "{}", "\"", "\\", "a,b", "'", "{\"x\"}", "💥\u{301}", "%"];
    let mut ticket = resolved(1);
    ticket.tags = odd.iter().map(|&text| text.to_owned()).collect();
    ticket.tags.sort_unstable();
    ticket.custom_fields =
        odd.iter().map(|&text| (text.to_owned(), Scalar::Text(text.to_owned()))).collect();
    for (number, text) in odd.iter().enumerate() {
        let position = number as u64 + 1;
        ticket.group = Some((*text).to_owned());
        let row = TicketRow::of(&tenant(), &ticket, position, position);
        write(&*store, version, vec![row.clone()], (position - 1, position)).await;
        let dump = store.dump(version, partition(1)).await.expect("an answer");
        assert_eq!((&dump.rows, dump.stray), (&vec![row], vec![]));
        assert_eq!(format!("{:?}", all(&*store).await.tickets[0].ticket), format!("{ticket:?}"));
        let group = Some(Some((*text).to_owned()));
        for filter in [
            TicketFilter { group, ..TicketFilter::default() },
            TicketFilter { tag: Some((*text).to_owned()), ..TicketFilter::default() },
        ] {
            assert_eq!(super::writes::counted(&*store, filter).await, 1, "{text}");
        }
    }
    let nobodys = TicketFilter { group: Some(None), ..TicketFilter::default() };
    assert_eq!(super::writes::counted(&*store, nobodys).await, 0);
}
