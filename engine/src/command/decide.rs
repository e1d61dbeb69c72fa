//! Decisions: whether a command may be done on a ticket as it stands, and the rows that do it.

use std::collections::BTreeSet;

use docket_schemas::{
    Changed, Claimed, CommandId, Followed, Observed, PersonId, Released, Role, Scalar, SlotOp,
    SubjectText, TicketPayload,
};

use super::author::{AuthorError, AuthoredRow, Step, author, joined_heads};
use super::claim::{Manner, release, take};
use super::message::{self, text_key};
use super::replay::{replay, touches_public};
use super::status::{check_fresh, check_status};
use super::{
    Authoring, CUSTOM_FIELDS_MAX, Command, FieldChange, Intent, Precondition, Refusal, Source,
    TAGS_MAX,
};
use crate::actor::Writer;
use crate::graph::{NodeIndex, Past};
use crate::lanes::place;
use crate::layout::Container;
use crate::policy::{Action, Audience, Relation, Verdict, may};
use crate::resolver::resolve;
use crate::ticket::Ticket;
use crate::version::Version;

/// The rows that do a command; the ticket has folded its own already.
#[derive(Debug)]
pub struct Decided {
    /// One unit.
    pub rows: Vec<AuthoredRow>,
    /// The ticket that the command opened besides.
    pub follow_up: Option<Box<Ticket>>,
}

/// What a decision looks at: how the caller stands to the ticket, and what they have seen.
pub(super) struct Scene<'a> {
    pub relation: Relation,
    pub seen: Vec<NodeIndex>,
    pub past: Past,
    /// What caused the write, where it is part of another.
    pub causation_id: Option<CommandId>,
    pub with: Authoring<'a>,
}

/// Decides a command and authors its rows on `ticket`, which then holds them undurably.
///
/// # Errors
/// [`AuthorError::Refused`] leaves the ticket as it was when the refusal comes before the first row; a caller that
/// gets any error after rows throws the ticket away.
pub fn decide(
    ticket: &mut Ticket,
    intent: &Intent,
    with: Authoring<'_>,
) -> Result<Decided, AuthorError> {
    let scene = scene(ticket, intent, with)?;
    let mut decided = match &intent.command {
        Command::Change(change) => fields(ticket, intent, &scene, change)?,
        Command::TakeBack(take_back) => match take_back.left(ticket)? {
            Some(change) => fields(ticket, intent, &scene, &change)?,
            None => return Ok(Decided { rows: Vec::new(), follow_up: None }),
        },
        Command::AddMessage(text) => message::add(ticket, intent, &scene, text)?,
        Command::Claim(assignee) => claim(ticket, intent, &scene, *assignee)?,
        Command::Release => {
            scene.allow(intent, Action::Claim, "release a ticket")?;
            let slots = release(ticket, intent, scene.relation)?;
            scene.one(ticket, intent, TicketPayload::Released(Released {}), slots)?
        }
        Command::Follow(person) => {
            scene.allow(intent, Action::ChangeFields, "change followers")?;
            let followed = TicketPayload::FollowerAdded(Followed { person_id: *person });
            scene.hidden(ticket, intent, followed)?
        }
        Command::Unfollow(person) => {
            scene.allow(intent, Action::ChangeFields, "change followers")?;
            let followed = TicketPayload::FollowerRemoved(Followed { person_id: *person });
            scene.hidden(ticket, intent, followed)?
        }
        Command::Replay(replayed) => replay(ticket, intent, &scene, replayed)?,
    };
    decided.rows.extend(joined_heads(ticket, intent.command_id, intent.occurred_at, with)?);
    Ok(decided)
}

