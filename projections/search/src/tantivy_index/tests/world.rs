//! A help desk of a few tickets, and an index of it.

use docket_engine::cursor::Positions;
use docket_schemas::{
    Channel, Incarnation, Kind, Partition, PersonId, Priority, Status, Tenant, TicketId,
    TicketType, Timestamp,
};
use uuid::Uuid;

use crate::document::{Extent, MessageDocument, Place, TicketDocument, TicketWrite};
use crate::folder::Folder;
use crate::port::{
    Direction, Facet, Found, Question, Reader, SearchIndex as _, Sort, SortKey, Writes,
};
use crate::query::{Person, Query, parse};
use crate::tantivy_index::TantivyIndex;

pub(super) const STAFF: Reader = Reader::Staff(None);

pub(super) fn tenant() -> Tenant {
    "default".parse().expect("a tenant")
}

pub(super) fn incarnation() -> Incarnation {
    "local.1".parse().expect("an incarnation")
}

/// Somebody, by number.
pub(super) fn person(number: u128) -> PersonId {
    PersonId::new(Uuid::from_u128(number))
}

/// The place of the event with this number.
pub(super) fn place(number: u64) -> Place {
    Place::from_number(number)
}

/// A ticket with number and subject, open, of person 1.
pub(super) fn ticket(number: u64, subject: &str) -> TicketWrite {
    let at = Timestamp::from_micros(1_700_000_000_000_000 + number.cast_signed() * 1_000_000);
    TicketWrite {
        ticket: TicketDocument {
            tenant: tenant(),
            ticket: TicketId::new(Uuid::from_u128(0x1234_5678 << 64 | u128::from(number))),
            place: place(number),
            position: number,
            public_position: number,
            subject: Some(subject.to_owned()),
            status: Status::Open,
            priority: Priority::Normal,
            ticket_type: None,
            kind: Kind::Ticket,
            channel: Channel::Api,
            tags: Vec::new(),
            group: None,
            assignee: None,
            requester: person(1),
            followers: Vec::new(),
            created_at: at,
            updated_at: at,
            public_updated_at: at,
        },
        messages: Vec::new(),
        extent: Extent::New,
    }
}

impl TicketWrite {
    pub(super) fn says(mut self, public: bool, body: &str) -> Self {
        let number = self.ticket.place.number() * 1_000 + self.messages.len() as u64;
        self.messages.push(MessageDocument {
            place: place(number),
            public,
            body: Some(body.to_owned()),
        });
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut TicketDocument)) -> Self {
        change(&mut self.ticket);
        self
    }

    /// As a number, for short expectations.
    pub(super) fn number(&self) -> u64 {
        self.ticket.place.number()
    }
}

pub(super) fn writes(tickets: Vec<TicketWrite>, position: u64) -> Writes {
    let mut upto = Positions::START;
    upto.set(Partition::new(0).expect("16 partitions"), position);
    Writes { incarnation: incarnation(), tickets, forgotten: Vec::new(), upto }
}

/// An index of these tickets, in a directory of its own.
pub(super) struct Indexed {
    pub(super) index: TantivyIndex,
    pub(super) folder: Folder,
}

impl Indexed {
    pub(super) async fn of(tickets: Vec<TicketWrite>) -> Self {
        let indexed = Self::empty();
        // In two commits, so that there is more than one segment.
        let (first, second) = tickets.split_at(tickets.len() / 2);
        for (number, tickets) in [first, second].into_iter().enumerate() {
            indexed.write(tickets.to_vec(), number as u64 + 1).await;
        }
        indexed
    }

    pub(super) fn empty() -> Self {
        let folder = Folder::new();
        let index = TantivyIndex::open(folder.path(), 2).expect("an index");
        Self { index, folder }
    }

    /// Writes and commits.
    pub(super) async fn write(&self, tickets: Vec<TicketWrite>, position: u64) {
        self.index.write(writes(tickets, position)).await.expect("written");
        self.index.commit().await.expect("committed");
    }

    pub(super) async fn ask(&self, question: Question) -> Found {
        self.index.search(question).await.expect("an answer")
    }

    /// The numbers of the tickets found, ascending.
    pub(super) async fn finds(&self, reader: Reader, query: &str) -> Vec<u64> {
        let found = self.ask(question(reader, query)).await;
        let mut numbers: Vec<u64> = found.hits.iter().map(|hit| hit.rank.ticket.number()).collect();
        assert_eq!(found.count, numbers.len() as u64, "{query}");
        numbers.sort_unstable();
        numbers
    }
}

/// A query in which `p7` means person 7.
pub(super) fn known(query: &str) -> Query {
    let mut query = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    for named in query.named_persons() {
        if let Person::Named(name) = named {
            let number = name.strip_prefix('p').and_then(|number| number.parse().ok());
            *named = Person::Known(number.map(person));
        }
    }
    query
}

