//! The suites that every adapter of a port must pass, whatever it stores in.
//!
//! ```ignore
//! docket_engine::log_contract!(MyHarness::new());
//! docket_engine::keys_contract!(MyHarness::new());
//! ```
//!
//! Each case gets a harness of its own: the expression is evaluated once per test. The caller needs `tokio` with
//! the features `macros` and `rt-multi-thread`.

pub mod append;
pub mod drafts;
pub mod fences;
pub mod keeping;
pub mod keys;
pub mod merges;
pub mod races;
pub mod reads;
pub mod roster;
pub mod round_trip;
pub mod saga_table;
pub mod sagas;
pub mod slots;

use std::sync::Arc;

use async_trait::async_trait;

use crate::ports::keys::KeyStore;
use crate::ports::leases::Leases;
use crate::ports::log::EventLog;
use crate::ports::nodes::Nodes;
use crate::ports::sagas::{Barrier, SagaTable};

/// Makes logs of one kind for one case.
#[async_trait]
pub trait LogHarness: Send + Sync {
    /// An empty log, in which no incarnation has begun. Called once.
    async fn fresh(&self) -> Arc<dyn EventLog>;

    /// The same storage as the fresh log's, over other connections, as another process would open it.
    async fn second_connection(&self) -> Arc<dyn EventLog>;
}

/// Makes key stores of one kind for one case.
#[async_trait]
pub trait KeysHarness: Send + Sync {
    /// An empty key store. Called once.
    async fn fresh(&self) -> Arc<dyn KeyStore>;

    /// The same storage, over other connections.
    async fn second_connection(&self) -> Arc<dyn KeyStore>;
}

/// Makes tables of sagas of one kind for one case.
#[async_trait]
pub trait SagaTableHarness: Send + Sync {
    /// An empty log with its empty table and barrier. Called once.
    async fn fresh(&self) -> (Arc<dyn EventLog>, Arc<dyn SagaTable>, Arc<dyn Barrier>);
}

/// Makes rosters of one kind for one case: who holds what, and who is there.
#[async_trait]
pub trait RosterHarness: Send + Sync {
    /// Empty leases and nodes. Called once.
    async fn fresh(&self) -> (Arc<dyn Leases>, Arc<dyn Nodes>);

    /// The same storage, over other connections.
    async fn second_connection(&self) -> (Arc<dyn Leases>, Arc<dyn Nodes>);

    /// Lets this time pass.
    async fn wait(&self, time: std::time::Duration) {
        tokio::time::sleep(time).await;
    }
}

