//! Subscriptions to tickets: who is admitted, where each begins, and what was missed since.

mod missed;

use std::sync::Arc;
use std::time::Duration;

use docket_engine::cursor::{Cursor, Positions};
use docket_engine::desk::DeskError;
use docket_engine::policy::{Action, Audience, Relation, Verdict, may};
use docket_engine::ticket::Ticket;
use docket_schemas::{
    Event, EventType, Incarnation, PersonId, Stream, Tenant, TicketEvent, TicketId,
};
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::auth::Token;
use crate::http::tickets::enter::enter;
use crate::http::tickets::{own_tickets, problem, store_problem};
use crate::live::hub::Registration;
use crate::live::outbox::{Listener, SubscriptionNumber};
use crate::problem::{Code, FieldError, Problem};
use missed::Missed;

/// Most own tickets of a customer who follows all of them.
const OWN_TICKETS_MAX: usize = 1_000;

/// How long a subscription waits for the hub to go back in a log that was restored.
const HUB_SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// How often the hub is asked meanwhile.
const HUB_ASKED_EVERY: Duration = Duration::from_millis(10);

/// A subscription to tickets.
pub(super) struct Subscription {
    /// As its peer calls it.
    pub(super) id: String,
    pub(super) audience: Audience,
    /// Up to where the peer was told. Its incarnation is the one in which the subscription began: under an older name
    /// positions cost a peer a repeat at most, and under a newer one than their own they would hide events.
    pub(super) cursor: Cursor,
    follows: Follows,
}

/// What a subscription follows.
enum Follows {
    /// These tickets, each by its name.
    Named(Vec<(TicketId, Registration)>),
    /// Whatever tickets are its caller's; these were when it began.
    Own(Registration, Vec<TicketId>),
}

/// The incarnation in which a subscription begins, once all that the hub hands on is of it.
async fn settled(app: &App, after: Option<&Cursor>) -> Result<Incarnation, Problem> {
    let incarnation = match after {
        Some(after) => after.incarnation.clone(),
        None => app.desk.incarnation(),
    };
    let settling = async {
        while !app.live.hub.is_of(&incarnation) {
            sleep(HUB_ASKED_EVERY).await;
        }
    };
    if timeout(HUB_SETTLES_WITHIN, settling).await.is_err() {
        let problem = Problem::new(Code::Unavailable);
        return Err(problem.detail("the log was restored: subscribe again"));
    }
    Ok(incarnation)
}

/// Refuses a caller who may not follow a ticket, and says which part of it they get.
async fn admit(app: &App, token: &Token, ticket: TicketId) -> Result<Audience, Problem> {
    let reads = may(token.role, Relation::Other, Action::Read) == Verdict::Allow;
    let follows = may(token.role, Relation::Other, Action::ReadFeed) == Verdict::Allow;
    if reads || !follows {
        return Ok(enter(app, token, ticket, Action::ReadHistory).await?.audience);
    }
    // Who reads the whole feed may follow a part of it.
    let there = app.desk.glance(&token.tenant, ticket, |_| ()).await.map_err(problem)?;
    there.map(|()| Audience::Staff).ok_or_else(Problem::not_found)
}

impl Subscription {
    /// Enters a caller for tickets, if they may follow all of them. Without `after` it begins now.
    pub(super) async fn begin(
        app: &App,
        token: &Token,
        id: String,
        tickets: &[TicketId],
        after: Option<Cursor>,
        (number, listener): (SubscriptionNumber, Arc<dyn Listener>),
    ) -> Result<Self, Problem> {
        let tenant = &token.tenant;
        let incarnation = settled(app, after.as_ref()).await?;
        let tickets = app.live.hub.to_tickets(tenant, tickets, (number, &listener));
        // Only now: whoever loses a ticket from here on, the listener is told of it.
        let mut audience = Audience::of(token.role);
        for (ticket, _) in &tickets {
            audience = admit(app, token, *ticket).await?;
        }
        let named = tickets.iter().map(|(ticket, _)| *ticket);
        let positions = match (after, audience) {
            (Some(after), _) => Ok(after.positions),
            (None, Audience::Staff) => app.desk.ports().log.heads().await.map_err(DeskError::from),
            (None, Audience::Customer) => newest_shown(app, tenant, named).await,
        };
        let cursor = Cursor { incarnation, positions: positions.map_err(problem)? };
        Ok(Self { id, audience, cursor, follows: Follows::Named(tickets) })
    }

