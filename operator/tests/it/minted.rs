//! The Secret that the operator makes: completed, rotated once for each value, and never the user's.

use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, harness, tenant};

const ROTATE: &str = "kr8tiv.ai/rotate-token";

fn secret(world: &World, name: &str) -> Value {
    world.api.get("Secret", NAMESPACE, name).unwrap_or_default()
}

fn data(world: &World) -> Value {
    secret(world, "acme-gateway-token")["data"].clone()
}

pub fn rotate(world: &World, value: Option<&str>) {
    world.api.update("Tenant", NAMESPACE, "acme", |tenant| match value {
        Some(value) => tenant["metadata"]["annotations"][ROTATE] = json!(value),
        None => drop(tenant["metadata"].as_object_mut().unwrap().remove("annotations")),
    });
}

fn generation(world: &World) -> Value {
    world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap()["metadata"]["generation"].clone()
}

pub fn on_the_pod(world: &World) -> Value {
    let set = world.api.get("StatefulSet", NAMESPACE, "acme-gateway").unwrap();
    set["spec"]["template"]["metadata"]["annotations"][ROTATE].clone()
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_an_earlier_release_gets_what_it_lacks_and_keeps_its_token() {
    let mut world = World::at_rest().await;
    world.rest().await;
    world.stop().await.unwrap();
    let before = data(&world);
    world.api.update("Secret", NAMESPACE, "acme-gateway-token", |secret| {
        secret["data"].as_object_mut().unwrap().remove("statusToken");
    });
    world.api.forget_requests();
    world.start();
    world.until("the key is there", |world| data(world)["statusToken"].is_string()).await;
    world.rest().await;
    assert_eq!(data(&world)["token"], before["token"]);
    let requests: Vec<_> =
        world.api.requests().into_iter().filter(|seen| seen.resource == "secrets").collect();
    let verbs: Vec<_> = requests.iter().map(|seen| seen.verb).collect();
    assert_eq!(verbs, ["get", "patch", "get"], "and one look for the sandbox's keys");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_rotated_once_for_each_value_and_the_gateway_rolled_once() {
    let mut world = World::at_rest().await;
    world.rest().await;
    let (first, generation_before) = (data(&world), generation(&world));
    rotate(&world, Some("1"));
    world.until("the Pod is told", |world| on_the_pod(world) == "1").await;
    world.rest().await;
    let second = data(&world);
    assert_ne!(second["token"], first["token"]);
    assert_eq!(second["statusToken"], first["statusToken"]);
    assert_eq!(secret(&world, "acme-gateway-token")["metadata"]["annotations"][ROTATE], "1");
    let rolled = generation(&world);
    assert_eq!(rolled.as_i64(), generation_before.as_i64().map(|before| before + 1));

    // Neither a restart nor taking the annotation off again is a reason for another one.
    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    rotate(&world, None);
    world.rest().await;
    world.stop().await.unwrap();
    world.start();
    world.rest().await;
    assert_eq!((data(&world), generation(&world)), (second.clone(), rolled));

    rotate(&world, Some("2"));
    world.until("the Pod is told", |world| on_the_pod(world) == "2").await;
    assert_ne!(data(&world)["token"], second["token"]);
    world.rest().await;
    world.api.forget_requests();
    world.rest().await;
    assert_eq!(world.api.requests(), [], "and then it is at rest");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_was_cut_short_is_not_begun_again() {
    let world = World::at_rest().await;
    world.rest().await;
    world.api.set_fault(|seen| {
        (seen.verb == "patch" && seen.resource == "statefulsets").then_some(http::StatusCode::BAD_GATEWAY)
    });
    let first = data(&world);
    rotate(&world, Some("1"));
    world.until("there is another token", |world| data(world) != first).await;
    let second = data(&world);
    world.rest().await;
    world.api.clear_fault();
    world.until("the Pod is told", |world| on_the_pod(world) == "1").await;
    assert_eq!(data(&world), second);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_users_is_never_touched() {
    let mut world = World::empty();
    let mine = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acme-gateway-token"},
        "data": {"mine": "bWluZQ=="}
    });
    world.api.create(NAMESPACE, mine);
    let before = secret(&world, "acme-gateway-token");
    world.api.create(NAMESPACE, harness("desk"));
    let mut acme = tenant("acme", "desk");
    acme["spec"]["gateway"] = json!({"tokenSecretRef": {"name": "acme-gateway-token", "key": "mine"}});
    acme["metadata"]["annotations"] = json!({ROTATE: "1"});
    world.api.create(NAMESPACE, acme);
    world.start();
    world.until("it is applied", |world| world.reason("Tenant", "acme", "Ready") == "Starting").await;
    world.rest().await;
    assert_eq!(secret(&world, "acme-gateway-token"), before);
    let own = secret(&world, "acme-gateway-status");
    assert_eq!(own["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["statusToken"]);
    assert_eq!(on_the_pod(&world), Value::Null);
    let message = world.message("Tenant", "acme", "Compiled");
    assert!(message.contains("the gateway's token is yours, in Secret acme-gateway-token"), "{message}");
}
