//! From a request to a question: who asks, for what, in which order.

use docket_schemas::Role;
use docket_search::port::{PAGE_SIZE_MAX, Question, Reader};
use docket_search::query::{Filter, Literal, Person, Query as Asked, QueryError, parse};

use super::params::{SearchCursors, facets, sort};
use crate::app::App;
use crate::auth::Token;
use crate::http::page::page_size;
use crate::http::query::Query;
use crate::http::tickets::problem;
use crate::problem::{Code, FieldError, Problem};

/// The question that a request asks, with the cursors of its pages.
pub(super) async fn ask(
    app: &App,
    token: &Token,
    query: &Query,
) -> Result<(Question, SearchCursors), Problem> {
    let [text, by, wanted, size, after] =
        query.params(["q", "sort", "facets", "page[size]", "page[after]"])?;
    let Some(text) = text else {
        return Err(Problem::invalid("q", "is missing: give words or filters"));
    };
    let mut asked = parse(&text).map_err(unreadable)?;
    let sort = sort(by.as_deref(), &asked)?;
    let facets = facets(wanted.as_deref())?;
    let size = page_size("page[size]", size.as_deref())?.min(PAGE_SIZE_MAX);
    let reader = reader(app, token, &asked).await?;
    let cursors = SearchCursors::of(&token.tenant, reader, &text, sort);
    let (after, rarity) = match after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => cursors.read(after).map(|(rank, rarity)| (Some(rank), rarity))?,
        None => (None, None),
    };
    know_persons(app, token, &mut asked).await?;
    let tenant = token.tenant.clone();
    let question = Question { tenant, reader, query: asked, sort, after, rarity, size, facets };
    Ok((question, cursors))
}

/// 422 with the place.
fn unreadable(error: QueryError) -> Problem {
    let (at, limit) = (error.at, error.mistake.limit());
    let error = match limit {
        Some(limit) => FieldError::beyond("q", error.to_string(), limit),
        None => FieldError::new("q", error.to_string()),
    };
    Problem::new(Code::Invalid).error(error).member("at", at)
}

/// Who asks. Asking makes no person: one whom nobody has named has no tickets.
async fn reader(app: &App, token: &Token, asked: &Asked) -> Result<Reader, Problem> {
    let customer = token.role == Role::Customer;
    if !customer && !names_the_caller(asked) {
        return Ok(Reader::Staff(None));
    }
    if !customer {
        let known = app.keyring().known_person(&token.tenant, &token.subject).await;
        return Ok(Reader::Staff(known.map_err(|error| problem(error.into()))?.map(|one| one.id)));
    }
    let (_, person) = app.caller(token).await.map_err(problem)?;
    Ok(Reader::Customer(person.id))
}

fn names_the_caller(asked: &Asked) -> bool {
    let mut clauses = asked.groups.iter().flat_map(|group| &group.any);
    clauses.any(|clause| {
        matches!(
            clause.literal,
            Literal::Filter(Filter::Assignee(Person::Me) | Filter::Requester(Person::Me))
        )
    })
}

/// Persons by the ids that the log knows; one whom nobody has named matches nothing.
async fn know_persons(app: &App, token: &Token, asked: &mut Asked) -> Result<(), Problem> {
    for person in asked.named_persons() {
        if let Person::Named(name) = person {
            let known = app.keyring().known_person(&token.tenant, name).await;
            let known = known.map_err(|error| problem(error.into()))?;
            *person = Person::Known(known.map(|known| known.id));
        }
    }
    Ok(())
}
