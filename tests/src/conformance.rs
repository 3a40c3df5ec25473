//! The conformance suite: what every backend must do, as plain functions named by behaviour.
//!
//! Each takes a [`Backend`] without files and panics where the behaviour is broken. Nothing here
//! needs threads, a clock of its own or the file system, so the same functions run natively and
//! in a browser's worker; nothing awaits, and few files are open at a time. What only a
//! simulated disk can show (power cuts, every fault) is in `crash`, exhaustive damage in
//! `corruption`.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a test hands its backend over, so that nobody else has its files open"
)]

mod append;
mod backup;
mod batch;
mod damage;
mod faults;
mod faulty;
mod host;
mod idempotency;
mod query;
mod read;
mod reopen;
mod store;
mod toolkit;

pub use append::*;
pub use backup::*;
pub use batch::*;
pub use damage::*;
pub use faults::*;
pub use faulty::{Call, Faults, Faulty, FaultyFile};
pub use host::TestHost;
pub use idempotency::*;
pub use query::*;
pub use read::*;
pub use reopen::*;
pub use toolkit::*;

use annals_core::{MemoryStorage, Storage};

/// What the suite runs on: somewhere to keep files, empty at first.
pub trait Backend {
    /// The storage under test.
    type Storage: Storage;

    /// The same files each time. A caller has dropped what it opened before.
    fn storage(&self) -> Self::Storage;

    /// The same files for reading only, while a writer has them open; `None` where the host
    /// does not allow that.
    fn storage_beside(&self) -> Option<Self::Storage> {
        None
    }
}

impl Backend for MemoryStorage {
    type Storage = MemoryStorage;

    fn storage(&self) -> MemoryStorage {
        self.clone()
    }

    fn storage_beside(&self) -> Option<MemoryStorage> {
        Some(self.clone())
    }
}

/// Hands the suite and the names of its functions to a macro that makes tests of them.
///
/// `conformance_tests!(instantiate, backend)` expands to
/// `instantiate!(backend, annals_tests::conformance, [b01_.., b02_.., ..]);`. The macro writes
/// one test for each name that calls `conformance::name(backend)`, with `#[test]`,
/// `#[wasm_bindgen_test]` or whatever its platform asks for; `backend` is an expression, so that
/// every test gets a fresh one.
#[macro_export]
macro_rules! conformance_tests {
    ($instantiate:ident, $backend:expr) => {
        $instantiate!(
            $backend,
            $crate::conformance,
            [
                b01_an_event_comes_back_byte_for_byte,
                b01_events_of_any_allowed_size_come_back,
                b01_what_exceeds_a_limit_is_refused,
                b02_sequences_and_versions_count_from_zero,
                b03_an_append_correlates_with_itself,
                b03_a_reaction_keeps_what_it_was_given,
                b04_a_wrong_version_is_refused_and_writes_nothing,
                b05_of_two_appends_on_one_version_one_wins,
                b06_a_replay_returns_the_original_receipt,
                b06_a_replay_is_known_before_any_version_check,
                b06_a_key_with_another_event_is_a_conflict,
                b06_a_key_is_made_from_any_string,
                b06_a_replay_is_known_within_one_commit,
                b06_a_batch_is_replayed_whole,
                b06_a_batch_with_a_known_key_and_other_items_is_a_conflict,
                b07_a_refused_item_refuses_the_batch,
                b07_readers_see_a_batch_whole_or_not,
                b07_a_discarded_group_leaves_nothing,
                b07_a_group_is_visible_behind_its_sync,
                b11_a_group_whose_sync_failed_takes_along_what_was_staged_behind_it,
                b07_items_have_options_of_their_own,
                b07_an_item_may_name_an_earlier_item_as_its_cause,
                b07_a_batch_that_contradicts_itself_is_refused,
                b07_a_batch_never_spans_two_segments,
                b07_a_full_group_asks_for_a_commit,
                b08_a_condition_is_checked_against_all_before_it,
                b09_reserved_kinds_cannot_be_appended,
                b10_the_clock_only_rises,
                b11_a_failed_write_leaves_the_store_as_it_was,
                b11_a_failed_cut_is_made_up_for,
                b11_a_failed_sync_poisons_the_writer,
                b11_a_failed_rotation_leaves_the_store_as_it_was,
                b11_a_failed_seal_does_not_hide_later_events,
                b11_a_read_error_is_no_end_of_file,
                b11_a_failed_append_may_be_tried_again,
                b12_acknowledged_events_are_there_without_a_close,
                b15_an_unknown_id_is_not_found,
                b16_entity_filters_respect_their_borders,
                b17_a_scope_matches_only_its_own_events,
                b18_kind_filters_match_exactly,
                b18_ranges_are_inclusive,
                b18_filters_and_together,
                b19_results_come_lazily_in_sequence_order,
                b20_a_reader_keeps_its_prefix,
                b21_ancestors_are_walked_newest_first,
                b22_every_event_names_the_hash_of_the_one_before,
                b33_opening_again_gives_the_same,
                b33_a_clean_close_leaves_nothing_to_recover,
                b34_opening_five_times_leaves_no_new_file,
                b35_a_reader_opens_beside_a_writer,
                b35_a_reader_repairs_nothing,
                b36_a_torn_tail_is_cut_and_reported,
                b36_a_lost_padding_costs_nothing,
                b36_a_flipped_bit_is_never_returned,
                b36_damage_before_a_vouching_frame_is_corruption,
                b36_damage_before_a_frame_that_was_staged_ahead_is_corruption,
                b36_damage_behind_a_clean_close_is_corruption,
                b36_a_damaged_index_is_rebuilt_and_reported,
                b36_a_wrong_magic_is_corruption,
                b36_a_newer_format_is_told_from_damage,
                b36_a_half_made_segment_is_removed_and_reported,
                b36_a_missing_segment_is_corruption,
                b36_swapped_segments_are_corruption,
                b36_a_copy_under_another_number_is_corruption,
                b36_a_segment_of_another_store_is_corruption,
                b36_a_sealed_segment_that_lost_its_end_is_corruption,
                b36_the_newest_segment_does_without_its_footer,
                b36_a_preallocated_end_is_no_torn_tail,
                b38_a_backup_gives_the_same_store,
                b38_a_backup_continues_an_earlier_one,
                b38_a_whole_backup_goes_into_an_empty_place_only,
                b40_coordinates_are_checked_and_shown,
                b40_kinds_are_shown_in_hex,
                b40_ids_are_uuids_of_version_7,
                b41_positions_compare_within_a_branch,
            ]
        );
    };
}
