//! Going back in a log that turns out to be another than before.

use docket_schemas::{Event, EventId, Partition, Position};

use super::{Shared, left_of, newest};
use crate::cursor::Positions;
use crate::ports::log::{IncarnationStart, LogError};

/// What is held of a partition, in order.
type Known = Vec<(Position, EventId)>;

impl Shared {
    /// The log was restored: what was read beyond the place at which its newest incarnations began is no part of it, nor
    /// what it has another event for.
    pub(super) async fn go_back(&self) -> Result<(), LogError> {
        self.beside.written().forget();
        // First: whoever sees that the log was restored finds the desk in its newest incarnation.
        self.beside.compare().await?;
        let incarnations = self.log.incarnations().await?;
        let kept = self.log.heads().await?.min(&self.heads.borrow());
        let left = self.left(&incarnations);
        let kept = left.map_or(kept, |left| kept.min(&left));
        let kept = self.confirmed(self.listed(kept, &incarnations)).await?;
        if left.is_some() && kept == *self.heads.borrow() {
            *self.incarnation.lock() = newest(&incarnations);
            return Ok(());
        }
        self.restores.send_modify(|restores| *restores += 1);
        self.reported.forget();
        for (partition, head) in kept.iter() {
            self.recent[partition.index()].lock().cut_off(head);
        }
        *self.incarnation.lock() = newest(&incarnations);
        self.heads.send_replace(kept);
        Ok(())
    }

    /// What is left of what is held; none where the log no longer lists its incarnation.
    fn left(&self, incarnations: &[IncarnationStart]) -> Option<Positions> {
        match &*self.incarnation.lock() {
            Some(held) => left_of(held, incarnations),
            None => Some(*self.heads.borrow()),
        }
    }

    /// Before what is held of an incarnation that the log does not list. What follows it there may have been read since from the
    /// log as it now is.
    fn listed(&self, mut kept: Positions, incarnations: &[IncarnationStart]) -> Positions {
        let is_lost = |event: &Event| {
            let (of, mut starts) = (&event.origin.region, incarnations.iter());
            starts.clone().any(|start| start.incarnation.region() == of.region())
                && starts.all(|start| start.incarnation != *of)
        };
        for partition in Partition::all() {
            let recent = self.recent[partition.index()].lock();
            kept.set(partition, recent.before_lost(kept.get(partition), is_lost));
        }
        kept
    }

    /// How far the log has what is held: another node may have gone on with a restored one before anybody noticed, and have
    /// given out positions anew under the old incarnation. What memory no longer holds cannot be compared.
    async fn confirmed(&self, kept: Positions) -> Result<Positions, LogError> {
        let known =
            |partition: Partition, head| self.recent[partition.index()].lock().known_upto(head);
        let known: Vec<(Partition, Known)> =
            kept.iter().map(|(partition, head)| (partition, known(partition, head))).collect();
        let lasts = known.iter().filter_map(|(partition, known)| Some((*partition, known.last()?)));
        let lasts: Vec<_> = lasts.map(|(partition, (at, id))| ((partition, *at), *id)).collect();
        let places: Vec<_> = lasts.iter().map(|(place, _)| *place).collect();
        let there = self.log.standing(&places).await?.event_ids;
        let mut confirmed = kept;
        for (((partition, _), expected), there) in lasts.into_iter().zip(there) {
            if there != Some(expected) {
                let known = &known[partition.index()].1;
                confirmed.set(partition, self.last_confirmed(partition, known).await?);
            }
        }
        Ok(confirmed)
    }

    /// The last place of these that the log confirms, by halves: once two logs have parted they do not come together again.
    async fn last_confirmed(
        &self,
        partition: Partition,
        known: &Known,
    ) -> Result<Position, LogError> {
        let (mut confirmed, mut unknown) = (0, known.len());
        while confirmed < unknown {
            let middle = confirmed + (unknown - confirmed) / 2;
            let (position, expected) = known[middle];
            match self.log.event_id_at(partition, position).await? == Some(expected) {
                true => confirmed = middle + 1,
                false => unknown = middle,
            }
        }
        let before_first = known.first().map_or(0, |(first, _)| first - 1);
        Ok(confirmed.checked_sub(1).map_or(before_first, |last| known[last].0))
    }
}
