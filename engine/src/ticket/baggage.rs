//! What a source brings to its target, and what it takes along when it leaves.

use docket_schemas::{CommandId, PersonId, Status, TicketId, UnansweredSource};

use super::{Attachment, FoldError, ShownMessage, Ticket};
use crate::layout::Container;
use crate::resolver::{resolve, unseen_by};

/// What a source brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Baggage {
    /// Its tags.
    pub(crate) tags: Vec<String>,
    /// Its requester and followers.
    pub(crate) followers: Vec<PersonId>,
    /// The messages that it shows: all, and the public ones.
    pub(crate) messages: (u64, u64),
    /// Set where it shows neither `solved`, `pending` nor `closed`.
    pub(crate) unanswered: Option<UnansweredSource>,
}

impl Ticket {
    /// What it brings to a target as it now stands.
    pub(crate) fn baggage(&mut self) -> Result<Baggage, FoldError> {
        let shown = self.resolve()?;
        let settled = matches!(shown.status, Status::Solved | Status::Pending | Status::Closed);
        let mut followers = shown.followers;
        followers.push(shown.requester);
        Ok(Baggage {
            tags: shown.tags,
            followers,
            messages: self.message_counts(),
            unanswered: if settled { None } else { self.unanswered(shown.requester) },
        })
    }

    /// The newest public message of its customers, those of its own sources among them, or else its first message.
    fn unanswered(&self, requester: PersonId) -> Option<UnansweredSource> {
        let person = |message: &ShownMessage| {
            let node = self.graph.named_by(message.command);
            node.and_then(|node| node.principal.person())
        };
        let customers = self.own_messages().filter(|message| {
            let node = self.graph.named_by(message.command);
            message.public && node.is_some_and(|node| self.is_customer_of(node))
        });
        let newest =
            customers.max().or_else(|| self.own_messages().min()).map(|message| UnansweredSource {
                message_id: message.id,
                person_id: person(&message).unwrap_or(requester),
                created_at: message.created_at,
            });
        let brought = self.merges().attached().filter_map(|one| one.unanswered);
        let brought = brought.map(|message| UnansweredSource {
            message_id: message.message,
            person_id: message.person,
            created_at: message.created_at,
        });
        newest.into_iter().chain(brought).max_by_key(|one| (one.created_at, one.message_id))
    }

    /// What it lacks of a source's baggage. What only merges have brought counts as lacking, so that it stays when the
    /// source that brought it first leaves.
    pub(crate) fn lacks(&mut self, baggage: Baggage) -> Result<Baggage, FoldError> {
        self.registers()?;
        let requester = self.facts().map(|facts| facts.requester);
        let mut tags = baggage.tags;
        tags.retain(|tag| self.merges_alone_wrote(Container::Tags, tag));
        let mut followers = baggage.followers;
        followers.sort_unstable();
        followers.dedup();
        followers.retain(|person| {
            Some(*person) != requester
                && self.merges_alone_wrote(Container::Followers, &person.to_string())
        });
        Ok(Baggage { tags, followers, ..baggage })
    }

    /// What of a source's baggage comes back where its leaving is undone: what left with it, and what it had brought that
    /// stands still. What somebody has taken off the ticket before is not the merge's to bring back.
    pub(crate) fn takes_back(&self, source: TicketId, baggage: Baggage) -> Baggage {
        let Some(left) = self.merges().last_left(source) else { return baggage };
        let holds = |container, key: &str| self.settled().holds(container, key);
        let Baggage { mut tags, mut followers, .. } = baggage;
        tags.retain(|tag| {
            left.took_tag(tag) || left.tags.contains(tag) && holds(Container::Tags, tag)
        });
        followers.retain(|person| {
            let stands = || holds(Container::Followers, &person.to_string());
            left.took_follower(person) || left.followers.contains(person) && stands()
        });
        Baggage { tags, followers, ..baggage }
    }

    /// The merge by which a source that has left was here last, where its customers were answered then: they had been before
    /// it came, or whoever set the status that says so did it while the source was here.
    pub(crate) fn answered_with(
        &mut self,
        source: TicketId,
    ) -> Result<Option<CommandId>, FoldError> {
        self.registers()?;
        let Some(left) = self.merges().last_left(source) else { return Ok(None) };
        let status = resolve::<Status>(self, "status");
        let writers = status.and_then(|outcome| outcome.settled_by()).unwrap_or_default();
        let mut copies = writers.iter().flat_map(|writer| self.graph.copies_of(*writer));
        let settled = copies.any(|copy| {
            let mut seen = self.merges().attached_in(&self.graph, copy.everything_seen());
            seen.any(|one| one.command == left.command)
        });
        Ok((settled || left.unanswered.is_none()).then_some(left.merged))
    }

    /// Whether a merge of it has seen all that its customers have said.
    pub(crate) fn is_answered_by(&mut self, merged: CommandId) -> Result<bool, FoldError> {
        self.registers()?;
        Ok(unseen_by(self, &[merged]).is_empty())
    }

    /// The tags and followers that leave with a source: those that merges alone have brought, and no other source that
    /// stays.
    pub(crate) fn leftovers(
        &mut self,
        source: TicketId,
        merged: CommandId,
    ) -> Result<(Vec<String>, Vec<PersonId>), FoldError> {
        self.registers()?;
        let leaves = |one: &&Attachment| one.source == source && one.merged == merged;
        let Some(leaving) = self.merges().attached().find(leaves) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let stays = |held: &dyn Fn(&Attachment) -> bool| {
            self.merges().attached().any(|one| one.command != leaving.command && held(one))
        };
        let written = |container, key: &str| {
            self.settled().holds(container, key) && self.merges_alone_wrote(container, key)
        };
        let tags = leaving
            .tags
            .iter()
            .filter(|tag| written(Container::Tags, tag) && !stays(&|one| one.tags.contains(tag)));
        let followers = leaving.followers.iter().filter(|person| {
            written(Container::Followers, &person.to_string())
                && !stays(&|one| one.followers.contains(person))
        });
        Ok((tags.cloned().collect(), followers.copied().collect()))
    }

    /// Whether nobody but a merge has written an entry that stands; so too where none stands.
    fn merges_alone_wrote(&self, container: Container, key: &str) -> bool {
        self.settled().writers(container, key).all(|command| self.merges().attaches(command))
    }
}
