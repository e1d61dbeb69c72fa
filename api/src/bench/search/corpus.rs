//! Made-up tickets of seven events each, as the rows of the view and the documents of the index that they fold to.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_engine::cursor::Positions;
use docket_engine::ticket::{Resolved, SealedSubject};
use docket_engine::version::Version;
use docket_projections::row::TicketRow;
use docket_schemas::{
    Channel, EventId, KeyId, Kind, PersonId, Priority, Sealed, Status, Tenant, TicketId,
    TicketType, Timestamp,
};
use docket_search::document::{Extent, MessageDocument, Place, TicketDocument, TicketWrite};
use uuid::Uuid;

use super::words::{Dice, Words};

/// Events of a ticket: its opening with the first message, two more public ones, a note, three changes of its fields.
pub(super) const EVENTS: u64 = 7;
/// Messages of a ticket.
const MESSAGES: u64 = 4;
/// The message that customers do not see.
const NOTE: u64 = 2;
const SUBJECT_WORDS: u64 = 6;
const MESSAGE_WORDS: u64 = 24;
/// What sealing adds to a text.
const SEAL_BYTES: usize = 28;

/// Persons who ask.
const REQUESTERS: u64 = 200_000;
/// Every so many tickets are one busy customer's.
const BUSY_EVERY: u64 = 1_000;
/// Persons who hold tickets.
pub(super) const AGENTS: u64 = 400;
/// Teams.
pub(super) const GROUPS: u64 = 40;
/// Tags; the first ones are on many tickets.
const TAGS: u64 = 300;
/// Every so many tickets have a tag that few have.
const RARE_EVERY: u64 = 50_000;
/// When the first ticket was opened, and how long it took until the next, in microseconds.
const BEGAN: i64 = 1_600_000_000_000_000;
const OPENED_EVERY: i64 = 60_000_000;
/// Tickets last change within this time of their opening.
const CHANGED_WITHIN: u64 = 1_000_000_000_000;

/// Makes tickets one after the other: the same ones each time, at the same places of the same log.
pub(super) struct Corpus {
    pub(super) words: Arc<Words>,
    pub(super) tenant: Tenant,
    english_of_ten: u64,
    next: u64,
    until: u64,
    version: Version,
    /// How far the log of the made tickets goes.
    pub(super) positions: Positions,
}

/// A made-up ticket.
pub(super) struct Made {
    pub(super) number: u64,
    pub(super) row: TicketRow,
    pub(super) write: TicketWrite,
}

impl Made {
    /// Subject and messages.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let messages = self.write.messages.iter().map(|message| &message.body);
        std::iter::once(&self.write.ticket.subject).chain(messages).flatten().map(String::as_str)
    }
}

impl Corpus {
    pub(super) fn new(
        words: Arc<Words>,
        tenant: Tenant,
        tickets: u64,
        english_of_ten: u64,
    ) -> Result<Self, crate::wire::WireError> {
        use base64::Engine as _;
        let version = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([7; 16]).parse()?;
        let positions = Positions::START;
        Ok(Self { words, tenant, english_of_ten, next: 0, until: tickets, version, positions })
    }

    fn make(&mut self, number: u64) -> Made {
        let dice = &mut Dice(number ^ 0x5EED_0000_0000);
        let at = opened_at(number);
        let id = ticket(at, dice);
        let subject = self.words.text(dice, SUBJECT_WORDS, self.english_of_ten);
        let state = self.resolved(id, at, &subject, dice, number);
        let partition = docket_schemas::Stream::ticket(id).partition(&self.tenant);
        let opened = self.positions.get(partition) + 1;
        let last = opened + EVENTS - 1;
        self.positions.set(partition, last);
        let messages = (0..MESSAGES).map(|message| MessageDocument {
            place: Place::new(partition, opened + message),
            public: message != NOTE,
            body: Some(self.words.text(dice, MESSAGE_WORDS, self.english_of_ten)),
        });
        let messages = messages.collect();
        let row = TicketRow::of(&self.tenant, &state, last, last);
        let places = [opened, last, last];
        let ticket = TicketDocument::of(&self.tenant, &state, places, Some(subject));
        Made { number, row, write: TicketWrite { ticket, messages, extent: Extent::New } }
    }

