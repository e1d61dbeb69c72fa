//! Golden bytes: what replicas, retries and auditors of any release must derive alike. Never change a constant here.

use docket_schemas::{
    CommandId, Draft, Incarnation, KeyId, Observed, PersonId, Principal, Role, Sealed, SlotKey,
    SlotOp, Stream, TENANT_CHARS_MAX, Tenant, TicketEvent, TicketId, Timestamp, derivation,
};
use uuid::Uuid;

use crate::actor::Writer;
use crate::document::Document;
use crate::genesis::{genesis, genesis_hash};
use crate::graph::ChangeGraph;
use crate::lanes::place;
use crate::layout::writes_of;

const TENANT: &str = "acme";
const COMMAND: &str = "01980000-0001-7abc-8def-0123456789ab";

fn tenant() -> Tenant {
    TENANT.parse().unwrap()
}

fn command() -> CommandId {
    COMMAND.parse().unwrap()
}

fn ann() -> Principal {
    Principal::Person(PersonId::new(Uuid::from_u64_pair(0x8000, 0x8000_0000_0000_0001)))
}

fn eu_3() -> Incarnation {
    "eu.3".parse().unwrap()
}

fn ticket() -> TicketId {
    derivation::ticket_of(command())
}

fn writer() -> Writer {
    Writer::new(&tenant(), ticket(), Role::Agent, &ann(), "phone", &eu_3())
}

fn draft() -> Draft {
    Draft {
        tenant: tenant(),
        stream: Stream::ticket(ticket()),
        event_id: derivation::event_of(command(), &eu_3()),
        command_id: command(),
        request_mac: Some([7; 32]),
        event_type: TicketEvent::Changed.into(),
        schema: 1,
        data: r#"{"assignee_id":null,"status":"solved"}"#.to_owned(),
        sealed: Some(Sealed { key_id: KeyId::new(Uuid::from_u64_pair(1, 2)), bytes: vec![9; 40] }),
        change: None,
        public: true,
        principal: ann(),
        role: Role::Agent,
        device: "phone".to_owned(),
        policy: 1,
        observed: Observed::Given,
        slots: vec![SlotOp::Release(SlotKey::claim(ticket()))],
        external_id: None,
        occurred_at: Timestamp::from_micros(1_795_000_000_123_456),
        correlation_id: None,
        causation_id: Some(command()),
    }
}

#[test]
fn ids_derive_from_a_command_as_ever() {
    let by_key = |stream, ordinal| {
        derivation::command_of_key(&tenant(), Role::Agent, &ann(), stream, "key-1", ordinal)
    };
    let stream = Some(Stream::ticket(ticket()));
    let keyed = by_key(None, 0);
    let derived = [
        keyed.to_string(),
        by_key(stream, 0).to_string(),
        by_key(stream, 1).to_string(),
        ticket().to_string(),
        derivation::message_of(command()).to_string(),
        derivation::event_of(command(), &eu_3()).to_string(),
        derivation::part_of_command(command(), 1).to_string(),
        derivation::ticket_of(keyed).to_string(),
        derivation::message_of(keyed).to_string(),
        derivation::event_of(keyed, &eu_3()).to_string(),
        derivation::part_of_command(keyed, 1).to_string(),
    ];
    assert_eq!(derived, IDS);
    assert_eq!(Stream::ticket(ticket()).partition(&tenant()).number(), PARTITION);
}

#[test]
fn a_writers_lanes_are_actors_as_ever() {
    assert_eq!([0, 31].map(|lane| writer().actor(lane).to_string()), ACTORS);
}

#[test]
fn the_genesis_is_the_same_bytes_as_ever() {
    let change = genesis(&tenant(), ticket());
    assert_eq!(hex::encode(change.raw_bytes()), GENESIS);
}

#[test]
fn the_genesis_of_every_length_of_tenant_has_the_hash_that_is_found_without_encoding_it() {
    for length in (1..=TENANT_CHARS_MAX).chain(1..=TENANT_CHARS_MAX) {
        let tenant: Tenant = "t".repeat(length).parse().unwrap();
        for ticket in [ticket(), TicketId::new(uuid::Uuid::from_u128(length as u128))] {
            let change = genesis(&tenant, ticket);
            assert_eq!(genesis_hash(&tenant, ticket).0, change.hash().0, "{length}");
        }
    }
}

#[test]
fn a_draft_commits_and_encodes_to_the_same_bytes_as_ever() {
    let draft = draft();
    assert_eq!(draft.commitment(), COMMITMENT);
    let graph = ChangeGraph::default();
    let placement = place(&graph, &writer(), &[]).unwrap();
    let writes = writes_of(&draft, &draft.ticket_payload().unwrap());
    let mut document = Document::new(&tenant(), ticket());
    let change = document.encode(&graph, &placement, (&writes, &|_| None), &draft).unwrap();
    assert_eq!(hex::encode(change.raw_bytes()), CHANGE);
}

const PARTITION: u8 = 14;
const IDS: [&str; 11] = [
    "839a0aab-c0e4-82b8-b9ce-9d448a58efc7",
    "352a51fa-5ffc-87fd-8a6c-a74a222414d9",
    "318a4c24-ad3f-8b2b-b7eb-6ae978b4362d",
    "01980000-0001-8490-9941-e17e27fa11d8",
    "01980000-0001-87e9-89c1-a58e82079383",
    "01980000-0001-8dd5-af0e-8115f244a955",
    "01980000-0001-7a51-942f-1738e1c5b6e1",
    "d7bf9b19-106f-8cde-8aec-9a57612a3031",
    "bc1133b7-d415-865e-92fb-2e7b5bef5d2f",
    "1daa6ba8-b47a-8ad4-a709-58a2be99c723",
    "d548268c-0256-8bc4-9c23-f802e9dfa772",
];
const ACTORS: [&str; 2] = ["02005f45bbbaa73ab2afee9cf903110a", "021f5f45bbbaa73ab2afee9cf903110a"];
const GENESIS: &str = concat!(
    "856f4a83e40e19f70179001000000000000000000000000000000000010100000006152034014204",
    "5605572970027b066669656c6473047461677309666f6c6c6f7765727305666c6167730269640504",
    "007f0104007f960561636d652f30313938303030302d303030312d383439302d393934312d653137",
    "6532376661313164380500",
);
const COMMITMENT: &str = "wFh-L5yF4oR10ngmW2Rkr6Nz5uglGyesRsYFnfbg1OA";
const CHANGE: &str = concat!(
    "856f4a8309654f1201fd0101e40e19f78596b09069b14704ab0870fbda4c4a4cac078afae560f07a",
    "94d9db2e1002005f45bbbaa73ab2afee9cf903110a0106c08df6d7062b7746682d4c357946346f52",
    "31306e676d5732526b72364e7a3575676c47796573527359466e666267314f410110000000000000",
    "000000000000000000000801020202151134014202560557567002020102017e0673746174757308",
    "61737369676e65650202017ed605960522736f6c766564227c30313938303030302d303030312d37",
    "6162632d386465662d3031323334353637383961626e756c6c7c30313938303030302d303030312d",
    "376162632d386465662d3031323334353637383961620200",
);
