//! The smallest objects of each kind, for tests to vary. Pure.

use serde_json::{Value, json};

/// The model of [`harness`].
pub const MODEL: &str = "anthropic/claude-sonnet-4-6";

/// A Harness that compiles.
pub fn harness(name: &str) -> Value {
    json!({
        "apiVersion": "kr8tiv.ai/v1alpha1",
        "kind": "Harness",
        "metadata": {"name": name},
        "spec": {
            "identity": {
                "role": "tester",
                "purpose": "You stand in for the agents that people will run.",
                "personality": "Exact."
            },
            "soul": {"coreTruths": ["What is not measured is not known."], "vibe": "Dry."},
            "jobFunctions": {
                "responsibilities": ["Answer what is asked."],
                "successCriteria": ["The answer is right."]
            },
            "channels": {"allow": ["telegram"]},
            "models": {"primary": MODEL}
        }
    })
}

/// A Tenant that uses a Harness and needs nothing else.
pub fn tenant(name: &str, harness: &str) -> Value {
    json!({
        "apiVersion": "kr8tiv.ai/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"displayName": name, "harnessRef": {"name": harness}}
    })
}

/// A Tenant with a Telegram bot whose token is in the Secret `secret` under the key `token`.
pub fn tenant_with_bot(name: &str, harness: &str, secret: &str) -> Value {
    let mut object = tenant(name, harness);
    object["spec"]["channels"] = json!({"telegram": {"accounts": [{
        "botTokenSecretRef": {"name": secret, "key": "token"},
        "groupAllowFrom": ["1001"]
    }]}});
    object
}

/// An Agent of a Tenant.
pub fn agent(name: &str, tenant: &str) -> Value {
    json!({
        "apiVersion": "kr8tiv.ai/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name},
        "spec": {"tenantRef": {"name": tenant}}
    })
}

/// An Agent that is its Tenant's default one.
pub fn default_agent(name: &str, tenant: &str) -> Value {
    let mut object = agent(name, tenant);
    object["spec"]["default"] = json!(true);
    object
}

/// A Secret with one key.
pub fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {key: value}
    })
}
