//! What goes into the log comes out of it: nothing lost, nothing normalised.

use docket_schemas::{
    ActorId, Change, ChangeHash, Draft, Event, KeyId, Observed, Origin, Principal, Role, Sealed,
    SlotKey, SlotOp, Stream, StreamKind, TicketEvent, Timestamp,
};

use super::LogHarness;
use super::drafts::{
    append_one, command, draft, duplicate, eu, opening, place, started, tenant, ticket, uuid,
};
use crate::cursor::Positions;
use crate::ports::log::StreamRead;

/// Every column set.
pub async fn an_event_with_every_part_comes_back_as_it_was(harness: &impl LogHarness) {
    let full = Draft {
        event_type: TicketEvent::Opened.into(),
        schema: 12,
        slots: vec![SlotOp::Take(SlotKey::claim(ticket(1))), SlotOp::Take(SlotKey::stored("b"))],
        external_id: Some("INC-0001".to_owned()),
        correlation_id: Some(command(77)),
        causation_id: Some(command(78)),
        principal: Principal::Docket("import".into()),
        role: Role::Bot,
        observed: Observed::Assumed,
        public: false,
        policy: u32::MAX,
        ..draft(ticket(1), 1)
    };
    comes_back(harness, full).await;
}

/// Every optional column absent.
pub async fn an_event_without_optional_parts_comes_back_as_it_was(harness: &impl LogHarness) {
    let bare = Draft { request_mac: None, sealed: None, change: None, ..draft(ticket(1), 1) };
    comes_back(harness, bare).await;
}

/// A change without deps is still a change; an empty text is still a text.
pub async fn empty_is_not_absent(harness: &impl LogHarness) {
    let empty = Draft {
        data: String::new(),
        device: String::new(),
        sealed: Some(Sealed { key_id: KeyId::new(uuid(4, 1)), bytes: Vec::new() }),
        change: Some(Change {
            actor: ActorId([0; 16]),
            seq: 0,
            deps: Vec::new(),
            bytes: Vec::new(),
            hash: ChangeHash([0; 32]),
            max_op: 0,
        }),
        external_id: Some(String::new()),
        policy: 0,
        ..draft(ticket(1), 1)
    };
    comes_back(harness, empty).await;
}

/// Kinds differ even where ids agree.
pub async fn every_kind_of_stream_comes_back(harness: &impl LogHarness) {
    let log = started(harness).await;
    let kinds = [
        StreamKind::Ticket,
        StreamKind::Person,
        StreamKind::Saga,
        StreamKind::Config,
        StreamKind::Access,
    ];
    let drafts = kinds.into_iter().zip(1..).map(|(kind, number)| Draft {
        stream: Stream { kind, id: ticket(1).uuid() },
        change: None,
        ..draft(ticket(1), number)
    });
    for draft in drafts {
        place(&log, opening(draft.clone())).await;
        let read = StreamRead { tenant: tenant("acme"), stream: draft.stream, after: 0 };
        let events = log.stream_page(&read, 5).await.expect("the log is available");
        let drafts: Vec<_> = events.into_iter().map(|event| event.draft).collect();
        assert_eq!(drafts, [draft], "its own events only");
    }
}

/// No text is normalised, no JSON rewritten, no byte string cut at a zero.
pub async fn odd_texts_and_bytes_come_back_byte_for_byte(harness: &impl LogHarness) {
    let odd = "{\"z\":1.0,\"a\":[1e3,\"\\u0000 \\\\ 票 é e\u{301} \u{1F600}\"],  \"a\":2}\n";
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let draft = draft(ticket(1), 1);
    let change = draft.change.clone().map(|change| Change {
        bytes: bytes.clone(),
        deps: (0..64).map(|index| ChangeHash([index; 32])).collect(),
        ..change
    });
    let odd = Draft {
        data: odd.to_owned(),
        device: "'; DROP TABLE event; -- 票".to_owned(),
        sealed: Some(Sealed { key_id: KeyId::new(uuid(4, 1)), bytes }),
        change,
        slots: vec![SlotOp::Take(SlotKey::stored("merge/\"quoted\"/票"))],
        external_id: Some("ID \"1\" 票\u{1F600}".to_owned()),
        occurred_at: Timestamp::from_micros(i64::MIN),
        ..draft
    };
    comes_back(harness, odd).await;
}

/// Through every reader that returns whole events.
async fn comes_back(harness: &impl LogHarness, draft: Draft) {
    let log = started(harness).await;
    let placed = place(&log, opening(draft.clone())).await;
    let expected = Event {
        draft: draft.clone(),
        partition: placed.partition,
        position: placed.position,
        recorded_at: placed.recorded_at,
        origin: Origin {
            region: eu(1),
            partition: placed.partition,
            position: placed.position,
            recorded_at: placed.recorded_at,
        },
    };
    let log = harness.second_connection().await;
    let read = StreamRead { tenant: draft.tenant.clone(), stream: draft.stream, after: 0 };
    let by_stream = log.stream_events(std::slice::from_ref(&read)).await.expect("an answer");
    let mut folded = expected.clone();
    folded.draft.sealed.take_if(|_| draft.event_type == TicketEvent::MessageAdded);
    assert_eq!(by_stream, [folded]);
    let by_page = log.stream_page(&read, 5).await.expect("an answer");
    assert_eq!(by_page, std::slice::from_ref(&expected));
    let by_partition = log.partition_events(placed.partition, 0, 5).await.expect("an answer");
    assert_eq!(by_partition, std::slice::from_ref(&expected));
    let by_tenant = log.tenant_events(&draft.tenant, &Positions::START, 5).await;
    assert_eq!(by_tenant.expect("an answer").events, std::slice::from_ref(&expected));
    let by_command = log.event_of_command(&draft.tenant, placed.partition, draft.command_id).await;
    assert_eq!(by_command.expect("an answer"), Some(expected.clone()));
    let outcome = append_one(&log, [opening(draft)]).await;
    assert_eq!(duplicate(&outcome), (0, &expected));
}
