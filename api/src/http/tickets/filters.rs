//! The parameters of lists and counts: which tickets, in which order, from where on.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use docket_projections::query::{Direction, Place, Sort, SortKey, TicketFilter, Viewer};
use docket_schemas::canonical::Fields;
use docket_schemas::{PersonId, Priority, Role, Status, Tenant, TicketId, TicketType, Timestamp};
use uuid::Uuid;

use super::fields::Checks;
use super::refusal::problem;
use crate::app::App;
use crate::auth::Token;
use crate::http::place_cursor::PlaceCursor;
use crate::problem::Problem;

/// The parameters that say which tickets, in the order of [`Given`].
pub(super) const FILTERS: [&str; 9] = [
    "status",
    "priority",
    "type",
    "assignee_id",
    "group_id",
    "requester_id",
    "tag",
    "created_after",
    "updated_after",
];

/// What stands for nobody, and for no group.
const NONE: &str = "none";

/// A parameter's value.
type Text<'a> = Option<Cow<'a, str>>;

/// Who asks, as the view knows them.
pub(super) async fn viewer(app: &App, token: &Token) -> Result<Viewer, Problem> {
    if token.role != Role::Customer {
        return Ok(Viewer::Staff);
    }
    let (_, person) = app.caller(token).await.map_err(problem)?;
    Ok(Viewer::Customer(person.id))
}

/// The filter that the parameters name.
pub(super) async fn filter(
    app: &App,
    tenant: &Tenant,
    given: &[Text<'_>; FILTERS.len()],
) -> Result<TicketFilter, Problem> {
    let [status, priority, ticket_type, assignee, group, requester, tag, created, updated] = given;
    let mut checks = Checks::default();
    let mut filter = TicketFilter {
        status: named(&mut checks, "status", status, Status::ALL),
        priority: named(&mut checks, "priority", priority, Priority::ALL),
        ticket_type: named(&mut checks, "type", ticket_type, TicketType::ALL),
        created_after: time(&mut checks, "created_after", created),
        updated_after: time(&mut checks, "updated_after", updated),
        ..TicketFilter::default()
    };
    for (field, text) in
        [("assignee_id", assignee), ("group_id", group), ("requester_id", requester)]
    {
        if let Some(text) = text {
            checks.id(field, text);
        }
    }
    if let Some(tag) = tag {
        checks.tag("tag", tag);
    }
    checks.finish()?;
    filter.tag = tag.as_deref().map(str::to_owned);
    filter.group = group.as_deref().map(|group| (group != NONE).then(|| group.to_owned()));
    filter.assignee = match assignee.as_deref() {
        None => None,
        Some(NONE) => Some(None),
        Some(person) => Some(Some(known(app, tenant, person).await?)),
    };
    filter.requester = match requester.as_deref() {
        None => None,
        Some(person) => Some(known(app, tenant, person).await?),
    };
    Ok(filter)
}

/// The person that callers know by this id; nobody's id where nobody does, which no ticket has.
async fn known(app: &App, tenant: &Tenant, outside_id: &str) -> Result<PersonId, Problem> {
    let person = app.keyring().known_person(tenant, outside_id).await;
    let person = person.map_err(|error| problem(error.into()))?;
    Ok(person.map_or(PersonId::new(Uuid::nil()), |person| person.id))
}

fn named<T: FromStr + Display>(
    checks: &mut Checks,
    field: &'static str,
    text: &Text<'_>,
    all: &[T],
) -> Option<T> {
    let value = text.as_deref()?.parse().ok();
    if value.is_none() {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        checks.wrong(field, format!("is not one of {}", all.join(", ")));
    }
    value
}

fn time(checks: &mut Checks, field: &'static str, text: &Text<'_>) -> Option<Timestamp> {
    // `+` in a query is a space, and an offset begins with one.
    let time = text.as_deref()?.replace(' ', "+").parse().ok();
    if time.is_none() {
        checks.wrong(field, "is not an RFC 3339 time with an offset, such as 2026-11-20T12:00:00Z");
    }
    time
}

/// The order that `sort` names; what changed last comes first where there is none.
pub(super) fn sort(text: Option<&str>) -> Result<Sort, Problem> {
    let Some(text) = text else {
        return Ok(Sort { key: SortKey::UpdatedAt, direction: Direction::Descending });
    };
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    let key = match name {
        "created_at" => SortKey::CreatedAt,
        "updated_at" => SortKey::UpdatedAt,
        "priority" => SortKey::Priority,
        _ => {
            let message = "is not created_at, updated_at or priority, each with or without `-`";
            return Err(Problem::invalid("sort", message));
        }
    };
    Ok(Sort { key, direction })
}

/// The cursors of a list, good for the same list and nothing else.
pub(super) struct ListCursors(PlaceCursor);

impl ListCursors {
    const FORMAT: u8 = 1;
    const DETAIL: &str = "a page's cursor goes on with the filters and the order of its page";

    /// Those of a list with these filters in this order.
    pub(super) fn of(
        tenant: &Tenant,
        viewer: Viewer,
        given: &[Text<'_>; FILTERS.len()],
        sort: Sort,
    ) -> Self {
        let who = match viewer {
            Viewer::Staff => None,
            Viewer::Customer(person) => Some(person),
        };
        let question = Fields::new("docket/list/1")
            .field(tenant.as_str())
            .optional(who.as_ref().map(PersonId::as_bytes))
            .field([sort.key as u8, sort.direction as u8]);
        let question = given
            .iter()
            .fold(question, |question, one| question.optional(one.as_deref().map(str::as_bytes)));
        Self(PlaceCursor::bound(Self::FORMAT, question, Self::DETAIL))
    }

    /// The cursor behind a place.
    pub(super) fn write(&self, place: Place) -> String {
        self.0.write(place.key, *place.ticket.as_bytes())
    }

    /// The place of a cursor: 400 where it is none of this list's.
    pub(super) fn read(&self, text: &str) -> Result<Place, Problem> {
        let (key, ticket) = self.0.read(text)?;
        Ok(Place { key, ticket: TicketId::new(Uuid::from_bytes(ticket)) })
    }
}
