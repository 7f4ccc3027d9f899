//! Tests on a real node with the real OpenClaw: the operator runs as its chart installs it, gateways are containers.
//! In order, one at a time: later tests use the gateways of earlier ones, and the seconds that are printed mean
//! something only when nothing else runs. The faults are two at a time, one of them of a gateway of its own: most of their
//! time is waiting.

mod agents;
mod answers;
mod context;
mod edits;
mod faults;
mod first;
mod gateway;
mod leaks;
mod lifecycle;
mod operator;
mod sandbox;
mod skills;

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
    let suite = || Suite::new(runtime.handle().clone(), Arc::clone(&context));
    let gateways = suite()
        .test("the_operator_runs_restricted", operator::runs_restricted)
        .test("the_first_tenant_becomes_ready", first::becomes_ready)
        .test("its_files_are_regular_and_its_configuration_read_only", first::files)
        .test("its_pod_is_restricted", first::restricted)
        .test("it_answers_at_its_addresses", answers::at_its_addresses)
        .test("the_two_agents_become_ready", agents::become_ready)
        .test("pods_reach_a_gateway_by_its_service_name", answers::by_name)
        .test("an_agent_turn_has_the_compiled_instructions", agents::turn)
        .test("skills_of_a_config_map_and_of_an_image_reach_their_agents", skills::reach_their_agents)
        .test("the_gateway_only_reads_skills", skills::only_read)
        .test("a_missing_pack_of_skills_is_named_and_keeps_nobody_waiting", skills::missing_pack)
        .test("commands_of_each_agent_run_in_its_sandbox", sandbox::commands_of_each_agent)
        .test("ten_workspace_edits_without_a_restart", edits::workspace)
        .test("ten_configuration_edits_without_a_restart", edits::configuration)
        .test("a_turn_after_the_edits_has_the_new_text", agents::turn_after_edits)
        .test("a_harness_that_does_not_compile_leaves_the_gateway_alone", edits::broken)
        .test("a_changed_file_is_put_back", edits::drift)
        .test("commands_of_a_conversation_run_in_the_sandbox", sandbox::commands_run_there)
        .test(
            "commands_of_the_main_session_are_refused_beside_a_sandbox",
            sandbox::commands_of_the_main_session_are_refused,
        )
        .test(
            "commands_of_the_main_session_run_beside_a_sandbox",
            sandbox::commands_of_the_main_session_run_in_the_gateway_if_the_harness_says_so,
        )
        .test("fault_of_a_sandbox_that_is_gone", sandbox::without_it_commands_fail_and_the_gateway_serves)
        .test(
            "fault_of_a_sandbox_with_another_host_key",
            sandbox::another_host_key_is_an_error_until_it_is_mended,
        )
        .test("no_log_has_a_secret", leaks::none_so_far)
        .test("deletion_keeps_the_volume_and_a_successor_finds_it", lifecycle::deletion)
        .run_in_order(&arguments);
    let faults = suite()
        .test("fault_of_a_broken_memory", faults::broken)
        .test("fault_of_a_mistake_in_a_tenant", faults::mistaken)
        // In this order: that it has ended again and again shortly before must not hide that it is frozen.
        .test("fault_of_a_killed_gateway", faults::killed)
        .test("fault_of_a_frozen_gateway", faults::frozen)
        .test("fault_of_a_full_volume", faults::full)
        .test("fault_of_a_model_provider_that_refuses", faults::refuses)
        .test("fault_of_a_revoked_bot", faults::revoked)
        .test("fault_of_a_rejected_configuration", faults::rejected)
        .test("fault_of_a_state_from_a_later_release", faults::newer_state)
        .run_by_twos(&arguments);
    let after = suite().test("no_log_has_a_secret_after_the_faults", leaks::none_of_the_patient);
    let after = after.run_in_order(&arguments);
    suite::finish(gateways && faults && after)
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("the tests could not start: {error}");
    ExitCode::FAILURE
}
