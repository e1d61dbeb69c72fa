//! The document: a ticket's mutable state in Automerge, brought to life only when a register is needed.

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, Change, ExpandedChange, ObjId, ReadDoc, ScalarValue, Value};
use docket_schemas::{ChangeHash, Draft, Tenant, TicketId};

use crate::genesis::{GENESIS_ACTOR, genesis, genesis_hash};
use crate::graph::ChangeGraph;
use crate::lanes::Placement;
use crate::layout::{Action, Container, Write};

/// A document that Automerge does not take: the log is damaged.
#[derive(Debug, thiserror::Error)]
#[error("automerge refused a stored change")]
pub struct DocumentError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// One of the values that no other write has seen and replaced.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Survivor {
    /// The scalar string.
    pub value: String,
    /// The op counter.
    pub counter: u64,
}

/// A live document and the changes that wait to be applied to it, in one call, when somebody looks.
#[derive(Debug)]
pub struct Document {
    live: Option<Automerge>,
    saved: Option<Vec<u8>>,
    /// Whose it is, until its genesis has been applied.
    unborn: Option<(Tenant, TicketId)>,
    waiting: Vec<Waiting>,
    genesis_hash: ChangeHash,
}

/// A change that is not applied yet. One that writes no register, as a message's, is kept as its bytes: a ticket may
/// gain hundreds of them before anybody looks at a register.
#[derive(Debug)]
enum Waiting {
    Bytes(Box<[u8]>),
    Encoded(Box<Change>),
}

impl Waiting {
    fn read(self) -> Result<Change, DocumentError> {
        match self {
            Self::Bytes(bytes) => {
                Change::try_from(&*bytes).map_err(|error| DocumentError(error.into()))
            }
            Self::Encoded(change) => Ok(*change),
        }
    }
}

impl Document {
    /// The document of a ticket before its first event.
    #[must_use]
    pub fn new(tenant: &Tenant, ticket: TicketId) -> Self {
        let unborn = Some((tenant.clone(), ticket));
        let genesis_hash = genesis_hash(tenant, ticket);
        Self { live: None, saved: None, unborn, genesis_hash, waiting: Vec::new() }
    }

    /// The document as it was saved, loaded only when a register is needed.
    #[must_use]
    pub fn restore(tenant: &Tenant, ticket: TicketId, saved: Vec<u8>) -> Self {
        let genesis_hash = genesis_hash(tenant, ticket);
        Self { live: None, saved: Some(saved), unborn: None, genesis_hash, waiting: Vec::new() }
    }

    /// The document as bytes for [`Document::restore`].
    ///
    /// # Errors
    /// When Automerge refuses a change.
    pub fn save(&mut self) -> Result<Vec<u8>, DocumentError> {
        Ok(self.live()?.save())
    }

    /// The genesis' hash.
    #[must_use]
    pub const fn genesis_hash(&self) -> ChangeHash {
        self.genesis_hash
    }

