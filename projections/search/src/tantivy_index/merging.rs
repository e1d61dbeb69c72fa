//! Which segments are merged: small ones among each other, until they are of a size.
//!
//! A question looks at segments side by side, so it takes as long as the largest does. Small ones are merged by levels of their sizes
//! (O'Neil and others, *The Log-Structured Merge-Tree*, 1996), as Tantivy does by default; only what grows large is left alone.

use std::collections::HashMap;

use tantivy::index::{SegmentId, SegmentMeta};
use tantivy::indexer::{LogMergePolicy, MergeCandidate, MergePolicy};

/// A segment of so many documents is large: 30,000 tickets of five.
const LARGE_DOCUMENTS: usize = 150_000;
/// Or of so large a part of all, lest there be hundreds.
const LARGE_SEGMENTS: usize = 32;
/// Share of a segment's documents that may be deleted before it is written anew. In a chat every message replaces its
/// ticket's document, which makes half of a small segment: those go when it is merged with others.
const DELETED_RATIO_MAX: f32 = 0.6;

/// The policy.
#[derive(Debug)]
pub(super) struct EvenSegments {
    small: LogMergePolicy,
}

impl EvenSegments {
    pub(super) fn new() -> Self {
        let mut small = LogMergePolicy::default();
        small.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
        Self { small }
    }
}

impl MergePolicy for EvenSegments {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let documents: HashMap<SegmentId, usize> =
            segments.iter().map(|one| (one.id(), one.num_docs() as usize)).collect();
        let large = LARGE_DOCUMENTS.max(documents.values().sum::<usize>() / LARGE_SEGMENTS);
        let (large_ones, small_ones): (Vec<_>, Vec<_>) =
            segments.iter().cloned().partition(|one| one.max_doc() as usize >= large);
        let mut candidates = self.small.compute_merge_candidates(&small_ones);
        for MergeCandidate(ids) in &mut candidates {
            // No more of a level than make a large one.
            let mut sum = 0;
            ids.retain(|id| {
                let fits = sum < large;
                sum += documents.get(id).copied().unwrap_or(0);
                fits
            });
        }
        let deleted = large_ones
            .iter()
            .filter(|one| one.num_deleted_docs() as f32 > DELETED_RATIO_MAX * one.max_doc() as f32);
        candidates.extend(deleted.map(|one| MergeCandidate(vec![one.id()])));
        candidates
    }
}

#[cfg(test)]
mod tests {
    use tantivy::Index;
    use tantivy::schema::Schema;

    use super::*;

    /// Merges as the policy says until it says nothing, after each new segment of `size` documents.
    fn grown(count: usize, size: u32) -> Vec<u32> {
        let index = Index::create_in_ram(Schema::builder().build());
        let segment = |documents| index.new_segment_meta(SegmentId::generate_random(), documents);
        let (policy, mut segments) = (EvenSegments::new(), Vec::new());
        for _ in 0..count {
            segments.push(segment(size));
            while let Some(MergeCandidate(ids)) = policy.compute_merge_candidates(&segments).pop() {
                assert!(ids.len() > 1, "nothing is deleted, and one alone was merged");
                let (merged, others): (Vec<_>, Vec<_>) =
                    segments.into_iter().partition(|one| ids.contains(&one.id()));
                segments = others;
                segments.push(segment(merged.iter().map(SegmentMeta::max_doc).sum()));
            }
        }
        segments.iter().map(SegmentMeta::max_doc).collect()
    }

    #[test]
    fn segments_stay_few_and_none_grows_beyond_two_large_ones() {
        for size in [700, 20_000, 140_000] {
            let count = 6_000_000 / size as usize;
            let sizes = grown(count, size);
            assert_eq!(sizes.iter().sum::<u32>() as usize, count * size as usize);
            let largest = *sizes.iter().max().unwrap() as usize;
            assert!(largest < 2 * (6_000_000 / LARGE_SEGMENTS), "{size}: {largest}");
            assert!(sizes.len() < 80, "{size}: {} segments", sizes.len());
        }
    }

    #[test]
    fn a_large_segment_is_written_anew_once_most_of_it_is_deleted() {
        let index = Index::create_in_ram(Schema::builder().build());
        let segment = index.new_segment_meta(SegmentId::generate_random(), 1_000_000);
        let policy = EvenSegments::new();
        let candidates = |deleted| {
            let segment = segment.clone().with_delete_meta(deleted, 1);
            policy.compute_merge_candidates(&[segment]).len()
        };
        assert_eq!((candidates(590_000), candidates(610_000)), (0, 1));
    }
}
