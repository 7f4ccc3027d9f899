//! Packs of skills that can't be had: the gateway runs without them, and a condition says so.

use kr8tiv_compiler::PluginSource;
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, harness, tenant};

pub const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
const PLUGINS: &str = "registry.example.com/plugins:1";
const POD: &str = "acme-gateway-0";

pub fn image_pack(digest: &str) -> Value {
    let image = json!({"reference": "registry.example.com/skills/base", "digest": digest});
    json!({"name": "base", "skills": ["refunds"], "source": {"image": image}})
}

/// A running operator and an applied tenant whose Harness has these packs.
pub async fn with_packs(packs: Value) -> World {
    let mut world = World::empty();
    let mut harness = harness("desk");
    harness["spec"]["skills"] = json!({"packs": packs});
    world.api.create(NAMESPACE, harness);
    world.api.create(NAMESPACE, tenant("acme", "desk"));
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world
}

fn set_packs(world: &World, packs: &Value) {
    world.api.update("Harness", NAMESPACE, "desk", |harness| {
        harness["spec"]["skills"] = json!({"packs": packs});
    });
}

/// A running operator that has plugins from an image, and an applied tenant that needs one.
async fn with_plugin_image() -> World {
    let mut world = World::empty();
    world.plugins = PluginSource::Image { reference: PLUGINS.into() };
    let mut harness = harness("desk");
    harness["spec"]["channels"] = json!({"allow": ["whatsapp"]});
    world.api.create(NAMESPACE, harness);
    let mut tenant = tenant("acme", "desk");
    tenant["spec"]["channels"] = json!({"whatsapp": {"accounts": [{"name": "default"}]}});
    world.api.create(NAMESPACE, tenant);
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world
}

fn init_containers(world: &World) -> Vec<String> {
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap();
    let containers = set["spec"]["template"]["spec"]["initContainers"].as_array().unwrap().clone();
    containers.iter().map(|container| container["name"].as_str().unwrap().to_owned()).collect()
}

fn has(world: &World, container: &str) -> bool {
    init_containers(world).iter().any(|name| name == container)
}

fn has_pack(world: &World) -> bool {
    has(world, "skills-base")
}

/// Does what kubelet does with an image that it can't pull.
pub fn fail_to_pull(world: &World, words: &str) {
    fail_to_pull_image_of(world, "skills-base", words);
}

fn fail_to_pull_image_of(world: &World, name: &str, words: &str) {
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap();
    let containers = set["spec"]["template"]["spec"]["initContainers"].as_array().unwrap();
    let image = containers.iter().find(|container| container["name"] == name).unwrap()["image"].clone();
    world.run_pod("acme", "10.0.0.1");
    world.api.update("Pod", NAMESPACE, POD, |pod| {
        pod["status"] = json!({"podIP": "10.0.0.1", "initContainerStatuses": [{
            "name": name, "image": image, "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": words}}
        }]});
    });
}

/// Does what the StatefulSet controller does after a change of the template, but for the Pod.
fn observe_template(world: &World) {
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap();
    let generation = set["metadata"]["generation"].clone();
    world.set_workload("acme-gateway", &generation, &format!("acme-gateway-{generation}"), 1);
}

/// The gateway comes up without the pack.
pub async fn goes_without(world: &mut World) {
    goes_without_container(world, "skills-base").await;
}

async fn goes_without_container(world: &mut World, name: &str) {
    world.until("the template is without it", |world| !has(world, name)).await;
    observe_template(world);
    world.until("the stuck Pod is gone", |world| world.api.get("Pod", NAMESPACE, POD).is_none()).await;
    world.serve("acme", "10.0.0.2").await;
}

