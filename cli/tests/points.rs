//! The replaced system's checklist of what a successor must keep: what of it the schema of the resources holds, as
//! `kr8tiv validate` says it. That the API server judges alike is shown over `tests/validate`: `e2e`, `command_line`.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

use kr8tiv_cli::args::PlatformArguments;
use kr8tiv_cli::input::{Source, judge};
use kr8tiv_cli::validate;
use serde_json::{Value, json};

const VALID: &str = include_str!("validate/valid.yaml");

/// A Harness with what is required and nothing more; what is added at its end is below its spec.
fn harness() -> &'static str {
    VALID.split("---\n").next().unwrap().trim_end()
}

/// Field path and text of each error in an object.
fn errors(object: &Value) -> Vec<(String, String)> {
    let source = Source { text: object.to_string(), ..Source::default() };
    let input = judge(vec![source], "default");
    let found = validate::judge(&input, &PlatformArguments::default().platform());
    let errors = found.into_iter().filter(|problem| problem.severity == kr8tiv_cli::problem::Severity::Error);
    errors.map(|problem| (problem.field, problem.problem)).collect()
}

#[test]
fn point_03_a_slug_keeps_to_its_form_and_required_sections_are_named() {
    let tenant = |slug: &str| {
        json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
            "spec": {"displayName": "Acme", "slug": slug, "harnessRef": {"name": "desk"}},
        })
    };
    let of_slug = |slug: &str| {
        let found = errors(&tenant(slug)).into_iter();
        found.filter(|(field, _)| field == "spec.slug").map(|(_, text)| text).collect::<Vec<_>>()
    };
    for good in ["a", "acme", "acme-2", "0a", &"a".repeat(40)] {
        assert_eq!(of_slug(good), [""; 0], "{good}");
    }
    for bad in ["", "Acme", "-acme", "acme-", "a.b", "a_b", "../b", "a/b", "acme ", "ä", &"a".repeat(41)] {
        assert!(!of_slug(bad).is_empty(), "{bad:?} is taken as a slug");
    }

    let whole: Value = serde_saphyr::from_str(harness()).unwrap();
    let without = |path: &[&str]| {
        let mut object = whole.clone();
        let (last, parents) = path.split_last().unwrap();
        let parent = parents.iter().fold(&mut object, |value, key| &mut value[*key]);
        parent.as_object_mut().unwrap().remove(*last).unwrap();
        errors(&object)
    };
    let required: [&[&str]; 12] = [
        &["spec", "identity"],
        &["spec", "identity", "role"],
        &["spec", "identity", "purpose"],
        &["spec", "identity", "personality"],
        &["spec", "soul"],
        &["spec", "soul", "coreTruths"],
        &["spec", "soul", "vibe"],
        &["spec", "jobFunctions"],
        &["spec", "jobFunctions", "responsibilities"],
        &["spec", "jobFunctions", "successCriteria"],
        &["spec", "models"],
        &["spec", "models", "primary"],
    ];
    for path in required {
        let (field, name) = (path.join("."), path.last().unwrap());
        assert_eq!(without(path), [(field, format!("{name} is required and not set"))]);
    }
}

/// The paths of the fields of a Harness that are wrong with lines added below its spec.
fn of_harness(lines: &str) -> Vec<String> {
    let object = serde_saphyr::from_str(&format!("{}\n  {lines}\n", harness())).unwrap();
    errors(&object).into_iter().map(|(field, _)| field).collect()
}

#[test]
fn point_07_nobody_is_twice_in_the_order_of_recovery() {
    assert_eq!(of_harness("recovery: {order: [a, b]}"), [""; 0]);
    assert_eq!(of_harness("recovery: {order: [a, b, a]}"), ["spec.recovery.order[2]"]);
    assert_eq!(of_harness("recovery: {order: []}"), ["spec.recovery.order"]);
}

#[test]
fn point_08_a_pack_is_named_by_its_key_and_a_number() {
    let reference =
        |pack: &str| of_harness(&format!("coordination: {{url: 'https://mc.example.com', packRef: {pack}}}"));
    assert_eq!(reference("team-pack@12"), [""; 0]);
    for bad in
        ["pack", "'@1'", "pack@", "pack@0", "pack@latest", "pack@1.0", "Pack@1", "pack@1@2", "'pack @1'"]
    {
        assert_eq!(reference(bad), ["spec.coordination.packRef"], "{bad}");
    }
}

#[test]
fn point_14_an_interval_that_is_none_is_refused() {
    let every = |every: &str| {
        let object = json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Agent", "metadata": {"name": "a"},
            "spec": {"tenantRef": {"name": "acme"}, "heartbeat": {"every": every, "prompt": "Look around."}},
        });
        errors(&object).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
    };
    assert_eq!(every("1h30m"), [""; 0]);
    for bad in ["", "soon", "15", "15 m", "-15m", "1d", "m"] {
        assert_eq!(every(bad), ["spec.heartbeat.every"], "{bad:?}");
    }
}
