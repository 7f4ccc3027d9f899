//! Tests against a real API server with its garbage collector and StatefulSet controller, and without a node: gateways
//! stay Pending unless a stand-in makes them Ready. The operator runs as a process with the rights of its chart.

mod additions;
mod admission;
mod api;
mod attacks;
mod canaries;
mod command_line;
mod context;
mod crashes;
mod drift;
mod drift_optional;
mod expect;
mod leaks;
mod lifecycle;
mod memory;
mod memory_rounds;
mod neighbour;
mod objects;
mod packs;
mod problems;
mod rbac;
mod recovery;
mod replicas;
mod rest;
mod rules;
mod sandbox;
mod settings;
mod sharing;
mod wrong_agents;
mod wrong_owners;
mod wrong_references;
mod wrong_tokens;

use std::process::ExitCode;
use std::sync::Arc;

use kr8tiv_e2e::suite::{self, Suite};
use libtest_mimic::Arguments;

use crate::context::Context;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let context = match runtime.block_on(Context::create()) {
        Ok(context) => Arc::new(context),
        Err(error) => return failed(&error),
    };
    // Nothing is left out.
    let whole = arguments.filter.is_none() && arguments.skip.is_empty();
    let suite = || Suite::new(runtime.handle().clone(), Arc::clone(&context));
    let side_by_side = suite()
        .test("the_resource_types_are_established", api::established)
        .test("kubectl_explain_shows_the_docs", api::explained)
        .test("an_unknown_field_is_refused", api::unknown_field)
        .test("rules_of_new_objects", api::rules_of_new_objects)
        .test("rules_of_changed_objects", api::rules_of_changed_objects)
        .test("rules_of_harnesses", rules::of_harnesses)
        .test("rules_of_tenants_and_agents", rules::of_tenants_and_agents)
        .test("rules_of_networks_and_environments", rules::of_networks_and_environments)
        .test("validate_agrees_with_the_api_server", command_line::agreement)
        .test("files_are_read_as_kubectl_reads_them", command_line::reading)
        .test("diff_and_compile_know_the_cluster", command_line::cluster)
        .test("examples_apply_as_they_are", objects::examples)
        .test("every_object_of_a_tenant", objects::every_object)
        .test("a_harness_edit_reaches_all_tenants", objects::harness_edit)
        .test("a_tenant_becomes_ready", objects::becomes_ready)
        .test("raw_config_beside_ours", settings::raw_config)
        .test("every_section_of_a_harness", settings::every_section)
        .test("a_harness_shared_with_all", sharing::with_all)
        .test("a_harness_shared_by_label", sharing::by_label)
        .test("a_pack_that_can_not_be_pulled", packs::image_that_can_not_be_pulled)
        .test("wrong_input_harness_not_shared", sharing::with_nobody)
        .test("wrong_input_too_many_agents", settings::too_many_agents)
        .test("wrong_input_widened_tools", settings::widened_tools)
        .test("wrong_input_taken_token", wrong_tokens::taken_token)
        .test("wrong_input_changed_token", wrong_tokens::changed_token)
        .test("wrong_input_missing_harness", wrong_references::missing_harness)
        .test("wrong_input_missing_secret", wrong_references::missing_secret)
        .test("wrong_input_missing_key", wrong_references::missing_key)
        .test("wrong_input_unknown_tenant", wrong_references::unknown_tenant)
        .test("wrong_input_two_defaults", wrong_agents::two_defaults)
        .test("wrong_input_locked_model", wrong_agents::locked_model)
        .test("wrong_input_taken_name", wrong_owners::taken_name)
        .test("wrong_input_taken_id", wrong_owners::taken_id)
        .test("gateways_that_do_not_serve", recovery::of_gateways)
        .test("a_hand_edited_object_is_put_back", drift::edited)
        .test("a_hand_deleted_object_is_put_back", drift::deleted)
        .test("what_only_some_tenants_have_is_put_back", drift_optional::edited)
        .test("what_only_some_tenants_have_is_made_anew", drift_optional::deleted)
        .test("additions_of_a_tenant_are_taken_over", additions::everything)
        .test("a_token_is_rotated_once_for_each_value", additions::rotation)
        .test("sandboxes_of_a_tenant", sandbox::life)
        .test("a_sandbox_for_each_agent", sandbox::for_each_agent)
        .test("fields_of_others_are_left_alone", drift::others_fields)
        .test("deletion_keeps_the_retained_volume", lifecycle::deletion_retains)
        .test("a_restored_volume_is_taken_up", lifecycle::restoration)
        .test("deletion_takes_the_volume_when_asked_to", lifecycle::deletion_deletes)
        .test("suspension_stops_the_gateway", lifecycle::suspension)
        .test("the_tag_of_a_memory_stays", memory::tag)
        .test("attacks_refused_by_the_api_server", attacks::by_api_server)
        .test("attacks_refused_by_the_compiler", attacks::by_compiler)
        .test("attacks_on_what_others_own", attacks::by_guard)
        .test("attacks_that_stay_text", attacks::as_texts)
        .test("attacks_by_webhooks", attacks::of_webhooks)
        .test("attacks_by_files", attacks::by_command_line)
        .test("attacks_by_settings", attacks::by_settings)
        .test("attacks_on_seed", attacks::by_seed)
        .test("attacks_on_what_is_left", attacks::deleted)
        .test("attacks_by_rotation", attacks::rotated)
        .run_side_by_side(&arguments);
    // These count requests, or stop the operator.
    let alone = suite()
        .test("tenants_at_rest_cost_nothing", rest::at_no_cost)
        .test("admission_messages", admission::messages)
        .test("admission_tells_every_problem", problems::told)
        .test("admission_without_a_webhook", admission::down)
        .test("admission_while_certificates_rotate", admission::rotating)
        .test("admission_within_its_rights", admission::traces)
        .test("keys_of_a_sandbox_outlive_a_restart", sandbox::over_a_restart)
        .test("one_of_two_operators_writes_and_the_other_takes_over", replicas::take_over)
        .test("one_that_is_cut_off_writes_no_more", replicas::cut_off)
        .test("killed_between_any_two_writes", crashes::between_any_two_writes)
        .test("the_api_server_gone_for_two_minutes", crashes::api_server_gone)
        .test("memory_over_a_restart", memory_rounds::over_a_restart)
        .test("attacks_by_memory", attacks::of_memory)
        .test("planted_secrets_come_out_nowhere", canaries::nowhere)
        .test("every_status_kept_to_the_conventions", leaks::conventions)
        .test("attacks_on_the_reader", attacks::by_reader)
        .test("attacks_are_all_tried", async move |_: &Context| {
            attacks::listed(whole);
            Ok(())
        })
        .test("no_secret_leaks", leaks::secrets)
        .test("every_right_of_the_operator_is_used", async move |context: &Context| {
            rbac::operator(context, whole).await
        })
        .run_in_order(&arguments);
    runtime.block_on(context.stop());
    suite::finish(side_by_side && alone)
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("the tests could not start: {error}");
    ExitCode::FAILURE
}
