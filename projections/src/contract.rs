//! The suite that every store of the tickets view must pass, whatever it stores in.
//!
//! ```ignore
//! docket_projections::view_contract!(MyHarness::new());
//! ```
//!
//! Each case gets a harness of its own. The caller needs `tokio` with the features `macros` and `rt-multi-thread`.

pub mod lists;
pub mod mending;
pub mod rebuilds;
pub mod repairs;
pub mod rows;
pub mod sample;
pub mod versions;
mod watched;
mod world;
pub mod writes;

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::ViewStore;

/// Makes stores of one kind for one case.
#[async_trait]
pub trait ViewHarness: Send + Sync {
    /// An empty store. Called once.
    async fn fresh(&self) -> Arc<dyn ViewStore>;

    /// The same storage, over other connections, as another process would open it.
    async fn second_connection(&self) -> Arc<dyn ViewStore>;
}

/// One `#[tokio::test]` for each case that a store must pass.
#[macro_export]
macro_rules! view_contract {
    ($harness:expr) => {
        $crate::view_contract_cases! { $harness;
            writes::a_new_store_is_active_empty_and_at_the_beginning
            writes::a_row_is_listed_and_counted_with_its_checkpoint
            writes::a_row_that_changes_moves_its_counters
            writes::a_lower_row_never_overwrites_a_higher
            writes::a_batch_worked_out_on_another_checkpoint_changes_nothing
            writes::of_two_feeders_of_one_partition_one_is_fenced
            writes::a_ticket_is_parked_until_it_has_a_row
            rows::a_row_comes_back_as_it_was
            rows::odd_texts_come_back_as_they_were
            lists::every_filter_sort_and_page_answers_like_a_plain_loop
            lists::what_changes_again_and_again_is_listed_like_all_else
            lists::a_customer_gets_own_tickets_and_their_public_values
            lists::tenants_do_not_see_each_other
            lists::a_count_beyond_the_limit_says_so
            versions::a_version_fills_beside_the_active_one_and_is_switched_to_at_once
            versions::a_version_that_is_behind_or_unfilled_is_not_switched_to
            versions::a_version_that_was_not_compared_is_not_kept
            versions::the_version_before_can_be_gone_back_to
            versions::a_dropped_version_fences_its_feeders
            versions::positions_belong_to_an_incarnation_by_compare_and_set
            mending::what_was_changed_by_hand_or_is_too_much_is_mended
            mending::a_mending_on_another_checkpoint_changes_nothing
            mending::an_event_that_cannot_be_read_stays_noted_until_it_is_read
            repairs::a_partition_that_is_written_to_all_the_while_is_mended
            repairs::a_ticket_that_is_written_to_while_it_is_mended_has_all_its_events
            repairs::what_is_written_while_a_partition_is_compared_is_no_difference
            repairs::a_view_that_has_gone_back_is_fed_again_without_an_event
            rebuilds::a_rebuild_with_a_wrong_row_leaves_nothing_to_go_back_to
            rebuilds::a_rebuild_that_has_lost_a_row_is_not_switched_to
        }
    };
}

/// The loop behind the suite.
#[doc(hidden)]
#[macro_export]
macro_rules! view_contract_cases {
    ($harness:expr; $($room:ident :: $case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let harness = $harness;
                $crate::contract::$room::$case(&harness).await;
            }
        )*
    };
}
