//! The genesis: the first change of every ticket, derived and never stored.

use std::num::NonZeroU64;
use std::sync::OnceLock;

use automerge::legacy::{Key, ObjectId, Op, OpType, SortedVec};
use automerge::{Change, ExpandedChange, ObjType, ScalarValue};
use docket_schemas::canonical::sha256;
use docket_schemas::{ChangeHash, TENANT_CHARS_MAX, Tenant, TicketId};

use crate::layout::Container;

/// The genesis' actor: 16 zero bytes, which no writer has.
pub const GENESIS_ACTOR: [u8; 16] = [0; 16];

/// The op counter of the genesis' last op.
pub const GENESIS_MAX_OP: u64 = 5;

/// The change that makes every container of a ticket and holds tenant and ticket id, so that no other ticket's
/// change applies to it. Actor, time and key order are fixed: every replica derives the same bytes.
#[must_use]
pub fn genesis(tenant: &Tenant, ticket: TicketId) -> Change {
    encode(&id_of(tenant, ticket))
}

/// The hash of [`genesis`], found without encoding it: between ids of one length only the id differs, which stands
/// in the chunk as it is, and the hash covers the chunk behind magic number and checksum.
#[must_use]
pub fn genesis_hash(tenant: &Tenant, ticket: TicketId) -> ChangeHash {
    static CHUNKS: [OnceLock<(Vec<u8>, usize)>; ID_BYTES_MAX + 1] =
        [const { OnceLock::new() }; ID_BYTES_MAX + 1];
    let id = id_of(tenant, ticket);
    let (chunk, start) = CHUNKS[id.len()].get_or_init(|| {
        let chunk = encode(&id).raw_bytes()[UNHASHED_BYTES..].to_vec();
        let start = chunk.windows(id.len()).position(|part| part == id.as_bytes());
        (chunk, start.expect("automerge writes strings as they are"))
    });
    let mut chunk = chunk.clone();
    chunk[*start..start + id.len()].copy_from_slice(id.as_bytes());
    ChangeHash(sha256(&chunk))
}

/// Bytes of the longest id: tenant, a slash, and a UUID.
const ID_BYTES_MAX: usize = TENANT_CHARS_MAX + 1 + 36;

/// Magic number and checksum of a chunk.
const UNHASHED_BYTES: usize = 8;

fn id_of(tenant: &Tenant, ticket: TicketId) -> String {
    format!("{tenant}/{ticket}")
}

fn encode(id: &str) -> Change {
    let mut operations: Vec<Op> = Container::ALL
        .into_iter()
        .map(|container| root_op(container.name(), OpType::Make(ObjType::Map)))
        .collect();
    operations.push(root_op("id", OpType::Put(ScalarValue::Str(id.into()))));
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
