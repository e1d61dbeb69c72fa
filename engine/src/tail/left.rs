//! What restores have left the log of an incarnation.

use docket_schemas::{Incarnation, Partition, Position};

use crate::cursor::Positions;
use crate::ports::log::IncarnationStart;

/// How far what was read of the log in an incarnation is still in it, by what it says of its `starts`. None where it lists
/// no such incarnation: it was restored from a backup that knows nothing of that one, which may have begun anywhere.
#[must_use]
pub fn left_of(of: &Incarnation, starts: &[IncarnationStart]) -> Option<Positions> {
    if !starts.iter().any(|start| start.incarnation == *of) {
        return None;
    }
    let mut all = Positions::START;
    Partition::all().for_each(|partition| all.set(partition, Position::MAX));
    let later = starts.iter().filter(|start| start.incarnation.number() > of.number());
    Some(later.fold(all, |left, start| left.min(&start.heads)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::drafts::eu;

    #[test]
    fn an_incarnation_that_the_log_does_not_list_has_nothing_left() {
        let start = |number, position| {
            let mut heads = Positions::START;
            Partition::all().for_each(|partition| heads.set(partition, position));
            IncarnationStart { incarnation: eu(number), heads }
        };
        let starts = [start(1, 0), start(3, 130), start(4, 120)];
        let left = |number| left_of(&eu(number), &starts);
        assert_eq!(left(1), Some(start(1, 120).heads));
        assert_eq!(left(2), None);
        assert_eq!(left(3), Some(start(3, 120).heads));
        assert_eq!(left(4), Some(start(4, Position::MAX).heads));
        assert_eq!(left(5), None);
    }
}
