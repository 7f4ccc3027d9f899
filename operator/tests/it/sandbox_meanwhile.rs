//! Sandboxes of a tenant while what is asked for is not applied: they go on, and so does what is said of them.

use http::StatusCode;
use kr8tiv_operator::sandbox::{Login, Probed};
use serde_json::json;

use crate::sandbox::{IP, is, probed, ready_since, run, set, told, with_sandbox};
use crate::world::{NAMESPACE, World};

/// A sandbox that works, and a Harness that the compiler refuses.
async fn refused() -> World {
    let world = with_sandbox().await;
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["tools"] = json!({"allow": ["teleport"]});
    });
    world.until("it is refused", |world| is(world, "Compiled") == "False").await;
    assert_eq!(is(&world, "SandboxReady"), "True");
    world
}

fn logged_in(world: &World, at: &str) {
    probed(world, Probed { login: Login::Ok, keys: None, at: Some(at.parse().unwrap()) });
}

#[tokio::test(start_paused = true)]
async fn sandboxes_are_looked_at_while_what_is_asked_for_is_not_applied() {
    let world = refused().await;
    world.api.delete("Pod", NAMESPACE, "acme-sandbox-0");
    told(&world, Login::Unreachable);
    world.until("it is shown", |world| is(world, "SandboxReady") == "False").await;
    let reason = |condition| world.reason("Tenant", "acme", condition);
    assert_eq!((reason("SandboxReady"), reason("Degraded")), ("Unreachable".into(), "Unreachable".into()));
    // The first log-in is placed too early, because its age is told in whole seconds.
    run(&world, &ready_since("2026-01-01T00:01:00Z"));
    logged_in(&world, "2026-01-01T00:00:58Z");
    world.rest().await;
    assert_eq!(is(&world, "SandboxReady"), "False", "it may have been to the Pod before");
    // The same word of a later time is no news, and is seen all the same.
    logged_in(&world, "2026-01-01T00:01:10Z");
    world.until("it heals", |world| is(world, "SandboxReady") == "True").await;
    assert_eq!((is(&world, "Compiled"), is(&world, "Degraded")), ("False".into(), "absent".into()));
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_is_deleted_meanwhile_is_missed() {
    let mut world = refused().await;
    world.api.delete("StatefulSet", NAMESPACE, "acme-sandbox");
    world.api.delete("Pod", NAMESPACE, "acme-sandbox-0");
    world.rest().await;
    assert_eq!(is(&world, "SandboxReady"), "True", "nobody has said otherwise yet");
    told(&world, Login::Unreachable);
    world.until("it is shown", |world| is(world, "SandboxReady") == "False").await;
    assert_eq!(world.reason("Tenant", "acme", "SandboxReady"), "Unreachable");

    // A watchdog that has just started has not tried it yet.
    world.stop().await.unwrap();
    world.watchdogs.change(IP, |health| health.sandboxes.clear());
    world.start();
    world.rest().await;
    assert_eq!(world.reason("Tenant", "acme", "SandboxReady"), "Unreachable");
    world.api.update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["tools"] = json!({}));
    world.until("it is made anew", |world| set(world, "acme-sandbox").is_object()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_asked_for_no_sooner_because_of_a_log_in() {
    let world = with_sandbox().await;
    world.api.set_fault(|seen| {
        (seen.verb == "patch" && seen.resource == "configmaps").then_some(StatusCode::FORBIDDEN)
    });
    world
        .api
        .update("Harness", NAMESPACE, "desk", |harness| harness["spec"]["soul"]["vibe"] = json!("bright"));
    world.until("it is refused", |world| world.reason("Tenant", "acme", "Ready") == "ApplyFailed").await;
    logged_in(&world, "2026-01-01T00:00:58Z");
    run(&world, &ready_since("2026-01-01T00:01:00Z"));
    world.rest().await;
    let before = world.passes();
    world.rest().await;
    assert!(world.passes() - before < 5, "{} passes in ten minutes", world.passes() - before);
}