    /// Whether it takes the memory of a live document.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Takes a change; it is read and applied with others when a register is next read, and refused only then.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.waiting.push(Waiting::Bytes(bytes.into()));
    }

    /// Takes a change that this process encoded.
    pub fn receive_encoded(&mut self, change: Change) {
        self.waiting.push(if change.is_empty() {
            Waiting::Bytes(change.raw_bytes().into())
        } else {
            Waiting::Encoded(Box::new(change))
        });
    }

    /// The document with every change applied.
    ///
    /// # Errors
    /// When Automerge refuses a change.
    pub fn live(&mut self) -> Result<&Automerge, DocumentError> {
        if let Some(saved) = self.saved.take() {
            let loaded = Automerge::load(&saved).map_err(|error| DocumentError(error.into()))?;
            self.live = Some(loaded.with_actor(GENESIS_ACTOR.into()));
        }
        let live =
            self.live.get_or_insert_with(|| Automerge::new().with_actor(GENESIS_ACTOR.into()));
        if let Some((tenant, ticket)) = self.unborn.take() {
            self.waiting.insert(0, Waiting::Encoded(Box::new(genesis(&tenant, ticket))));
        }
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting).into_iter();
            let changes = waiting.map(Waiting::read).collect::<Result<Vec<_>, _>>()?;
            live.apply_changes(changes).map_err(|error| DocumentError(error.into()))?;
        }
        Ok(live)
    }

    /// The surviving values of a key; more than one are truly concurrent.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub fn survivors(
        &mut self,
        container: Container,
        key: &str,
    ) -> Result<Vec<Survivor>, DocumentError> {
        let object = object(container);
        let values =
            self.live()?.get_all(&object, key).map_err(|error| DocumentError(error.into()))?;
        Ok(values.into_iter().filter_map(|(value, id)| survivor(&value, &id)).collect())
    }

    /// The keys of a map that have a value.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub fn keys(&mut self, container: Container) -> Result<Vec<String>, DocumentError> {
        let object = object(container);
        Ok(self.live()?.keys(&object).collect())
    }

    /// Encodes a change of `writes` at its placement. Directly, without a transaction: the op ids and the replaced
    /// ops are what Automerge's own would be, and a change without writes needs no document at all.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub fn encode(
        &mut self,
        graph: &ChangeGraph,
        placement: &Placement,
        writes: &[Write],
        draft: &Draft,
    ) -> Result<Change, DocumentError> {
        let deps: Vec<automerge::ChangeHash> = placement
            .dep_hashes(graph, self.genesis_hash)
            .into_iter()
            .map(|hash| automerge::ChangeHash(hash.0))
            .collect();
        let first = graph.nodes().is_empty();
        let mut operations = Vec::with_capacity(writes.len());
        for write in writes {
            let replaced = if first { Vec::new() } else { self.visible_at(write, &deps)? };
            let action = match &write.action {
                Action::Put(text) => OpType::Put(ScalarValue::Str(text.as_str().into())),
                Action::Delete if replaced.is_empty() => continue,
                Action::Delete => OpType::Delete,
            };
            operations.push(Op {
                action,
                obj: ObjectId::Id(OpId::new(write.container.counter(), &GENESIS_ACTOR.into())),
                key: Key::Map(write.key.clone()),
                pred: replaced.into_iter().collect(),
                insert: false,
            });
        }
        let deps_max = placement.deps_max_op(graph);
        let base = if operations.is_empty() { deps_max } else { graph.max_op().max(deps_max) };
        let start_op = std::num::NonZeroU64::new(base + 1).expect("a number plus one is not zero");
        Ok(ExpandedChange {
            operations,
            actor_id: placement.actor.0.into(),
            hash: None,
            seq: placement.seq,
            start_op,
            time: draft.occurred_at.seconds(),
            message: Some(draft.commitment()),
            deps,
            extra_bytes: Vec::new(),
            author: None,
        }
        .into())
    }

    fn visible_at(
        &mut self,
        write: &Write,
        deps: &[automerge::ChangeHash],
    ) -> Result<Vec<OpId>, DocumentError> {
        let object = object(write.container);
        let values = self
            .live()?
            .get_all_at(&object, write.key.as_str(), deps)
            .map_err(|error| DocumentError(error.into()))?;
        Ok(values
            .into_iter()
            .filter_map(|(_, id)| match id {
                ObjId::Id(counter, actor, _) => Some(OpId::new(counter, &actor)),
                ObjId::Root => None,
            })
            .collect())
    }
}

fn object(container: Container) -> ObjId {
    ObjId::Id(container.counter(), GENESIS_ACTOR.into(), 0)
}

fn survivor(value: &Value<'_>, id: &ObjId) -> Option<Survivor> {
    let ObjId::Id(counter, _, _) = id else { return None };
    let text = value.as_str()?;
    Some(Survivor { value: text.to_owned(), counter: *counter })
}
