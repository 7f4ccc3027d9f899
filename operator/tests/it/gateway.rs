//! The way of a configuration into a running gateway, and what is said of the gateway on the way.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{NAMESPACE, World, ready};

fn annotation(world: &World, name: &str) -> Option<String> {
    let pod = world.api.get("Pod", NAMESPACE, "acme-gateway-0")?;
    pod["metadata"]["annotations"][name].as_str().map(str::to_owned)
}

fn edit_harness(world: &World, purpose: &str) {
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["identity"]["purpose"] = json!(purpose);
    });
}

#[tokio::test(start_paused = true)]
async fn ready_is_said_only_when_the_current_configuration_is_delivered() {
    let world = World::with_tenant().await;
    assert_eq!(world.is("Tenant", "acme", "GatewayReady"), "False");
    assert_eq!(world.is("Tenant", "acme", "Reconciling"), "True");
    world.run_pod("acme", "10.0.0.1");
    world.until("it is delivering", |world| world.reason("Tenant", "acme", "Ready") == "Delivering").await;
    assert_eq!(world.is("Tenant", "acme", "GatewayReady"), "True");
    world.watchdogs.deliver("10.0.0.1", &world.bundle_hash("acme"));
    world.until("it serves", |world| world.reason("Tenant", "acme", "Ready") == "Serving").await;
    assert_eq!(world.is("Tenant", "acme", "Reconciling"), "absent");

    let tenant = world.api.get("Tenant", NAMESPACE, "acme").unwrap();
    let (status, generation) = (&tenant["status"], &tenant["metadata"]["generation"]);
    assert_eq!(status["observedGeneration"], *generation);
    for condition in status["conditions"].as_array().unwrap() {
        assert_eq!(condition["observedGeneration"], *generation, "{condition}");
    }
    assert_eq!(status["containerTag"], format!("tenant-{}", status["tenantId"].as_str().unwrap()));
    assert_eq!(status["harness"]["name"], "desk");
    assert_eq!(
        status["gateway"],
        json!({"version": "2026.9.6", "endpoint": "http://acme-gateway.acme.svc:18789"})
    );
    assert_eq!(status["agents"], json!({"desired": 1}));
    let harness = world.api.get("Harness", NAMESPACE, "desk").unwrap();
    assert_eq!(status["harness"]["revision"], harness["status"]["revision"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_harness_reaches_the_pod_without_touching_the_stateful_set() {
    let world = World::at_rest().await;
    world.rest().await;
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap();
    let old = world.bundle_hash("acme");
    world.api.forget_requests();
    edit_harness(&world, "You help a lot.");
    world
        .until("the Pod is told", |world| {
            annotation(world, "kr8tiv.ai/bundle-hash")
                .is_some_and(|hash| hash != old && hash == world.bundle_hash("acme"))
        })
        .await;
    world.watchdogs.deliver("10.0.0.1", &world.bundle_hash("acme"));
    world.until("it serves", |world| world.reason("Tenant", "acme", "Ready") == "Serving").await;
    assert_eq!(world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap(), set);
    let requests: Vec<String> =
        world.api.requests().into_iter().map(|seen| format!("{} {}", seen.verb, seen.resource)).collect();
    let pods = requests.iter().filter(|request| *request == "patch pods").count();
    assert_eq!(pods, 1, "{requests:?}");
    let last_map = requests.iter().rposition(|request| request == "patch configmaps").unwrap();
    let pod = requests.iter().position(|request| request == "patch pods").unwrap();
    assert!(last_map < pod, "the Pod is told when there is something to fetch: {requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_that_missed_it_is_nudged_ever_more_rarely() {
    let world = World::at_rest().await;
    edit_harness(&world, "You help a lot.");
    world.until("a nudge", |world| annotation(world, "kr8tiv.ai/nudge").is_some()).await;
    let first = annotation(&world, "kr8tiv.ai/nudge");
    world.until("another nudge", |world| annotation(world, "kr8tiv.ai/nudge") != first).await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    let nudges = world.api.requests().iter().filter(|seen| seen.resource == "pods").count();
    assert!((8..=11).contains(&nudges), "once a minute: {nudges} in ten minutes");
    world.watchdogs.deliver("10.0.0.1", &world.bundle_hash("acme"));
    world.until("it serves", |world| world.reason("Tenant", "acme", "Ready") == "Serving").await;
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn what_the_watchdog_complains_of_is_said() {
    let world = World::with_tenant().await;
    world.run_pod("acme", "10.0.0.1");
    world.watchdogs.trouble("10.0.0.1", "write openclaw.json: No space left on device");
    world
        .until("it is said", |world| {
            world.message("Tenant", "acme", "Ready").ends_with("write openclaw.json: No space left on device")
        })
        .await;
    assert_eq!(world.reason("Tenant", "acme", "Ready"), "Delivering");
}

#[tokio::test(start_paused = true)]
async fn a_new_pod_is_not_believed_on_the_word_of_the_old_one() {
    let world = World::at_rest().await;
    // The clock of the statuses is the real one.
    world.run_pod_of("acme-gateway", "2100-01-01T00:00:00Z", &ready("10.0.0.2"));
    world.until("it is delivering", |world| world.reason("Tenant", "acme", "Ready") == "Delivering").await;
    world.watchdogs.deliver("10.0.0.2", &world.bundle_hash("acme"));
    world.until("it serves", |world| world.reason("Tenant", "acme", "Ready") == "Serving").await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_a_bad_revision_is_deleted_when_the_template_is_mended() {
    let world = World::with_tenant().await;
    world.run_pod("acme", "10.0.0.1");
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"] = json!({"podIP": "10.0.0.1", "containerStatuses": [{
            "name": "gateway", "image": "gateway:2026.9.6", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
        }]});
    });
    world
        .until("it is said", |world| world.reason("Tenant", "acme", "GatewayReady") == "ImagePullFailed")
        .await;
    let expected = "container gateway: image gateway:2026.9.6 can't be had: not found";
    assert_eq!(world.message("Tenant", "acme", "Ready"), expected);
    world.rest().await;
    assert!(world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_some(), "there is no better revision yet");
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["spec"]["gateway"] = json!({"image": "mirror:1"});
    });
    world
        .until("the template is mended", |world| {
            world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["metadata"]["generation"] == 2
        })
        .await;
    world.set_workload("acme-gateway", &json!(2), "acme-gateway-2", 1);
    world
        .until("the Pod is deleted", |world| world.api.get("Pod", NAMESPACE, "acme-gateway-0").is_none())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_not_mounted_is_told_when_its_minute_is_over() {
    let world = World::with_tenant().await;
    world.run_pod("acme", "10.0.0.1");
    // Of the clock on the wall, which does not jump: a second is left.
    let since = Timestamp::now() - SignedDuration::from_secs(59);
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["spec"]["volumes"] =
            json!([{"name": "state", "persistentVolumeClaim": {"claimName": "acme-state"}}]);
        pod["status"] = json!({"phase": "Pending", "conditions": [{
            "type": "PodReadyToStartContainers", "status": "False", "lastTransitionTime": since.to_string()
        }]});
    });
    let began = Instant::now();
    while world.reason("Tenant", "acme", "GatewayReady") != "ContainerConfigFailed" {
        assert!(began.elapsed() < Duration::from_mins(1), "{:#}", world.conditions("Tenant", "acme"));
        world.rest().await;
    }
    let message = world.message("Tenant", "acme", "Ready");
    assert!(message.contains("a volume (PersistentVolumeClaim acme-state) is not mounted"), "{message}");
    assert!(message.ends_with("kubectl describe pod shows its events, which say more"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_tenant_is_neither_on_its_way_nor_stuck() {
    let world = World::at_rest().await;
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["suspend"] = json!(true));
    world
        .until("the gateway is to stop", |world| {
            world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["spec"]["replicas"] == 0
        })
        .await;
    world.until("it is stopping", |world| world.reason("Tenant", "acme", "Reconciling") == "Suspended").await;
    world.api.delete("Pod", NAMESPACE, "acme-gateway-0");
    world.set_workload("acme-gateway", &json!(2), "acme-gateway-1", 0);
    world.until("it has stopped", |world| world.is("Tenant", "acme", "Reconciling") == "absent").await;
    assert_eq!(world.is("Tenant", "acme", "Stalled"), "absent");
    assert_eq!(world.is("Tenant", "acme", "Ready"), "False");
    assert_eq!(world.reason("Tenant", "acme", "GatewayReady"), "Suspended");
    assert_eq!(world.is("Tenant", "acme", "Suspended"), "True");
    for (kind, name) in [
        ("Secret", "acme-gateway-token"),
        ("NetworkPolicy", "acme-gateway"),
        ("PodDisruptionBudget", "acme-gateway"),
        ("Service", "acme-gateway"),
        ("ConfigMap", "acme-gateway-config"),
    ] {
        assert!(world.api.get(kind, NAMESPACE, name).is_some(), "{kind} {name} stays");
    }
    world.until("it holds nothing up", |world| world.is("Harness", "desk", "Ready") == "True").await;
    world.rest().await;
    world.api.forget_requests();
    world.force_pass("acme", "now").await;
    assert_eq!(world.api.requests(), []);
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["suspend"] = json!(false));
    world
        .until("the gateway is to start", |world| {
            world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["spec"]["replicas"] == 1
        })
        .await;
    world.until("it is no more suspended", |world| world.is("Tenant", "acme", "Suspended") == "absent").await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_deleted_under_a_running_gateway_is_found_missing_when_it_is_needed() {
    let mut world = World::with_tenant().await;
    world.api.delete("Secret", NAMESPACE, "acme-gateway-token");
    world.serve("acme", "10.0.0.1").await;
    assert!(world.api.get("Secret", NAMESPACE, "acme-gateway-token").is_none(), "nobody needs it yet");
    world.rest().await;
    world.api.update("Pod", NAMESPACE, "acme-gateway-0", |pod| {
        pod["status"] = json!({"podIP": "10.0.0.1", "containerStatuses": [{
            "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret not found"}}
        }]});
    });
    world
        .until("it is made anew", |world| world.api.get("Secret", NAMESPACE, "acme-gateway-token").is_some())
        .await;
}
