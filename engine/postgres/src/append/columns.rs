//! A batch's events as one array for each column.

use docket_engine::ports::log::Unit;
use docket_schemas::{CommandId, Draft, Observed, Principal, canonical};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::bookkeeping::rows;

/// Two arguments of the batch, 15 of [`super::Bookkeeping`], 29 columns.
pub(super) const CALL: &str = "SELECT verdict, newest, newest_epoch, heads, base, refused, \
     outcomes, refused_rows, refused_slots, refused_holders FROM docket.append(\
     $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
     $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, \
     $39, $40, $41, $42, $43, $44, $45, $46)";

pub(super) struct Columns<'a> {
    drafts: Vec<&'a Draft>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(units: &'a [Unit]) -> Self {
        Self { drafts: rows(units).map(|(_, row)| &*row.draft).collect() }
    }

    fn each<T>(&self, part: impl Fn(&'a Draft) -> T) -> Vec<T> {
        self.drafts.iter().copied().map(part).collect()
    }

    /// Binds `occurred_ats` to `causation_ids`.
    pub(super) fn bind<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        let query = query
            .bind(self.each(|draft| draft.occurred_at.micros()))
            .bind(self.each(|draft| draft.policy.cast_signed()))
            .bind(self.each(|draft| i16::from(draft.stream.kind.code())))
            .bind(self.each(|draft| draft.schema.cast_signed()))
            .bind(self.each(|draft| i16::from(draft.role.code())))
            .bind(self.each(|draft| draft.public))
            .bind(self.each(|draft| draft.observed == Observed::Given))
            .bind(self.each(|draft| draft.stream.id))
            .bind(self.each(|draft| draft.event_id.uuid()))
            .bind(self.each(|draft| draft.command_id.uuid()))
            .bind(self.each(|draft| draft.tenant.as_str()))
            .bind(self.each(|draft| draft.event_type.as_str()))
            .bind(self.each(|draft| draft.device.as_str()))
            .bind(self.each(|draft| draft.data.as_str()))
            .bind(self.each(|draft| draft.principal.person().map(|person| person.uuid())))
            .bind(self.each(own_name));
        let query = self.bind_change(query);
        query
            .bind(self.each(|draft| draft.request_mac))
            .bind(self.each(|draft| draft.sealed.as_ref().map(|sealed| sealed.key_id.uuid())))
            .bind(self.each(|draft| draft.sealed.as_ref().map(|sealed| &sealed.bytes[..])))
            .bind(self.each(slots))
            .bind(self.each(|draft| draft.external_id.as_deref()))
            .bind(self.each(|draft| draft.correlation_id.map(CommandId::uuid)))
            .bind(self.each(|draft| draft.causation_id.map(CommandId::uuid)))
    }

    fn bind_change<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        query
            .bind(self.each(|draft| draft.change.as_ref().map(|change| change.seq.cast_signed())))
            .bind(
                self.each(|draft| draft.change.as_ref().map(|change| change.max_op.cast_signed())),
            )
            .bind(
                self.each(|draft| {
                    draft.change.as_ref().map(|change| Uuid::from_bytes(change.actor.0))
                }),
            )
            .bind(self.each(|draft| draft.change.as_ref().map(|change| change.hash.0)))
            .bind(self.each(deps))
            .bind(self.each(|draft| draft.change.as_ref().map(|change| &change.bytes[..])))
    }
}

/// The name of one of Docket's own principals.
fn own_name(draft: &Draft) -> Option<&str> {
    match &draft.principal {
        Principal::Person(_) => None,
        Principal::Docket(name) => Some(name),
    }
}

fn deps(draft: &Draft) -> Option<Vec<u8>> {
    let change = draft.change.as_ref()?;
    Some(change.deps.iter().flat_map(|hash| hash.0).collect())
}

fn slots(draft: &Draft) -> Option<String> {
    if draft.slots.is_empty() { None } else { Some(canonical::json(&draft.slots)) }
}
