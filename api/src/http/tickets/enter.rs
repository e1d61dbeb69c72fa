//! Entering: who the caller is, how they stand to the ticket, and what follows from the request's headers.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use docket_engine::command::{Caller, Command, Intent, Precondition, Source};
use docket_engine::keyring::KeyringError;
use docket_engine::policy::{Action, Audience, Relation, Verdict, may};
use docket_engine::ticket::Ticket;
use docket_engine::version::Version;
use docket_schemas::canonical::Fields;
use docket_schemas::{
    CommandId, Mac, PersonId, Role, Status, Stream, TicketId, canonical, derivation,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::current;
use super::refusal::{forbidden, problem};
use crate::app::App;
use crate::auth::Token;
use crate::http::header::{IDEMPOTENCY_KEY, IfMatch, idempotency_key, if_match};
use crate::http::query::Query;
use crate::problem::{Code, Problem};

/// A caller before a ticket that they may see.
pub(in crate::http) struct Entered {
    pub(super) caller: Caller,
    pub(super) ticket: TicketId,
    pub(super) requester: PersonId,
    pub(in crate::http) audience: Audience,
}

/// Admits a caller to a ticket: 404 where they may not see it, 403 where they may not do this with it.
pub(in crate::http) async fn enter(
    app: &App,
    token: &Token,
    ticket: TicketId,
    action: Action,
) -> Result<Entered, Problem> {
    let (caller, person) = app.caller(token).await.map_err(problem)?;
    let requester = |ticket: &mut Ticket| ticket.facts().map(|facts| facts.requester);
    let found = app.desk.glance(&caller.tenant, ticket, requester).await.map_err(problem)?;
    let requester = found.flatten();
    // Who the requester is never changes; who follows may have, on another node.
    let own = match requester {
        Some(requester) if requester == person.id => true,
        Some(_) if token.role == Role::Customer => {
            let follows = |ticket: &mut Ticket| ticket.concerns(person.id).unwrap_or(false);
            let looking = Box::pin(app.desk.look(&caller.tenant, ticket, follows));
            let found = looking.await.map_err(problem)?;
            found.unwrap_or(false)
        }
        _ => false,
    };
    let relation = if own { Relation::Own } else { Relation::Other };
    if may(token.role, relation, Action::Read) == Verdict::Forbid {
        return Err(forbidden("read tickets"));
    }
    let Some(requester) = requester else { return Err(Problem::not_found()) };
    match may(token.role, relation, action) {
        Verdict::Hide => Err(Problem::not_found()),
        Verdict::Forbid => Err(forbidden("do this with a ticket")),
        Verdict::Allow => {
            Ok(Entered { caller, ticket, requester, audience: Audience::of(token.role) })
        }
    }
}

/// Refuses a status that the role never writes; whether `closed` may settle a conflict is decided on the ticket.
pub(super) fn check_status(token: &Token, status: Status) -> Result<(), Problem> {
    let allows = |action| may(token.role, Relation::Own, action) == Verdict::Allow;
    if allows(Action::SetStatus(status)) || status == Status::Closed && allows(Action::SettleClosed)
    {
        return Ok(());
    }
    Err(forbidden(&format!("set status `{status}`")))
}

/// Refuses who may not read the tenant's feed.
pub(in crate::http) fn check_feed(token: &Token) -> Result<(), Problem> {
    match may(token.role, Relation::Other, Action::ReadFeed) {
        Verdict::Allow => Ok(()),
        _ => Err(forbidden("read the event feed")),
    }
}

/// The head of a request. Extracting it never fails; [`Envelope::read`] looks at it.
pub(in crate::http) struct Head {
    method: Method,
    uri: Uri,
    query: Query,
    headers: HeaderMap,
}

impl Head {
    /// The head of the request that a frame stands for. `key` is printable, as a header's value has to be.
    pub(in crate::http) fn of_frame(method: Method, path: &str, key: &str) -> Self {
        let uri: Uri = path.parse().unwrap_or_default();
        let key = HeaderValue::from_str(key).ok();
        let headers = key.into_iter().map(|key| (IDEMPOTENCY_KEY, key)).collect();
        Self { method, query: Query::of(uri.query().unwrap_or_default()), uri, headers }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Head {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let query = Query::from_request_parts(parts, state).await?;
        let Parts { method, uri, headers, .. } = parts;
        Ok(Self { method: method.clone(), uri: uri.clone(), query, headers: headers.clone() })
    }
}

/// The body of a request whose path says it all: none, or an object without a field.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// What a write's headers say, before its body is looked at.
pub(in crate::http) struct Envelope<'a> {
    key: Option<&'a str>,
    precondition: Option<Precondition>,
    head: &'a Head,
}

impl<'a> Envelope<'a> {
    pub(in crate::http) fn read(head: &'a Head) -> Result<Self, Problem> {
        head.query.params([])?;
        let precondition = if_match(&head.headers)?.map(|wanted| match wanted {
            IfMatch::Any => Precondition::Any,
            IfMatch::OneOf(versions) => Precondition::OneOf(versions),
        });
        Ok(Self { key: idempotency_key(&head.headers)?, precondition, head })
    }

    /// The same of a request that begins something, which has no version that it could be compared with.
    pub(in crate::http) fn read_of_new(head: &'a Head) -> Result<Self, Problem> {
        if head.headers.contains_key(header::IF_MATCH) {
            let message = "goes with no request that begins something: there is no version yet";
            return Err(Problem::invalid("If-Match", message));
        }
        Self::read(head)
    }

    /// What `If-Match` asks.
    pub(super) const fn precondition(&self) -> Option<&Precondition> {
        self.precondition.as_ref()
    }

    /// The command's name: from its key, or new.
    pub(in crate::http) fn command_id(
        &self,
        app: &App,
        caller: &Caller,
        stream: Option<Stream>,
    ) -> CommandId {
        match self.key {
            None => CommandId::new(app.desk.ports().ids.time_ordered()),
            Some(key) => derivation::command_of_key(
                &caller.tenant,
                caller.role,
                &caller.principal,
                stream,
                key,
                0,
            ),
        }
    }

    /// Tells a retry from a reused key; none where there is no key that could be reused.
    pub(in crate::http) fn mac<T: Serialize>(&self, app: &App, body: &T) -> Option<Mac> {
        self.key?;
        let headers = &self.head.headers;
        let if_match: Vec<_> =
            headers.get_all(header::IF_MATCH).iter().map(HeaderValue::as_bytes).collect();
        let request = Fields::new("docket/request/1")
            .field(self.head.method.as_str())
            .field(self.head.uri.path())
            .field(self.head.uri.query().unwrap_or_default())
            .field(canonical::json(body))
            .optional((!if_match.is_empty()).then(|| if_match.join(&b", "[..])))
            .finish();
        Some(app.keyring().request_mac(&request))
    }

    /// The person whom a write names, made where nobody has named them before, but for no write that `If-Match` refuses.
    pub(super) async fn person(
        &self,
        app: &App,
        entered: &Entered,
        outside_id: &str,
    ) -> Result<PersonId, Problem> {
        let (keys, tenant) = (app.keyring(), &entered.caller.tenant);
        let failed = |error: KeyringError| problem(error.into());
        if let Some(known) = keys.known_person(tenant, outside_id).await.map_err(failed)? {
            return Ok(known.id);
        }
        // A retry of what was done has made the person already.
        self.check_current(app, entered).await?;
        Ok(keys.person(tenant, outside_id).await.map_err(failed)?.id)
    }

    async fn check_current(&self, app: &App, entered: &Entered) -> Result<(), Problem> {
        let Some(Precondition::OneOf(wanted)) = &self.precondition else { return Ok(()) };
        let ticket = current(app, entered).await?;
        if wanted.contains(&ticket.version) {
            return Ok(());
        }
        Err(Problem::new(Code::PreconditionFailed).member("current", json!(ticket)))
    }

    /// A command on a ticket. A version in `If-Match` alone is also what the write was made on.
    pub(super) async fn intent<T: Serialize>(
        self,
        app: &App,
        entered: &Entered,
        body: &T,
        observed: Option<&str>,
        command: Command,
    ) -> Result<Intent, Problem> {
        let caller = entered.caller.clone();
        let stream = Stream::ticket(entered.ticket);
        let named = match (&self.precondition, observed) {
            (_, Some(version)) => Some(parse_version(version)?),
            (Some(Precondition::OneOf(versions)), None) if versions.len() == 1 => {
                versions[0].parse::<Version>().ok()
            }
            _ => None,
        };
        let tenant = &caller.tenant;
        let keys = app.keyring();
        let requester = keys.person_by_id(tenant, entered.requester).await;
        let requester_key =
            requester.map_err(|error| problem(error.into()))?.and_then(|p| p.key.clone());
        let author = caller.principal.person().filter(|person| *person != entered.requester);
        let text_key = match author {
            Some(author) if caller.role == Role::Customer => {
                let author = keys.person_by_id(tenant, author).await;
                author.map_err(|error| problem(error.into()))?.and_then(|p| p.key.clone())
            }
            _ => requester_key.clone(),
        };
        let now = app.now();
        Ok(Intent {
            command_id: self.command_id(app, &caller, Some(stream)),
            request_mac: self.mac(app, body),
            caller,
            ticket: entered.ticket,
            observed: named,
            precondition: self.precondition,
            occurred_at: now,
            now,
            source: Source::Live,
            text_key,
            requester_key,
            command,
        })
    }
}

/// A version token as it was given.
pub(super) fn parse_version(text: &str) -> Result<Version, Problem> {
    text.parse().map_err(|_| Problem::new(Code::VersionMalformed))
}