/// One `#[tokio::test]` for each case that an event log must pass.
#[macro_export]
macro_rules! log_contract {
    ($harness:expr) => {
        $crate::contract_cases! { $harness;
            append::positions_are_gapless_over_all_tenants_and_times_rise
            append::a_clock_that_goes_back_does_not_take_the_times_with_it
            append::a_units_rows_share_one_time
            append::a_duplicate_answers_the_stored_event_and_leaves_no_hole
            append::a_command_twice_in_one_batch_is_stored_once
            append::one_command_of_two_tenants_is_two_events
            append::a_unit_with_one_duplicate_row_writes_none_of_its_rows
            append::a_command_of_an_earlier_incarnation_is_a_duplicate
            append::rows_authored_on_an_older_tail_are_handed_back_with_all_that_follow
            append::a_chained_row_needs_its_predecessor
            append::units_over_several_streams_stand_or_fall_together
            append::a_stored_command_is_a_duplicate_even_behind_a_refused_unit
            append::an_empty_batch_is_no_event
            append::a_batch_of_the_greatest_size_is_written
            fences::an_older_incarnation_is_handed_back_whole
            fences::nothing_is_written_before_an_incarnation_has_begun
            fences::an_older_erasure_epoch_is_handed_back_whole
            fences::a_dot_used_twice_is_not_stored_and_its_neighbours_are
            fences::a_command_twice_in_one_unit_is_not_stored_and_its_neighbours_are
            slots::a_slot_is_taken_held_released_and_free
            slots::a_slot_of_another_tenant_is_another_slot
            slots::one_event_hands_a_slot_on
            slots::a_refused_slot_undoes_the_whole_unit
            slots::slots_follow_the_order_of_the_batch
            races::the_same_commands_in_opposite_order_are_stored_once
            races::a_hundred_slots_have_one_winner_each
            races::writers_of_one_ticket_are_handed_back_never_lost
            races::a_dropped_append_is_whole_or_absent
            sagas::a_sagas_row_and_its_effect_stand_or_fall_together
            sagas::of_two_coordinators_rows_one_is_written
            sagas::a_sagas_row_takes_slots_without_a_change
            sagas::a_sagas_rows_come_back_by_stream_partition_and_command
            reads::streams_are_read_beyond_their_own_positions_in_the_order_asked
            reads::a_page_of_a_stream_is_bounded
            reads::a_partition_is_read_over_all_tenants
            reads::a_reader_sees_each_event_of_its_tenant_once
            reads::a_reader_of_everything_sees_each_event_once
            reads::a_reader_of_a_growing_log_sees_each_event_once
            reads::an_event_is_found_by_its_command_and_by_its_place
            reads::tickets_are_found_by_external_id_oldest_first
            round_trip::an_event_with_every_part_comes_back_as_it_was
            round_trip::an_event_without_optional_parts_comes_back_as_it_was
            round_trip::empty_is_not_absent
            round_trip::every_kind_of_stream_comes_back
            round_trip::odd_texts_and_bytes_come_back_byte_for_byte
            keeping::an_older_snapshot_never_replaces_a_newer
            keeping::incarnations_begin_by_compare_and_set_and_keep_their_heads
            keeping::a_key_store_is_named_once
            keeping::the_erasure_epoch_rises_for_every_connection
            keeping::a_probe_writes_no_event
            merges::a_ticket_is_merged_written_to_and_taken_out_again
            merges::of_two_opposite_merges_at_once_exactly_one_begins
            merges::a_row_beside_a_merge_stands_or_falls_with_it
        }
    };
}

/// One `#[tokio::test]` for each case that a key store must pass.
#[macro_export]
macro_rules! keys_contract {
    ($harness:expr) => {
        $crate::contract_cases! { $harness;
            keys::secrets_are_made_once
            keys::two_nodes_that_start_at_once_agree_on_the_secrets
            keys::a_person_is_found_by_lookup_id_and_key
            keys::the_unknown_are_left_out
            keys::a_person_added_twice_stays_as_first_added
            keys::two_nodes_that_add_one_person_agree
            keys::a_person_without_a_key_is_found_by_id_only_among_the_living
            keys::tenants_do_not_share_persons
        }
    };
}

/// One `#[tokio::test]` for each case that leases and nodes must pass.
#[macro_export]
macro_rules! roster_contract {
    ($harness:expr) => {
        $crate::contract_cases! { $harness;
            roster::a_lease_has_one_holder_until_it_runs_out
            roster::a_released_lease_is_free_at_once
            roster::of_many_at_once_one_holds
            roster::nodes_are_seen_until_they_fall_silent_or_leave
        }
    };
}

/// One `#[tokio::test]` for each case that a table of sagas must pass.
#[macro_export]
macro_rules! saga_table_contract {
    ($harness:expr) => {
        $crate::contract_cases! { $harness;
            saga_table::a_table_is_kept_by_compare_and_set
            saga_table::sagas_that_have_not_ended_are_found_by_partition
            saga_table::sagas_are_listed_page_by_page_and_filtered
            saga_table::sagas_of_a_paused_definition_are_shown_at_rest
            saga_table::paused_definitions_are_told
            saga_table::events_of_sagas_are_read_by_partition
            saga_table::a_barrier_tells_calls_apart
        }
    };
}

/// The loop behind the suites.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_cases {
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
