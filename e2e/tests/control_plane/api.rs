//! The API as the real API server enforces it. The operator has no part in these tests.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::kubectl::kubectl;
use kr8tiv_e2e::manifests::{agent, harness, tenant};
use kr8tiv_e2e::scope::{Kind, Scope};
use kube::Api;
use serde_json::{Value, json};

use crate::context::Context;

pub async fn established(context: &Context) -> Outcome {
    let api: Api<CustomResourceDefinition> = Api::all(context.cluster.client.clone());
    for name in ["harnesses.kr8tiv.ai", "tenants.kr8tiv.ai", "agents.kr8tiv.ai"] {
        let definition = api.get(name).await?;
        let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
        for type_ in ["Established", "NamesAccepted"] {
            let holds = conditions.iter().any(|c| c.type_ == type_ && c.status == "True");
            assert!(holds, "{name} is not {type_}: {conditions:?}");
        }
        // Of a schema that is not structural, the API server prunes nothing and checks little.
        assert!(!conditions.iter().any(|c| c.type_ == "NonStructuralSchema"), "{name}: {conditions:?}");
    }
    Ok(())
}

/// What the schema says of `spec.gateway` and of each field in it, a user can read.
pub async fn explained(context: &Context) -> Outcome {
    let api: Api<CustomResourceDefinition> = Api::all(context.cluster.client.clone());
    let definition = serde_json::to_value(api.get("tenants.kr8tiv.ai").await?)?;
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/gateway";
    let gateway = definition.pointer(schema).ok_or("no schema of spec.gateway")?;
    let fields = gateway["properties"].as_object().ok_or("spec.gateway without fields")?;
    assert!(fields.len() >= 4, "{:?}", fields.keys());
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words(&kubectl(&["explain", "tenants.kr8tiv.ai.spec.gateway"]).await?);
    for (name, described) in fields.iter().map(|(name, field)| (name.as_str(), field)).chain([("", gateway)])
    {
        let description = words(described["description"].as_str().unwrap_or_default());
        assert!(!description.is_empty(), "spec.gateway.{name} has no description");
        assert!(shown.contains(&description), "{description}\nis not in:\n{shown}");
    }
    Ok(())
}

pub async fn unknown_field(context: &Context) -> Outcome {
    let scope = context.scope("api-unknown").await?;
    let mut object = tenant("acme", "concierge");
    object["spec"]["gateway"] = json!({"replicas": 2});
    let error = refusal::<Tenant>(&scope, &object).await;
    assert!(error.contains(".spec.gateway.replicas: field not declared in schema"), "{error}");
    scope.discard().await
}

pub async fn rules_of_new_objects(context: &Context) -> Outcome {
    let scope = context.scope("api-new").await?;
    let mut tools = harness("h");
    tools["spec"]["tools"] = json!({"allow": ["read", "exec"], "deny": ["exec"]});
    let rule = "a tool is in both allow and deny: remove it from one of them";
    refused::<Harness>(&scope, &tools, "spec.tools", rule).await;

    let mut file = harness("h");
    file["spec"]["workspace"] =
        json!({"files": [{"name": "Soul.md", "description": "mine", "content": "x"}]});
    let rule = "this name belongs to a file that the operator or OpenClaw writes: choose another name";
    refused::<Harness>(&scope, &file, "spec.workspace.files[0]", rule).await;

    let long = harness(&"h".repeat(64));
    let rule = "metadata.name must be at most 63 characters: it is used in labels";
    refused::<Harness>(&scope, &long, "<nil>", rule).await;

    let rule = "metadata.name must start with a letter and be a DNS label of at most 40 characters (a-z, 0-9, '-'): the \
                names of the gateway's objects are made from it";
    for name in ["t".repeat(41).as_str(), "acme.eu", "4you"] {
        refused::<Tenant>(&scope, &tenant(name, "concierge"), "<nil>", rule).await;
    }

    let rule = "metadata.name can't serve as the agent's id (a-z, 0-9, '-', at most 40 characters): set spec.agentId";
    for name in ["a".repeat(41).as_str(), "front.desk"] {
        refused::<Agent>(&scope, &agent(name, "acme"), "<nil>", rule).await;
        let mut with_id = agent(name, "acme");
        with_id["spec"]["agentId"] = json!("desk");
        scope.apply::<Agent>(&with_id).await?;
    }
    scope.discard().await
}