pub(super) fn scene<'a>(
    ticket: &mut Ticket,
    intent: &Intent,
    with: Authoring<'a>,
) -> Result<Scene<'a>, AuthorError> {
    if ticket.facts().is_none() {
        return Err(Refusal::NotFound.into());
    }
    // Every decision below reads the registers as the ticket's last event left them.
    ticket.registers()?;
    let relation = relation(ticket, intent.caller.principal.person())?;
    let verdict = if intent.source.is_held_to_policy() {
        may(intent.caller.role, relation, Action::Read)
    } else {
        Verdict::Allow
    };
    match verdict {
        Verdict::Allow => {}
        Verdict::Forbid => return Err(Refusal::forbidden("read tickets").into()),
        Verdict::Hide => return Err(Refusal::NotFound.into()),
    }
    check_precondition(ticket, intent.caller.role, intent.precondition.as_ref())?;
    let seen = match &intent.observed {
        Some(version) => version.heads(&ticket.graph).map_err(|_| Refusal::VersionUnknown)?,
        None => ticket.graph.heads().to_vec(),
    };
    let caller = &intent.caller;
    let writer = Writer::new(
        &ticket.tenant,
        ticket.id,
        caller.role,
        &caller.principal,
        &caller.device,
        with.incarnation,
    );
    let placement = place(&ticket.graph, &writer, &seen).map_err(|_| Refusal::TooManyForks)?;
    Ok(Scene { relation, seen, past: placement.past, causation_id: None, with })
}

/// How a person stands to a ticket.
pub(crate) fn relation(
    ticket: &mut Ticket,
    person: Option<PersonId>,
) -> Result<Relation, AuthorError> {
    let own = match person {
        Some(person) => ticket.concerns(person)?,
        None => false,
    };
    Ok(if own { Relation::Own } else { Relation::Other })
}

/// Refuses where `If-Match` names another version than the one that this role now sees.
pub(super) fn check_precondition(
    ticket: &Ticket,
    role: Role,
    precondition: Option<&Precondition>,
) -> Result<(), Refusal> {
    let Some(Precondition::OneOf(wanted)) = precondition else { return Ok(()) };
    let current = match Audience::of(role) {
        Audience::Staff => Version::of(&ticket.graph, ticket.graph.heads()),
        Audience::Customer => Version::of(&ticket.graph, ticket.graph.public_heads()),
    };
    if wanted.contains(&current.to_string()) {
        Ok(())
    } else {
        Err(Refusal::PreconditionFailed { current })
    }
}

fn fields(
    ticket: &mut Ticket,
    intent: &Intent,
    scene: &Scene<'_>,
    change: &FieldChange,
) -> Result<Decided, AuthorError> {
    if changes_more_than_status(change) {
        scene.allow(intent, Action::ChangeFields, "change fields other than `status`")?;
    }
    if let Some(status) = change.status {
        check_status(ticket, intent, scene.relation, status, &scene.past)?;
    }
    if change.status.is_some() || change.priority.is_some() || change.ticket_type.is_some() {
        check_fresh(ticket, intent, &scene.past)?;
    }
    // What is restored was within the limits once; others may have filled the place since.
    if !matches!(intent.source, Source::Undo(_)) {
        check_counts(ticket, change)?;
    }
    let slots = match change.assignee {
        None => Vec::new(),
        Some(assignee) => {
            scene.allow(intent, Action::Claim, "set `assignee_id`")?;
            match assignee {
                Some(person) => take(ticket, intent, scene.relation, person, Manner::Assign)?,
                None => release(ticket, intent, scene.relation)?,
            }
        }
    };
    let text = match &change.subject {
        None => None,
        Some(subject) => {
            let text = SubjectText { subject: subject.clone() };
            Some((serde_json::to_value(text).expect("string keys only"), text_key(intent)?))
        }
    };
    let changed = changed(change);
    let public = touches_public(&changed);
    let payload = TicketPayload::Changed(Box::new(changed));
    let step = Step { slots, text, ..scene.step(intent, payload, public) };
    Ok(Decided { rows: vec![author(ticket, step, &scene.seen, scene.with)?], follow_up: None })
}

fn changes_more_than_status(change: &FieldChange) -> bool {
    change.priority.is_some()
        || change.ticket_type.is_some()
        || change.group_id.is_some()
        || change.assignee.is_some()
        || change.subject.is_some()
        || !change.add_tags.is_empty()
        || !change.remove_tags.is_empty()
        || !change.custom_fields.is_empty()
}

fn changed(change: &FieldChange) -> Changed {
    Changed {
        status: change.status,
        priority: change.priority,
        ticket_type: change.ticket_type,
        group_id: change.group_id.clone(),
        assignee_id: change.assignee,
        add_tags: change.add_tags.clone(),
        remove_tags: change.remove_tags.clone(),
        custom_fields: change.custom_fields.clone(),
        sealed: change.subject.iter().map(|_| "subject".to_owned()).collect(),
        source_row: change.source_row,
    }
}

