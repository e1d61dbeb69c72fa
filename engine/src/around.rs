//! Reads that go around rows which cannot be read: a damaged row hides itself, never what stands behind it.
//!
//! Whoever meets such a row asks for ever fewer events, until the row stands alone; then that one is passed.

use std::collections::BTreeSet;
use std::sync::Arc;

use docket_schemas::{Event, Partition, Position, Tenant};
use parking_lot::Mutex;

use crate::cursor::Positions;
use crate::ports::log::{EventLog, LogError, Page, StreamRead};

/// Places that a node remembers to have reported; those beyond are reported whenever they are met.
const REPORTED_PLACES_MAX: usize = 10_000;

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// In which partition.
    pub partition: Partition,
    /// Where it stands there.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
}

/// What was read, with the rows that were passed on the way to it.
#[derive(Debug)]
pub struct Around<Found> {
    /// What stands behind the rows that were passed.
    pub found: Found,
    /// Those rows, in order; most often none.
    pub unreadable: Vec<Unreadable>,
    /// How many events were asked for in the end: fewer than `found` may mean that there are no more.
    pub asked: usize,
}

/// Events that stand together in a partition.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    /// In order, without gaps but for what is unreadable.
    pub events: Vec<Arc<Event>>,
    /// The rows among them that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The last position of both; none where there is nothing.
    pub upto: Option<Position>,
}

/// One partition's events after a position, at most `limit`. The log is known to hold all positions up to `head`.
///
/// # Errors
/// When the log does not answer.
pub async fn partition_events(
    log: &dyn EventLog,
    partition: Partition,
    (after, head): (Position, Position),
    limit: usize,
) -> Result<Stretch, LogError> {
    let read = |after, limit| log.partition_events(partition, after, limit);
    let pass = |after: &mut Position, at: Option<(Partition, Position)>| {
        // Positions have no gaps: where the row does not say which it is, it is the next one.
        let position = at.map_or(*after + 1, |(_, position)| position);
        let passes = at.is_some() || position <= head;
        *after = position;
        passes.then_some((partition, position))
    };
    let around = go_around(after, limit, read, pass).await?;
    let last = around.found.last().map(|event| event.position);
    let passed = around.unreadable.last().map(|row| row.position);
    let events = around.found.into_iter().map(Arc::new).collect();
    Ok(Stretch { events, unreadable: around.unreadable, upto: last.or(passed) })
}

/// The events of one stream after a position, at most `limit`.
///
/// # Errors
/// When the log does not answer, or holds damage that no row is to blame for.
pub async fn stream_page(
    log: &dyn EventLog,
    read: &StreamRead,
    limit: usize,
) -> Result<Around<Vec<Event>>, LogError> {
    let ask = |after, limit| async move {
        log.stream_page(&StreamRead { after, ..read.clone() }, limit).await
    };
    let pass = |after: &mut Position, at: Option<(Partition, Position)>| {
        let (partition, position) = at.filter(|(_, position)| *position > *after)?;
        *after = position;
        Some((partition, position))
    };
    go_around(read.after, limit, ask, pass).await
}

/// Events of the log beyond positions, one tenant's or everyone's, at most `limit`.
///
/// # Errors
/// When the log does not answer, or holds damage that no row is to blame for.
pub async fn page(
    log: &dyn EventLog,
    tenant: Option<&Tenant>,
    after: &Positions,
    limit: usize,
) -> Result<Around<Page>, LogError> {
    let ask = |after: Positions, limit| async move {
        match tenant {
            Some(tenant) => log.tenant_events(tenant, &after, limit).await,
            None => log.events(&after, limit).await,
        }
    };
    let pass = |after: &mut Positions, at: Option<(Partition, Position)>| {
        let (partition, position) =
            at.filter(|(partition, position)| *position > after.get(*partition))?;
        after.set(partition, position);
        Some((partition, position))
    };
    go_around(*after, limit, ask, pass).await
}