pub(super) fn question(reader: Reader, query: &str) -> Question {
    Question {
        tenant: tenant(),
        reader,
        query: known(query),
        sort: Sort::Relevance,
        after: None,
        rarity: None,
        size: 100,
        facets: Facet::ALL.to_vec(),
    }
}

pub(super) const SORTS: [Sort; 7] = [
    Sort::Relevance,
    Sort::By(SortKey::Created, Direction::Ascending),
    Sort::By(SortKey::Created, Direction::Descending),
    Sort::By(SortKey::Updated, Direction::Ascending),
    Sort::By(SortKey::Updated, Direction::Descending),
    Sort::By(SortKey::Priority, Direction::Ascending),
    Sort::By(SortKey::Priority, Direction::Descending),
];

/// Tickets at random: many alike, so that queries find several.
pub(super) mod random {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 18] = [
        "printer",
        "printers",
        "printing",
        "fire",
        "smoke",
        "word",
        "wrod",
        "打印",
        "打印机",
        "机票",
        "票",
        "网络",
        "café",
        "secret",
        "ann@example.com",
        "INC0000045",
        "，",
        "the",
    ];

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec((0..WORDS.len(), any::<bool>()), 1..6).prop_map(|words| {
            let parts = words
                .into_iter()
                .map(|(word, spaced)| format!("{}{}", WORDS[word], if spaced { " " } else { "" }));
            parts.collect()
        })
    }

    pub(in super::super) fn ticket_with(number: u64) -> impl Strategy<Value = TicketWrite> {
        let fields = (
            0..Status::ALL.len(),
            0..Priority::ALL.len(),
            prop::option::of(0..TicketType::ALL.len()),
            prop::collection::vec(0..3_usize, 0..3),
            prop::option::of(0..2_usize),
            prop::option::of(1..4_u128),
            1..4_u128,
            prop::collection::vec(1..4_u128, 0..2),
        );
        let messages = prop::collection::vec((any::<bool>(), text()), 0..4);
        (text(), fields, messages, 0..50_i64).prop_map(move |(subject, fields, messages, later)| {
            let (status, priority, kind, tags, group, assignee, requester, followers) = fields;
            let mut write = ticket(number, &subject).with(|ticket| {
                ticket.status = Status::ALL[status];
                ticket.priority = Priority::ALL[priority];
                ticket.ticket_type = kind.map(|kind| TicketType::ALL[kind]);
                ticket.tags =
                    tags.into_iter().map(|tag| ["vip", "spam", "eu"][tag].to_owned()).collect();
                ticket.tags.sort_unstable();
                ticket.tags.dedup();
                ticket.group = group.map(|group| ["billing", "support"][group].to_owned());
                ticket.assignee = assignee.map(person);
                ticket.requester = person(requester);
                ticket.followers = followers.into_iter().map(person).collect();
                ticket.updated_at = ticket.created_at.plus_micros(later * 86_400_000_000);
            });
            for (public, body) in messages {
                write = write.says(public, &body);
            }
            write
        })
    }

    pub(in super::super) fn tickets() -> impl Strategy<Value = Vec<TicketWrite>> {
        (1..10_u64).prop_flat_map(|count| (1..=count).map(ticket_with).collect::<Vec<_>>())
    }

    const TERMS: [&str; 42] = [
        "printer",
        "printers",
        "fire",
        "the",
        "secret",
        "打印",
        "票",
        "机",
        "网络",
        "打印机printer",
        "cafe",
        "ann@example.com",
        "example",
        "inc0000045",
        "\"printer fire\"",
        "\"机票\"",
        "\"打印 网络\"",
        "print*",
        "打印*",
        "inc*",
        "wrod~1",
        "secert~1",
        "pinter~2",
        "status:open",
        "status:hold",
        "status:closed",
        "priority:high",
        "type:none",
        "type:incident",
        "tag:vip",
        "tag:none",
        "group:billing",
        "group:none",
        "assignee:p2",
        "assignee:me",
        "assignee:none",
        "requester:me",
        "requester:p1",
        "kind:ticket",
        "channel:api",
        "created>2023-11-14",
        "updated<2023-12-20",
    ];

    pub(in super::super) fn query() -> impl Strategy<Value = String> {
        let term = (0..TERMS.len(), 0..5_u8).prop_map(|(term, sign)| {
            format!("{}{}", if sign == 0 { "-" } else { "" }, TERMS[term])
        });
        prop::collection::vec((term, 0..4_u8), 1..5).prop_map(|terms| {
            let mut query = String::new();
            for (index, (term, joint)) in terms.into_iter().enumerate() {
                if index > 0 {
                    query.push_str(if joint == 0 { " OR " } else { " " });
                }
                query.push_str(&term);
            }
            query
        })
    }
}
