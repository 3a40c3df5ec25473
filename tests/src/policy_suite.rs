//! The pure behaviours of the policy layer, 42 to 46, as plain functions.
//!
//! [`policy_suite!`](macro@crate::policy_suite) hands their names to a macro of the caller, which makes
//! them tests of its own harness: natively, or in a browser. Nothing here needs a thread, a clock
//! or unwinding.

#![expect(missing_docs, reason = "the name of a test says what it shows")]
#![expect(clippy::unwrap_used, reason = "in a test suite a failed unwrap is a failed test")]

mod gates;
mod ids;
mod outcomes;
mod states;
mod stored;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use gates::*;
pub use ids::*;
pub use outcomes::*;
pub use states::*;
pub use stored::*;

/// Hands the name of every test to `$instantiate!`, separated by commas.
#[macro_export]
macro_rules! policy_suite {
    ($instantiate:ident) => {
        $instantiate! {
            b42_evaluate_stops_at_the_first_denial_in_order,
            b42_evaluate_all_collects_every_denial_in_order,
            b42_a_denial_names_its_gate_whatever_the_gate_says,
            b42_a_denial_survives_serde,
            b42_a_gate_set_tells_its_names_and_descriptions,
            b42_an_empty_set_lets_pass_and_its_receipt_says_so,
            b42_a_receipt_carries_the_payload_and_the_names_of_the_gates,
            b42_a_receipt_of_a_weaker_pipeline_is_refused_by_a_stronger_one,
            b42_gates_of_the_same_names_do_not_make_the_same_pipeline,
            b42_a_receipt_from_before_a_gate_was_added_is_refused,
            b42_a_receipt_of_the_set_itself_is_one_of_its_pipeline,
            b42_what_is_judged_as_payload_is_what_is_committed,
            b42_a_commit_keeps_the_names_of_the_gates,
            b42_an_append_carries_the_names_of_the_gates,
            b42_a_failed_commit_tells_why,
            b43_a_bypass_carries_reason_and_justification_to_the_append,
            b43_a_bypass_of_another_pipeline_is_refused,
            b43_a_bypass_without_a_readable_justification_is_refused,
            b44_every_combinator_reaches_nested_batches,
            b44_what_is_not_ok_passes_through_unchanged,
            b44_flatten_takes_one_layer_away,
            b44_zip_follows_the_priorities_and_the_first_wins_ties,
            b44_zip_pairs_batches_and_drops_no_item,
            b44_join_all_gives_all_values_or_the_first_that_is_not_ok,
            b44_join_any_gives_the_first_ok_or_what_may_become_one,
            b44_into_result_and_unwrap_or,
            b44_an_outcome_is_tagged_type_and_data,
            b45_kinds_of_errors_have_classes,
            b45_conditions_and_compensations_survive_formats_without_128_bit_integers,
            b46_two_machines_in_one_module_share_state_names,
            b46_a_machine_can_be_declared_inside_a_function,
            b46_a_transition_becomes_an_append_that_records_its_edge,
            b46_a_transition_keeps_the_options_and_refuses_other_metadata,
            b46_a_typestate_value_advances_along_an_edge,
            b46_a_transition_passes_gates_like_any_proposal,
            b46_code_can_be_generic_over_the_edges,
            b46_macros_need_no_prelude_and_no_import,
            b46_an_entity_id_is_its_namespace_and_a_uuid,
            b46_an_entity_id_of_another_namespace_does_not_parse,
            b46_an_entity_id_survives_serde_and_maps,
            b46_an_entity_id_leads_to_a_coordinate_and_back,
            b42_b43_the_log_tells_who_let_each_event_in,
            b46_the_log_tells_which_edge_an_event_took,
        }
    };
}

/// Through JSON, which has no 128-bit integers, by text and by value, and through postcard.
fn both_formats<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> T {
    let text = serde_json::to_string(value).unwrap();
    let tree = serde_json::to_value(value).unwrap();
    let bytes = postcard::to_allocvec(value).unwrap();
    let read: T = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::from_value::<T>(tree).unwrap(), read);
    assert_eq!(postcard::from_bytes::<T>(&bytes).unwrap(), read);
    read
}
