//! The genesis: the first change of every ticket, derived and never stored.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpType, SortedVec};
use automerge::{Change, ExpandedChange, ObjType, ScalarValue};
use docket_schemas::{Tenant, TicketId};

use crate::layout::Container;

/// The genesis' actor: 16 zero bytes, which no writer has.
pub const GENESIS_ACTOR: [u8; 16] = [0; 16];

/// The op counter of the genesis' last op.
pub const GENESIS_MAX_OP: u64 = 5;

/// The change that makes every container of a ticket and holds tenant and ticket id, so that no other ticket's
/// change applies to it. Actor, time and key order are fixed: every replica derives the same bytes.
#[must_use]
pub fn genesis(tenant: &Tenant, ticket: TicketId) -> Change {
    let mut operations: Vec<Op> = Container::ALL
        .into_iter()
        .map(|container| root_op(container.name(), OpType::Make(ObjType::Map)))
        .collect();
    let id = ScalarValue::Str(format!("{tenant}/{ticket}").into());
    operations.push(root_op("id", OpType::Put(id)));
    ExpandedChange {
        operations,
        actor_id: GENESIS_ACTOR.into(),
        hash: None,
        seq: 1,
        start_op: NonZeroU64::MIN,
        time: 0,
        message: None,
        deps: Vec::new(),
        extra_bytes: Vec::new(),
        author: None,
    }
    .into()
}

fn root_op(key: &str, action: OpType) -> Op {
    Op {
        action,
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: SortedVec::new(),
        insert: false,
    }
}
