//! Every problem that the compiler names: its code, its place, its words; all of them at once; none for the cause
//! of another.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod document;
mod given;

use cases::cases;
use common::small::with;
use kr8tiv_compiler::CODES;

#[test]
fn a_standard_file_is_never_replaced() {
    let case = with("workspace: {files: [{name: AGENTS.md, description: d, content: mine}]}", "", &[]);
    assert_eq!(case.codes(), ["K8T0306"]);
}

/// A name that the schema lets through is far too short; the limit holds for a Tenant that no API server has seen.
#[test]
fn the_file_about_the_users_has_a_limit_of_its_own() {
    const LIMIT: usize = 4_000;
    let named = |length: usize| {
        let mut case = with("", "", &[]);
        case.tenant.spec.display_name = "x".repeat(length);
        case
    };
    let around = named(1).compile().unwrap().workspaces["main"]["USER.md"].content.len() - 1;
    assert_eq!(named(LIMIT - around).codes(), [""; 0]);
    let text = named(LIMIT - around + 1).compile().unwrap_err().to_string();
    assert!(text.starts_with("Tenant acme, workspace USER.md: the file has 4001 characters,"), "{text}");
}

#[test]
fn a_request_that_is_not_given_fits_below_the_limit() {
    let case = with("", "gateway: {resources: {limits: {cpu: 100m, memory: 1Gi}}}", &[]);
    assert_eq!(case.codes(), [""; 0]);
    let case = with("", "gateway: {resources: {limits: {cpu: 100m}, requests: {cpu: 1}}}", &[]);
    assert_eq!(case.codes(), ["K8T0301"]);
    let case = with("", "gateway: {resources: {limits: {memory: -1}}, storage: {size: 0}}", &[]);
    assert!(case.codes().iter().all(|code| *code == "K8T0301"), "{:?}", case.codes());
}

#[test]
fn each_problem_is_found_alone_and_says_what_to_do() {
    for (code, case, start) in cases() {
        assert_eq!(case.codes(), [code]);
        let text = case.found().to_string();
        assert!(text.starts_with(start), "{code}\n  found: {text}\n  expected: {start}");
    }
}

#[test]
fn every_code_has_a_case() {
    let covered: Vec<_> = cases().iter().map(|(code, ..)| *code).collect();
    let codes: Vec<_> = CODES.iter().map(|code| code.as_str()).collect();
    assert_eq!(covered, codes);
}

#[test]
fn all_problems_at_once() {
    let case = with(
        "",
        "gateway: {version: 2025.1.1, resources: {limits: {memory: 1Mi}}}",
        &[("a", "default: true, model: openai/gpt-5.5"), ("b", "default: true, agentId: a")],
    );
    assert_eq!(case.codes(), ["K8T0003", "K8T0102", "K8T0201", "K8T0202", "K8T0301"]);
}

#[test]
fn the_order_of_agents_changes_no_problem() {
    let mut case =
        with("", "", &[("a", "default: true"), ("b", "default: true, agentId: a"), ("c", "default: true")]);
    let first = case.compile().unwrap_err();
    case.agents.reverse();
    assert_eq!(case.compile().unwrap_err(), first);
}