    fn resolved(
        &self,
        id: TicketId,
        created_at: Timestamp,
        subject: &str,
        dice: &mut Dice,
        number: u64,
    ) -> Resolved {
        let event = EventId::new(uuid(dice));
        let sealed = Sealed {
            key_id: KeyId::new(uuid(dice)),
            bytes: [subject.as_bytes(), &[7; SEAL_BYTES]].concat(),
        };
        let mut tags = vec![format!("topic {}", dice.zipf(TAGS))];
        if number % RARE_EVERY == RARE_EVERY - 1 || number == 0 {
            tags.push("rare".to_owned());
        }
        let updated_at = created_at.plus_micros(dice.below(CHANGED_WITHIN).cast_signed());
        let requester = if number.is_multiple_of(BUSY_EVERY) {
            busy()
        } else {
            requester(dice.below(REQUESTERS))
        };
        Resolved {
            id,
            kind: Kind::Ticket,
            status: status(dice),
            priority: Priority::ALL[dice.below(4) as usize],
            ticket_type: [None, Some(TicketType::Incident), Some(TicketType::Question)]
                [dice.below(3) as usize],
            subject: event,
            subjects: BTreeMap::from([(event, Arc::new(SealedSubject { schema: 1, sealed }))]),
            requester,
            assignee: (dice.below(10) > 0).then(|| agent(dice.below(AGENTS))),
            group: Some(group(dice.below(GROUPS))),
            tags,
            followers: Vec::new(),
            custom_fields: BTreeMap::new(),
            channel: Channel::Api,
            external_id: None,
            created_at,
            updated_at,
            public_updated_at: updated_at,
            message_count: MESSAGES,
            public_message_count: MESSAGES - 1,
            version: self.version.clone(),
            public_version: self.version.clone(),
            conflicts: Vec::new(),
            unseen_messages: Vec::new(),
            follow_up_of: None,
            merge: None,
        }
    }
}

impl Iterator for Corpus {
    type Item = Made;

    fn next(&mut self) -> Option<Made> {
        let number = self.next;
        (number < self.until).then(|| {
            self.next += 1;
            self.make(number)
        })
    }
}

/// When a ticket was opened.
pub(super) const fn opened_at(number: u64) -> Timestamp {
    Timestamp::from_micros(BEGAN + number.cast_signed() * OPENED_EVERY)
}

/// Most tickets are done with.
fn status(dice: &mut Dice) -> Status {
    match dice.below(100) {
        0 => Status::New,
        1..=8 => Status::Open,
        9..=14 => Status::Pending,
        15..=16 => Status::Hold,
        17..=21 => Status::Solved,
        _ => Status::Closed,
    }
}

fn uuid(dice: &mut Dice) -> Uuid {
    Uuid::from_u64_pair(dice.next(), dice.next())
}

/// A ticket's id rises with time, as those of `POST /v1/tickets` do.
fn ticket(at: Timestamp, dice: &mut Dice) -> TicketId {
    let millis = (at.micros() / 1_000).cast_unsigned();
    let high = millis << 16 | 0x7000 | dice.below(1 << 12);
    TicketId::new(Uuid::from_u64_pair(high, 1 << 63 | dice.next() >> 2))
}

fn requester(number: u64) -> PersonId {
    PersonId::new(Uuid::from_u64_pair(Dice(number).next(), number))
}

/// The customer with many tickets.
pub(super) fn busy() -> PersonId {
    requester(REQUESTERS)
}

/// A customer with a few tickets.
pub(super) fn customer() -> PersonId {
    requester(7)
}

/// One of those who hold tickets.
pub(super) fn agent(number: u64) -> PersonId {
    requester(2 * REQUESTERS + number)
}

/// A team.
pub(super) fn group(number: u64) -> String {
    format!("group {number}")
}
