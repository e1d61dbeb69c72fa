//! Looking up single events: by command, by place, by an outside id.

use docket_engine::ports::log::LogError;
use docket_schemas::{CommandId, Event, EventId, Partition, Position, Tenant, TicketId};

use crate::event_row::{EVENT_COLUMNS, event, event_columns, get, stored_position};
use crate::failure::{damaged, failed};
use crate::session::Sessions;

/// For each command, in the order asked, the event that was accepted first; none where it is not stored. One that cannot
/// be read leaves the others as they are.
pub(crate) async fn events_of_commands(
    sessions: &Sessions,
    commands: &[(Tenant, Partition, CommandId)],
) -> Result<Vec<Option<Result<Event, LogError>>>, LogError> {
    const QUERY: &str = concat!(
        "SELECT ",
        event_columns!(),
        ", r.number",
        " FROM unnest($1::smallint[], $2::uuid[], $3::text[])",
        " WITH ORDINALITY AS r (partition, command_id, tenant, number)",
        " JOIN docket.event e ON e.command_id = r.command_id AND e.partition + 0 = r.partition",
        " AND e.tenant || '' = r.tenant ORDER BY r.number, e.position"
    );
    let partitions = || commands.iter().map(|(_, partition, _)| i16::from(partition.number()));
    let question = || {
        sqlx::query(QUERY)
            .bind(partitions().collect::<Vec<_>>())
            .bind(commands.iter().map(|(.., command)| command.uuid()).collect::<Vec<_>>())
            .bind(commands.iter().map(|(tenant, ..)| tenant.as_str()).collect::<Vec<_>>())
    };
    let mut found: Vec<_> = commands.iter().map(|_| None).collect();
    for row in sessions.ask(question).await.map_err(failed)? {
        let number = usize::try_from(get::<i64>(&row, EVENT_COLUMNS)?).map_err(damaged)?;
        if let Some(first) = number.checked_sub(1).and_then(|index| found.get_mut(index)) {
            first.get_or_insert_with(|| event(&row));
        }
    }
    Ok(found)
}

pub(crate) async fn event_id_at(
    sessions: &Sessions,
    partition: Partition,
    position: Position,
) -> Result<Option<EventId>, LogError> {
    let query = "SELECT e.event_id FROM docket.event e WHERE e.partition = $1 AND e.position = $2";
    let question = || {
        let question = sqlx::query(query).bind(i16::from(partition.number()));
        question.bind(stored_position(position))
    };
    let rows = sessions.ask(question).await.map_err(failed)?;
    rows.first().map(|row| get(row, 0).map(EventId::new)).transpose()
}

pub(crate) async fn tickets_by_external_id(
    sessions: &Sessions,
    tenant: &Tenant,
    external_id: &str,
    limit: usize,
) -> Result<Vec<TicketId>, LogError> {
    let query = "SELECT e.stream_id FROM docket.event e \
                 WHERE (e.external_id, e.tenant) >= ($2, $1) AND (e.external_id, e.tenant) <= ($2, $1) \
                 AND e.external_id IS NOT NULL AND e.stream_kind = 1 \
                 GROUP BY e.stream_id ORDER BY min(e.recorded_at), e.stream_id LIMIT $3";
    // PostgreSQL's texts hold no NUL, so no stored id does.
    if external_id.contains('\0') {
        return Ok(Vec::new());
    }
    let question = || {
        sqlx::query(query)
            .bind(tenant.as_str())
            .bind(external_id)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    };
    let rows = sessions.ask(question).await.map_err(failed)?;
    rows.iter().map(|row| get(row, 0).map(TicketId::new)).collect()
}