/// The events at these places, in any order; those that are not there are left out.
///
/// # Errors
/// When the log does not answer.
pub async fn events_at(
    log: &dyn EventLog,
    places: &[(Partition, Position)],
) -> Result<Around<Vec<Event>>, LogError> {
    let (mut found, mut unreadable, asked) = (Vec::new(), Vec::new(), places.len());
    match log.events_at(places).await {
        Ok(found) => return Ok(Around { found, unreadable, asked }),
        Err(LogError::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    for place in places {
        let (partition, position) = *place;
        match log.events_at(std::slice::from_ref(place)).await {
            Ok(event) => found.extend(event),
            Err(LogError::Damaged { what: reason, .. }) => {
                unreadable.push(Unreadable { partition, position, reason });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Around { found, unreadable, asked })
}

/// Reads with ever smaller limits until what is asked for can be read, and passes what alone cannot.
///
/// # Errors
/// What `read` says but for damage; and damage that `pass` cannot get around.
pub async fn go_around<At, Found, Reading>(
    mut after: At,
    limit: usize,
    read: impl Fn(At, usize) -> Reading,
    pass: impl Fn(&mut At, Option<(Partition, Position)>) -> Option<(Partition, Position)>,
) -> Result<Around<Found>, LogError>
where
    At: Clone,
    Reading: Future<Output = Result<Found, LogError>>,
{
    let (mut unreadable, mut asked) = (Vec::new(), limit);
    loop {
        match read(after.clone(), asked).await {
            Ok(found) => return Ok(Around { found, unreadable, asked }),
            Err(LogError::Damaged { .. }) if asked > 1 => asked /= 2,
            Err(LogError::Damaged { what, at }) => {
                let Some((partition, position)) = pass(&mut after, at) else {
                    return Err(LogError::Damaged { what, at });
                };
                unreadable.push(Unreadable { partition, position, reason: what });
            }
            Err(error) => return Err(error),
        }
    }
}

/// The unreadable rows that a node has met, each reported once.
#[derive(Debug, Default)]
pub struct Reported(Mutex<BTreeSet<(Partition, Position)>>);

impl Reported {
    /// Reports what was not known before.
    pub fn report(&self, unreadable: &[Unreadable]) {
        if unreadable.is_empty() {
            return;
        }
        let mut known = self.0.lock();
        for row in unreadable {
            let place = (row.partition, row.position);
            if known.contains(&place) {
                continue;
            }
            tracing::error!(
                partition = row.partition.number(),
                position = row.position,
                reason = row.reason,
                "log.row.unreadable"
            );
            if known.len() < REPORTED_PLACES_MAX {
                known.insert(place);
            }
        }
    }

    /// How many are known.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// The log is another now.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAMAGED: [Position; 4] = [1, 7, 8, 20];

    fn partition() -> Partition {
        Partition::new(3).expect("of 16")
    }

    /// Positions 1 to 20, of which some cannot be read; whether damage says where it is.
    async fn read(after: Position, limit: usize, says: bool) -> Result<Vec<Position>, LogError> {
        let page: Vec<Position> = (after + 1..=20).take(limit).collect();
        match page.iter().find(|position| DAMAGED.contains(position)) {
            None => Ok(page),
            Some(first) => {
                let at = says.then(|| (partition(), *first));
                Err(LogError::Damaged { what: "no type".to_owned(), at })
            }
        }
    }

    async fn walk(limit: usize, says: bool) -> (Vec<Position>, Vec<Position>) {
        let (mut found, mut passed, mut after) = (Vec::new(), Vec::new(), 0);
        loop {
            let pass = |after: &mut Position, at: Option<(Partition, Position)>| {
                *after = at.map_or(*after + 1, |(_, position)| position);
                Some((partition(), *after))
            };
            let page = go_around(after, limit, |after, limit| read(after, limit, says), pass);
            let page = page.await.expect("it is led around");
            passed.extend(page.unreadable.iter().map(|row| row.position));
            found.extend(&page.found);
            let Some(last) = found.iter().max().max(passed.iter().max()) else { panic!() };
            if page.found.is_empty() {
                return (found, passed);
            }
            after = *last;
        }
    }

    #[tokio::test]
    async fn every_row_that_can_be_read_is_read_and_no_other_is_passed() {
        let sound = (1..=20).filter(|position| !DAMAGED.contains(position)).collect::<Vec<_>>();
        for says in [true, false] {
            for limit in [1, 2, 3, 5, 8, 100] {
                assert_eq!(walk(limit, says).await, (sound.clone(), DAMAGED.to_vec()), "{limit}");
            }
        }
    }

    #[tokio::test]
    async fn damage_that_cannot_be_passed_is_told() {
        let read = |after, limit| read(after, limit, false);
        let error = go_around(0, 10, read, |_: &mut Position, _| None).await.unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }));
    }

    #[test]
    fn a_row_is_reported_once() {
        let reported = Reported::default();
        let row = |position| Unreadable { partition: partition(), position, reason: String::new() };
        reported.report(&[row(7), row(7)]);
        reported.report(&[row(7), row(8)]);
        assert_eq!(reported.count(), 2);
    }
}
