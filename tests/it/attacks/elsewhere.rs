//! Cases that tests elsewhere prove in full: where they stand. A case may be here and in a table as well;
//! then what is here proves what a socket cannot show.

use std::path::Path;

/// The number, the file, and the names of its tests.
type Held = (u8, &'static str, &'static [&'static str]);

const HELD: &[Held] = &[
    (25, "tests/it/http2.rs", &["heads_with_two_readings_are_refused"]),
    (58, "tests/it/http2.rs", &["rapid_resets_end_the_connection_and_leave_nothing_running"]),
    (
        59,
        "tests/it/http2.rs",
        &["floods_end_the_connection", "streams_that_a_client_makes_us_reset_are_bounded"],
    ),
    (
        60,
        "tests/it/http2.rs",
        &[
            "heads_with_two_readings_are_refused",
            "a_length_that_is_not_that_of_the_body_ends_the_stream",
        ],
    ),
    (
        62,
        "src/token/tests/keys.rs",
        &["every_allowed_algorithm_verifies_and_only_with_the_key_bound_to_it"],
    ),
    (64, "src/token/tests/keys.rs", &["unknown_keys_cause_at_most_one_fetch_in_each_interval"]),
    (65, "src/token/tests/attacks.rs", &["stray_bits_after_the_last_byte_are_seen"]),
    // At ±1 s of the leeway, which needs a clock that stands still.
    (66, "src/token/tests/attacks.rs", &["times_are_judged_to_the_second_at_both_ends"]),
    (
        67,
        "src/config/compile/tests/environment.rs",
        &["a_test_issuer_in_a_variable_is_seen_in_prod"],
    ),
    (
        68,
        "src/token/tests/attacks.rs",
        &["a_token_for_somebody_else_or_bound_to_its_sender_is_refused"],
    ),
    (73, "src/token/tests/subjects.rs", &["an_exchanged_token_proves_what_the_original_did"]),
    (76, "tests/it/faults/pdp.rs", &["no_answer_of_the_pdp_but_one_permit_is_a_permit"]),
    (76, "tests/it/fail_closed.rs", &["every_fault_of_the_configuration_is_no_configuration"]),
    (
        77,
        "tests/it/faults/pdp.rs",
        &[
            "no_answer_of_the_pdp_but_one_permit_is_a_permit",
            "results_that_are_mixed_up_permit_nobody_by_the_result_of_another",
        ],
    ),
    (
        78,
        "tests/it/faults/pdp.rs",
        &[
            "no_answer_of_the_pdp_but_one_permit_is_a_permit",
            "the_table_catches_a_pdp_client_that_reads_capitals_as_a_permit",
        ],
    ),
    (
        80,
        "src/pdp/decisions/tests.rs",
        &["a_permit_ends_with_its_lifetime_and_a_refusal_with_its_own"],
    ),
    (81, "tests/it/faults/pdp.rs", &["an_obligation_that_is_not_met_is_no_permit"]),
    (82, "tests/it/faults/pdp.rs", &["every_fault_of_the_way_to_the_pdp_is_an_outage_and_passes"]),
    (82, "tests/it/faults/tls.rs", &["a_wrong_certificate_is_no_connection"]),
    (
        83,
        "tests/it/faults/pdp.rs",
        &[
            "every_fault_of_the_way_to_the_pdp_is_an_outage_and_passes",
            "a_token_that_the_pdp_no_longer_takes_is_replaced_without_anybody_noticing",
            "a_subscription_key_that_is_refused_costs_no_token",
        ],
    ),
    (
        84,
        "src/pdp/remote/tests/held_back.rs",
        &[
            "retry_after_is_honoured_within_bounds",
            "retry_after_is_kept_to_without_another_exchange",
        ],
    ),
    (
        85,
        "tests/it/faults/maskinporten.rs",
        &["every_fault_of_maskinporten_is_an_outage_and_passes"],
    ),
    (
        86,
        "src/pdp/decisions/tests.rs",
        &[
            "two_questions_share_an_answer_only_if_they_are_equal",
            "questions_that_differ_in_one_field_are_two_calls_and_never_swapped",
        ],
    ),
    (87, "src/token/tests/attacks.rs", &["flipping_any_bit_of_a_good_token_never_gets_in"]),
    (
        88,
        "src/pdp/decisions/tests.rs",
        &[
            "a_step_of_the_wall_clock_lengthens_and_shortens_nothing",
            "each_reader_applies_its_own_lifetime",
        ],
    ),
    (88, "src/token/tests/attacks.rs", &["a_token_dies_in_memory_when_it_does_on_paper"]),
    (89, "src/pdp/decisions/tests.rs", &["faults_and_indeterminate_answers_are_never_held"]),
    (
        90,
        "src/pdp/decisions/tests.rs",
        &[
            "a_caller_that_leaves_ends_nobodys_call",
            "a_panic_is_internal_for_all_who_wait_and_poisons_nothing",
        ],
    ),
    (
        91,
        "src/pdp/decisions/tests.rs",
        &[
            "an_outage_after_the_end_of_a_permit_is_an_outage",
            "a_renewal_that_brings_a_refusal_counts_at_once_and_one_that_fails_changes_nothing",
        ],
    ),
    (
        92,
        "src/config/compile/tests/reload.rs",
        &["answers_outlive_a_reload_unless_it_names_another_pdp_or_another_client"],
    ),
    (93, "src/pdp/cache.rs", &["one_caller_cannot_push_out_the_answers_of_others"]),
    (
        94,
        "tests/it/admin.rs",
        &[
            "on_the_traffic_port_probes_are_ordinary_requests",
            "probes_are_answered_under_every_name_and_never_forwarded",
        ],
    ),
    (95, "src/config/compile/tests.rs", &["a_finding_is_shown_with_its_line"]),
    (96, "src/config/routes/tests.rs", &["rules_that_cannot_stand_together_name_both_places"]),
    (96, "src/route/tests/rules.rs", &["ties_and_rules_that_never_match_are_faults"]),
    (
        97,
        "tests/it/secrets.rs",
        &[
            "nothing_secret_is_shown_whatever_the_peers_answer",
            "a_panic_with_the_question_in_it_names_no_person",
            "diagnostics_of_wrong_secrets_do_not_show_them",
        ],
    ),
    (97, "tests/it/records.rs", &["no_record_holds_a_person_a_token_or_a_query"]),
    (
        98,
        "tests/it/drain.rs",
        &[
            "while_it_waits_it_is_unready_and_serves_everyone_once_a_connection",
            "what_runs_is_finished_and_idle_connections_end",
        ],
    ),
    (98, "tests/it/drain.rs", &["uploads_and_downloads_of_both_protocols_are_finished"]),
    (
        98,
        "tests/it/websocket.rs",
        &[
            "a_websocket_that_is_closed_in_time_ends_the_drain",
            "a_websocket_runs_until_the_grace_is_over_and_is_still_recorded",
        ],
    ),
    // That the API is not reached around the proxy is not looked for yet; that it is not ourselves, is.
    (99, "src/config/compile/tests.rs", &["each_mistake_is_found_at_its_place"]),
    (102, "tests/it/http2.rs", &["heads_with_two_readings_are_refused"]),
    (
        105,
        "tests/it/faults/keys.rs",
        &[
            "every_fault_on_the_way_to_the_keys_is_an_outage_and_passes",
            "wrong_metadata_and_wrong_keys_verify_nothing_and_pass",
        ],
    ),
    (
        106,
        "tests/it/proxy.rs",
        &["a_connection_whose_request_was_answered_early_is_not_used_again"],
    ),
    (
        107,
        "src/pdp/decisions/tests.rs",
        &["questions_that_differ_in_one_field_are_two_calls_and_never_swapped"],
    ),
    (
        108,
        "tests/it/tls_listener.rs",
        &[
            "a_client_certificate_is_demanded_whatever_name_is_asked_for",
            "a_client_hello_in_pieces_meets_the_same_demand",
        ],
    ),
    (
        109,
        "tests/it/proxy/headers.rs",
        &["the_way_here_is_told_by_ourselves_unless_the_peer_is_trusted"],
    ),
];

/// The numbers of the cases of which at least a part is held elsewhere.
pub(super) fn numbers() -> impl Iterator<Item = u8> {
    HELD.iter().map(|(number, ..)| *number)
}

/// Whether there is a test of this name in this file of the project.
pub(crate) fn is_a_test(path: &str, name: &str) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let Some(at) = text.find(&format!("fn {name}(")) else { return false };
    // The attribute stands above, with other attributes between perhaps, and nothing else.
    let above = text[..at].trim_end_matches("async ").trim_end().rsplit("\n\n").next();
    above.is_some_and(|above| above.contains("#[test]") || above.contains("#[tokio::test"))
}

#[test]
fn what_is_held_elsewhere_is_a_test_there() {
    let missing: Vec<String> = HELD
        .iter()
        .flat_map(|(_, path, names)| names.iter().map(move |name| (path, name)))
        .filter(|(path, name)| !is_a_test(path, name))
        .map(|(path, name)| format!("{path}::{name}"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(!is_a_test("src/lib.rs", "no_such_test"));
}