#[tokio::test(start_paused = true)]
async fn what_the_containers_report_is_a_condition() {
    let config_map = |name: &str| json!({"name": name, "skills": [format!("{name}-skill")], "source": {"configMap": {"name": name}}});
    let mut world = with_packs(json!([config_map("refunds"), config_map("tone")])).await;
    assert_eq!(world.is("Tenant", "acme", "SkillsReady"), "Unknown");
    assert_eq!(world.reason("Tenant", "acme", "SkillsReady"), "Starting");
    world.serve("acme", "10.0.0.1").await;
    let report = |problem: Value| {
        let said = |name: &str, problem: &Value| {
            let message = json!({"packs": [{"name": name, "problem": problem}]}).to_string();
            json!({"name": format!("skills-{name}"), "image": "watchdog:1", "imageID": "", "ready": true,
                   "restartCount": 0, "state": {"terminated": {"exitCode": 0, "message": message}}})
        };
        let statuses = [said("refunds", &problem), said("tone", &Value::Null)];
        world
            .api
            .update("Pod", NAMESPACE, POD, |pod| pod["status"]["initContainerStatuses"] = json!(statuses));
    };
    report(json!("refunds/SKILL.md is missing"));
    world.until("it is shown", |world| world.is("Tenant", "acme", "SkillsReady") == "False").await;
    assert_eq!(world.reason("Tenant", "acme", "SkillsReady"), "SkillPackUnavailable");
    assert_eq!(
        world.message("Tenant", "acme", "SkillsReady"),
        "the gateway runs without the pack refunds: refunds/SKILL.md is missing"
    );
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True", "the gateway serves all the same");
    report(Value::Null);
    world.until("all is well", |world| world.is("Tenant", "acme", "SkillsReady") == "True").await;
    set_packs(&world, &json!([]));
    world.until("nothing to say", |world| world.is("Tenant", "acme", "SkillsReady") == "absent").await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_can_not_be_pulled_is_left_out_for_good() {
    let mut world = with_packs(json!([image_pack(DIGEST)])).await;
    assert!(has_pack(&world));
    fail_to_pull(&world, "not found");
    goes_without(&mut world).await;
    assert_eq!(world.is("Tenant", "acme", "SkillsReady"), "False");
    let message = world.message("Tenant", "acme", "SkillsReady");
    assert_eq!(
        message,
        format!(
            "the gateway runs without the pack base: image registry.example.com/skills/base@{DIGEST} can't be had: not \
             found; to try again, give the Tenant's annotation kr8tiv.ai/retry-images a new value"
        )
    );

    // Neither time nor a restart nor another Pod brings it back.
    world.rest().await;
    let before = world.conditions("Tenant", "acme");
    world.stop().await.unwrap();
    world.api.forget_requests();
    world.start();
    world.rest().await;
    let writes: Vec<_> = world.api.requests().into_iter().filter(|seen| seen.verb != "get").collect();
    assert_eq!((writes, world.conditions("Tenant", "acme")), (vec![], before));
    world.serve("acme", "10.0.0.3").await;
    assert!(!has_pack(&world));
    assert_eq!(world.message("Tenant", "acme", "SkillsReady"), message);
}

#[tokio::test(start_paused = true)]
async fn another_image_is_tried() {
    let mut world = with_packs(json!([image_pack(DIGEST)])).await;
    fail_to_pull(&world, "not found");
    goes_without(&mut world).await;
    set_packs(&world, &json!([image_pack(OTHER)]));
    world.until("the pack is back", has_pack).await;
    let tenant = world.api.get("Tenant", NAMESPACE, "acme").unwrap();
    assert_eq!(tenant["status"]["images"], Value::Null);
    world
        .until("nothing is known of it", |world| world.is("Tenant", "acme", "SkillsReady") == "Unknown")
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_annotation_has_it_tried_once_again() {
    let mut world = with_packs(json!([image_pack(DIGEST)])).await;
    fail_to_pull(&world, "not found");
    goes_without(&mut world).await;
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| {
        tenant["metadata"]["annotations"]["kr8tiv.ai/retry-images"] = json!("1");
    });
    world.until("the pack is back", has_pack).await;
    fail_to_pull(&world, "still not found");
    goes_without(&mut world).await;
    assert!(world.message("Tenant", "acme", "SkillsReady").contains("can't be had: still not found;"));
    world.rest().await;
    assert!(!has_pack(&world), "one value, one try");
}

#[tokio::test(start_paused = true)]
async fn an_image_of_plugins_that_can_not_be_pulled_keeps_no_gateway_down() {
    let mut world = with_plugin_image().await;
    assert!(has(&world, "plugin-packages"));
    fail_to_pull_image_of(&world, "plugin-packages", "not found");
    goes_without_container(&mut world, "plugin-packages").await;
    let report = json!({"plugins": [{"channel": "whatsapp", "problem": "npm can't get it: ENOTCACHED"}]});
    world.api.update("Pod", NAMESPACE, POD, |pod| {
        pod["status"]["initContainerStatuses"] = json!([{
            "name": "plugins", "image": "gateway:1", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "message": report.to_string()}}
        }]);
    });
    world.until("it is shown", |world| world.is("Tenant", "acme", "PluginsReady") == "False").await;
    assert_eq!(
        world.message("Tenant", "acme", "PluginsReady"),
        format!(
            "the gateway runs without the plugin of channel whatsapp: image {PLUGINS} can't be had: not found; to try \
             again, give the Tenant's annotation kr8tiv.ai/retry-images a new value"
        )
    );
    world.rest().await;
    assert_eq!(world.is("Tenant", "acme", "Ready"), "True", "the gateway serves all the same");
    assert!(!has(&world, "plugin-packages"));
}