    /// Enters a customer for all tickets that are theirs, now or later. Which they are now the view says, once it has come
    /// to where the customer is entered.
    pub(super) async fn begin_own(
        app: &App,
        tenant: &Tenant,
        (id, person): (String, PersonId),
        after: Option<Cursor>,
        (number, listener): (SubscriptionNumber, Arc<dyn Listener>),
    ) -> Result<Self, Problem> {
        let incarnation = settled(app, after.as_ref()).await?;
        let registration = app.live.hub.as_person(tenant, person, number, listener);
        let entered = Cursor { incarnation: incarnation.clone(), positions: registration.from };
        let shown = app.views.freshness.wait_for(&entered).await;
        if !shown.map_err(store_problem)? {
            let problem = Problem::new(Code::Unavailable);
            return Err(problem.detail("the tickets view is behind: subscribe again"));
        }
        let tickets = own_tickets(app, tenant, person, OWN_TICKETS_MAX).await?;
        if tickets.len() > OWN_TICKETS_MAX {
            let message = "has more tickets than can be followed at once: name them";
            let error = FieldError::beyond("all", message, OWN_TICKETS_MAX);
            return Err(Problem::new(Code::Invalid).error(error));
        }
        let positions = match after {
            Some(after) => after.positions,
            None => newest_shown(app, tenant, tickets.iter().copied()).await.map_err(problem)?,
        };
        let cursor = Cursor { incarnation, positions };
        let follows = Follows::Own(registration, tickets);
        Ok(Self { id, audience: Audience::Customer, cursor, follows })
    }

    /// The tickets with the position up to which each has to be read from the log: what lies beyond is heard.
    pub(super) fn missed(&self, tenant: &Tenant) -> Missed {
        let mut missed = Missed::default();
        let mut add = |ticket: TicketId, registration: &Registration| {
            let partition = Stream::ticket(ticket).partition(tenant);
            let after = self.cursor.positions.get(partition);
            missed.add(tenant, ticket, (after, registration.from.get(partition)));
        };
        match &self.follows {
            Follows::Named(named) => named.iter().for_each(|(ticket, from)| add(*ticket, from)),
            Follows::Own(from, own) => own.iter().for_each(|ticket| add(*ticket, from)),
        }
        missed
    }

    /// Whether an event is one of its tickets'.
    pub(super) fn follows(&self, event: &Event) -> bool {
        match &self.follows {
            Follows::Named(tickets) => {
                tickets.iter().any(|(ticket, _)| ticket.uuid() == event.stream.id)
            }
            Follows::Own(..) => true,
        }
    }

    /// Whether its peer was not told of an event yet.
    pub(super) const fn awaits(&self, event: &Event) -> bool {
        event.position > self.cursor.positions.get(event.partition)
    }

    /// Whether its caller may still read what an event is about; where not, that ticket is left out from now on. Asked also
    /// about what the peer need not be told: whoever was admitted before such an event may have lost the ticket by it.
    ///
    /// # Errors
    /// When nobody can say.
    pub(super) async fn still_reads(
        &mut self,
        app: &App,
        token: &Token,
        event: &Event,
    ) -> Result<bool, Problem> {
        if self.audience == Audience::Staff || !changes_readers(event) {
            return Ok(true);
        }
        let ticket = TicketId::new(event.stream.id);
        match enter(app, token, ticket, Action::ReadHistory).await {
            Ok(_) => return Ok(true),
            Err(refusal) if matches!(refusal.code(), Code::NotFound | Code::Forbidden) => {}
            Err(problem) => return Err(problem),
        }
        if let Follows::Named(tickets) = &mut self.follows {
            tickets.retain(|(followed, _)| *followed != ticket);
        }
        Ok(false)
    }

    /// Whether its caller named the tickets, and is told when one of them is theirs no more.
    pub(super) const fn is_by_name(&self) -> bool {
        matches!(self.follows, Follows::Named(_))
    }
}

/// Whether an event may change who reads its ticket.
fn changes_readers(event: &Event) -> bool {
    matches!(
        event.event_type,
        EventType::Ticket(
            TicketEvent::FollowerAdded
                | TicketEvent::FollowerRemoved
                | TicketEvent::MergeAttached
                | TicketEvent::MergeDetached
        )
    )
}

/// The place of a customer's newest visible event in each partition: a cursor that moves for nothing else.
async fn newest_shown(
    app: &App,
    tenant: &Tenant,
    tickets: impl Iterator<Item = TicketId> + Send,
) -> Result<Positions, DeskError> {
    let mut positions = Positions::START;
    for ticket in tickets {
        let newest = |ticket: &mut Ticket| {
            let nodes = ticket.graph.nodes().iter().rev();
            let mut shown =
                nodes.filter(|node| node.public && node.event_type != TicketEvent::HeadsJoined);
            shown.next().map_or(0, |node| node.position)
        };
        let newest = app.desk.look(tenant, ticket, newest).await?;
        let partition = Stream::ticket(ticket).partition(tenant);
        positions.advance(partition, newest.unwrap_or(0));
    }
    Ok(positions)
}