const SLUG: &str =
    "slug can't be changed: the tenant's id and volume are named by it; create a new Tenant instead";
const TENANT_ID: &str =
    "tenantId can't be changed: the tenant's volume and memory are found by it; create a new Tenant instead";
const STORAGE_CLASS: &str =
    "storageClassName can't be changed: a volume keeps its class; create a new Tenant and move the data";
const SIZE: &str = "size can only grow: a volume can't be shrunk";
const TENANT_REF: &str = "tenantRef can't be changed: an agent's workspace and conversations belong to its tenant; \
                          create a new Agent instead";
const AGENT_ID: &str =
    "agentId can't be changed: the agent's workspace is named by it; create a new Agent instead";

pub async fn rules_of_changed_objects(context: &Context) -> Outcome {
    let scope = context.scope("api-changed").await?;
    let mut object = tenant("acme", "concierge");
    object["spec"]["slug"] = json!("acme");
    object["spec"]["tenantId"] = json!("acme-0a1b2c3d");
    object["spec"]["gateway"] = json!({"storage": {"size": "10Gi", "storageClassName": "fast"}});
    scope.apply::<Tenant>(&object).await?;
    let storage = "spec.gateway.storage";
    for (path, value, field, rule) in [
        ("/spec/slug", "other", "spec", SLUG),
        ("/spec/tenantId", "acme-ffffffff", "spec", TENANT_ID),
        ("/spec/gateway/storage/storageClassName", "slow", storage, STORAGE_CLASS),
        ("/spec/gateway/storage/size", "9Gi", storage, SIZE),
    ] {
        refused::<Tenant>(&scope, &changed(&object, path, value)?, field, rule).await;
    }
    // What was set before and is not applied any more is removed, and that is a change too.
    for (field, rule) in [("slug", SLUG), ("tenantId", TENANT_ID)] {
        let mut without = object.clone();
        without["spec"].as_object_mut().ok_or("no spec")?.remove(field);
        refused::<Tenant>(&scope, &without, "spec", rule).await;
    }
    // The same size written differently is no change, and growing is allowed.
    for size in ["10240Mi", "11Gi"] {
        scope.apply::<Tenant>(&changed(&object, "/spec/gateway/storage/size", size)?).await?;
    }

    let mut worker = agent("desk", "acme");
    worker["spec"]["agentId"] = json!("desk");
    scope.apply::<Agent>(&worker).await?;
    for (path, value, rule) in
        [("/spec/tenantRef/name", "globex", TENANT_REF), ("/spec/agentId", "front", AGENT_ID)]
    {
        refused::<Agent>(&scope, &changed(&worker, path, value)?, "spec", rule).await;
    }
    scope.discard().await
}

/// The object with another text at a place.
fn changed(object: &Value, path: &str, value: &str) -> Outcome<Value> {
    let mut object = object.clone();
    *object.pointer_mut(path).ok_or("no such place")? = json!(value);
    Ok(object)
}

/// What the API server says when it is asked to store the object. It must say no.
async fn refusal<K: Kind>(scope: &Scope, object: &Value) -> String {
    match scope.apply::<K>(object).await {
        Ok(stored) => panic!("this was stored: {stored:?}"),
        Err(error) => match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => status.message.clone(),
            _ => panic!("not the API server's answer: {error}"),
        },
    }
}

/// The object is refused for this field by this rule and for nothing else.
pub async fn refused<K: Kind>(scope: &Scope, object: &Value, field: &str, rule: &str) {
    let error = refusal::<K>(scope, object).await;
    let expected = format!(" is invalid: {field}: Invalid value: {rule}");
    assert!(error.ends_with(&expected), "{error}\ndoes not end with\n{expected}");
}