/// Limits are checked at admission; concurrent writes that merge may exceed them.
fn check_counts(ticket: &Ticket, change: &FieldChange) -> Result<(), Refusal> {
    let beyond = |field, max: usize| Refusal::Invalid {
        field,
        message: format!("would give the ticket more than {max}"),
        limit: Some(max),
    };
    let present: BTreeSet<&str> = ticket.settled().keys(Container::Tags).collect();
    let added: BTreeSet<&str> = change.add_tags.iter().map(String::as_str).collect();
    let removed: BTreeSet<&str> = change.remove_tags.iter().map(String::as_str).collect();
    // A tag that is added and removed at once stays: add wins.
    let kept = present.difference(&removed).chain(&added).collect::<BTreeSet<_>>().len();
    if !added.is_subset(&present) && kept > TAGS_MAX {
        return Err(beyond("add_tags", TAGS_MAX));
    }
    let is_set = |key: &str| {
        let key = crate::layout::custom_key(key);
        resolve::<Scalar>(ticket, &key).is_some_and(|field| field.effective != Scalar::Null)
    };
    let fields = ticket.settled().keys(Container::Fields);
    let fields = fields.filter_map(|key| key.strip_prefix("custom."));
    let stay = fields.filter(|key| !change.custom_fields.contains_key(*key) && is_set(key)).count();
    let written = change.custom_fields.iter().filter(|(_, value)| **value != Scalar::Null);
    let (new, old): (Vec<_>, Vec<_>) = written.partition(|(key, _)| !is_set(key));
    if !new.is_empty() && stay + old.len() + new.len() > CUSTOM_FIELDS_MAX {
        return Err(beyond("custom_fields", CUSTOM_FIELDS_MAX));
    }
    Ok(())
}

fn claim(
    ticket: &mut Ticket,
    intent: &Intent,
    scene: &Scene<'_>,
    assignee: PersonId,
) -> Result<Decided, AuthorError> {
    scene.allow(intent, Action::Claim, "claim a ticket")?;
    let slots = take(ticket, intent, scene.relation, assignee, Manner::Claim)?;
    scene.one(ticket, intent, TicketPayload::Claimed(Claimed { assignee_id: assignee }), slots)
}

impl Scene<'_> {
    /// Refuses what the policy does not let the caller do.
    pub(super) fn allow(&self, intent: &Intent, action: Action, what: &str) -> Result<(), Refusal> {
        if !intent.source.is_held_to_policy() {
            return Ok(());
        }
        match may(intent.caller.role, self.relation, action) {
            Verdict::Allow => Ok(()),
            Verdict::Forbid => Err(Refusal::forbidden(what)),
            Verdict::Hide => Err(Refusal::NotFound),
        }
    }

    /// A step of this intent, with nothing sealed and no slots.
    pub(super) fn step<'i>(
        &self,
        intent: &'i Intent,
        payload: TicketPayload,
        public: bool,
    ) -> Step<'i> {
        Step {
            caller: &intent.caller,
            command_id: intent.command_id,
            request_mac: intent.request_mac,
            payload,
            text: None,
            public,
            observed: if intent.observed.is_some() { Observed::Given } else { Observed::Assumed },
            slots: Vec::new(),
            occurred_at: intent.occurred_at,
            correlation_id: intent.source.saga(),
            causation_id: self.causation_id.or(intent.source.saga()),
        }
    }

    /// One public event with slot steps.
    fn one(
        &self,
        ticket: &mut Ticket,
        intent: &Intent,
        payload: TicketPayload,
        slots: Vec<SlotOp>,
    ) -> Result<Decided, AuthorError> {
        let step = Step { slots, ..self.step(intent, payload, true) };
        Ok(Decided { rows: vec![author(ticket, step, &self.seen, self.with)?], follow_up: None })
    }

    /// One event that touches nothing a customer may see.
    fn hidden(
        &self,
        ticket: &mut Ticket,
        intent: &Intent,
        payload: TicketPayload,
    ) -> Result<Decided, AuthorError> {
        let step = self.step(intent, payload, false);
        Ok(Decided { rows: vec![author(ticket, step, &self.seen, self.with)?], follow_up: None })
    }
}
