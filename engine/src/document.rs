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

/// A document and the changes that wait, as bytes, to be applied to it in one call when somebody looks. While every change has
/// seen all before it nobody does: what stands is known without.
#[derive(Debug)]
pub struct Document {
    live: Option<Automerge>,
    saved: Option<Vec<u8>>,
    /// Whose it is, until its genesis has been applied.
    unborn: Option<(Tenant, TicketId)>,
    waiting: Vec<Box<[u8]>>,
    genesis_hash: ChangeHash,
}

/// Which op a write replaces: known without the document where one value stands at most, and all of it was seen.
pub(crate) type Standing<'a> = &'a dyn Fn(&Write) -> Option<Option<OpId>>;

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
        self.waiting.push(bytes.into());
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
        let first = self.unborn.take().map(|(tenant, ticket)| genesis(&tenant, ticket));
        if first.is_some() || !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            let mut changes = Vec::with_capacity(waiting.len() + 1);
            changes.extend(first);
            for bytes in &waiting {
                let read = Change::try_from(&**bytes);
                changes.push(read.map_err(|error| DocumentError(error.into()))?);
            }
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
    /// ops are what Automerge's own would be. The document is looked at for writes of which `standing` does not know what they replace.
    ///
    /// # Errors
    /// When the document cannot be brought to life.
    pub(crate) fn encode(
        &mut self,
        graph: &ChangeGraph,
        placement: &Placement,
        (writes, standing): (&[Write], Standing<'_>),
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
            let replaced = match standing(write) {
                _ if first => Vec::new(),
                Some(known) => known.into_iter().collect(),
                None => self.visible_at(write, &deps)?,
            };
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
