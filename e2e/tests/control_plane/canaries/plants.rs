//! What is planted, and in which Secret. I/O: the API server, random bytes.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::Tenant;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::canary::Canary;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::search::Spot;
use kube::CustomResourceExt;
use serde_json::{Value, json};

/// The planted values.
pub struct Plants {
    /// All of them, and those that were found.
    pub all: Vec<Canary>,
}

/// What each is called, and what it begins with.
const PLANTED: [(&str, &str); 23] = [
    ("model key", "sk-ant-api03-"),
    ("telegram token", "123456789:AA"),
    ("slack bot token", "xoxb-1"),
    ("slack app token", "xapp-1"),
    ("discord token", "MTIz"),
    ("supermemory key", "sm"),
    ("webhook url", "hook"),
    ("signing key", "sign"),
    ("management's webhook url", "mhook"),
    ("management's signing key", "msign"),
    ("variable's secret", "env"),
    ("variables' secret", "all"),
    ("mission control token", "mc"),
    ("registry password", "reg"),
    ("gateway token of the user's", "own"),
    ("token under a wrong key", "wrong"),
    ("token that is no text", "bytes"),
    ("key with a line feed", "line"),
    // Where no secret belongs.
    ("pasted into a text", "sk-ant-api03-"),
    ("pasted into a variable", "sk-ant-api03-"),
    ("pasted into a pod template", "sk-ant-api03-"),
    ("pasted into a url", "pasted"),
    ("said by a dying container", "sk-ant-api03-"),
];

/// The Secrets that they are planted in.
const HOLDERS: [&str; 15] = [
    "model",
    "bot",
    "slack",
    "discord",
    "memory",
    "hooks",
    "management",
    "app",
    "more",
    "mission",
    "own",
    "misspelt",
    "registry",
    "broken",
    "copy",
];

/// Where a Tenant names a Secret that nothing is planted in: the Ingress names it too, and its controller alone reads it.
const NOT_PLANTED: &str = "spec.gateway.ingress.tlsSecretName";

impl Plants {
    /// Makes all values.
    pub fn new() -> Outcome<Self> {
        let all = PLANTED.iter().map(|(what, prefix)| Canary::new(what, prefix)).collect::<Outcome<_>>()?;
        Ok(Self { all })
    }

    /// A value.
    pub fn of(&self, what: &str) -> &str {
        let found = self.all.iter().find(|canary| canary.what == what);
        found.map_or_else(|| panic!("nothing is planted as {what}"), |canary| &canary.value)
    }

    /// Puts them into Secrets.
    pub async fn plant(&self, scope: &Scope, other: &Scope) -> Outcome {
        let of = |what| self.of(what);
        let auth = base64(format!("robot:{}", of("registry password")).as_bytes());
        let docker =
            json!({"auths": {"registry.example.com": {"password": of("registry password"), "auth": auth}}});
        for (name, texts) in [
            ("model", json!({"key": of("model key")})),
            ("bot", json!({"token": of("telegram token")})),
            ("slack", json!({"bot": of("slack bot token"), "app": of("slack app token")})),
            ("discord", json!({"token": of("discord token")})),
            (
                "memory",
                json!({"key": of("supermemory key"), "line": format!("{}\nx-more: 1", of("key with a line feed"))}),
            ),
            (
                "hooks",
                json!({"url": format!("https://hooks.example.com/{}", of("webhook url")), "key": of("signing key")}),
            ),
            (
                "management",
                json!({
                    "url": format!("https://hooks.example.com/{}", of("management's webhook url")),
                    "key": of("management's signing key")
                }),
            ),
            ("app", json!({"value": of("variable's secret")})),
            ("more", json!({"ANY": of("variables' secret")})),
            ("mission", json!({"token": of("mission control token")})),
            ("own", json!({"token": of("gateway token of the user's")})),
            ("misspelt", json!({"tokn": of("token under a wrong key")})),
        ] {
            let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts});
            scope.apply::<Secret>(&object).await?;
        }
        let registry = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "registry"},
            "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": docker.to_string()}
        });
        scope.apply::<Secret>(&registry).await?;
        let bytes = [b"\xff\xfe", of("token that is no text").as_bytes()].concat();
        let broken = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "broken"},
            "data": {"token": base64(&bytes), "key": base64(&bytes)}
        });
        scope.apply::<Secret>(&broken).await?;
        let copy = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "copy"},
            "stringData": {"token": of("telegram token")}
        });
        other.apply::<Secret>(&copy).await?;
        Ok(())
    }

    /// They are planted in every place where a Tenant can name a Secret, by its schema, but for the one.
    pub fn are_everywhere() -> Outcome {
        let definition = serde_json::to_value(Tenant::crd())?;
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let (mut places, mut planted) = (BTreeSet::new(), BTreeSet::from([NOT_PLANTED.to_owned()]));
        places_of(schema, "spec", &mut places);
        for tenant in [Self::tenant("acme"), Self::own("own")] {
            names_in(&tenant["spec"], "spec", &mut planted);
        }
        assert_eq!(planted, places, "where secrets are planted, and where they could be");
        Ok(())
    }

    /// A Harness under which a Tenant can use all of them.
    pub fn harness(name: &str, memory: &str) -> Value {
        let mut object = harness(name);
        object["spec"]["channels"] = json!({"allow": ["telegram", "slack", "discord"]});
        object["spec"]["supermemory"] = json!({
            "enabled": true, "baseUrl": memory, "queries": ["What do they like?"], "refreshInterval": "60s", "timeout": "1s"
        });
        object["spec"]["coordination"] = json!({"url": "https://mc.example.com", "packRef": "base@1"});
        object
    }

    /// A Tenant with a token of the user's.
    pub fn own(name: &str) -> Value {
        let mut object = tenant(name, "concierge");
        object["spec"]["gateway"] = json!({"tokenSecretRef": {"name": "own", "key": "token"}});
        object
    }

    /// A Tenant that uses all the others.
    pub fn tenant(name: &str) -> Value {
        let secret = |name: &str, key: &str| json!({"name": name, "key": key});
        let mut object = tenant(name, "concierge");
        object["spec"]["modelCredentials"] =
            json!([{"provider": "anthropic", "apiKeySecretRef": secret("model", "key")}]);
        object["spec"]["channels"] = json!({
            "telegram": {"accounts": [{"botTokenSecretRef": secret("bot", "token"), "groupAllowFrom": ["1"]}]},
            "slack": {"accounts": [{
                "botTokenSecretRef": secret("slack", "bot"), "appTokenSecretRef": secret("slack", "app")
            }]},
            "discord": {"accounts": [{"tokenSecretRef": secret("discord", "token")}]}
        });
        object["spec"]["supermemory"] = json!({"apiKeySecretRef": secret("memory", "key")});
        object["spec"]["missionControl"] = json!({"tokenSecretRef": secret("mission", "token")});
        let webhook =
            |name| json!({"urlSecretRef": secret(name, "url"), "signingKeySecretRef": secret(name, "key")});
        object["spec"]["watchdog"] =
            json!({"ownerWebhook": webhook("hooks"), "managementWebhook": webhook("management")});
        object["spec"]["gateway"] = json!({
            "env": [{"name": "APP", "valueFrom": {"secretKeyRef": secret("app", "value")}}],
            "envFrom": [{"prefix": "MORE_", "secretRef": {"name": "more"}}],
            "podTemplate": {"imagePullSecrets": [{"name": "registry"}]}
        });
        object
    }

    /// Whether a value may be there: in a Secret's data; what was pasted, in the object that it was pasted into; what a
    /// container said, in its Pod.
    pub fn may_be(spot: &Spot<'_>) -> bool {
        match (spot.canary.what, spot.resource) {
            ("minted key of a sandbox", "secrets") => spot.is_data && spot.name.ends_with("-sandbox-ssh"),
            (what, "secrets") if what.starts_with("minted") => {
                spot.is_data && spot.name.contains("-gateway-")
            }
            (_, "secrets") => spot.is_data && HOLDERS.contains(&spot.name),
            ("pasted into a text", "harnesses")
            | ("pasted into a variable" | "pasted into a pod template", "tenants") => spot.name == "pasted",
            ("said by a dying container", "pods") => true,
            _ => false,
        }
    }
}

/// The fields of a schema that name Secrets: their own names say so.
fn places_of(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        places_of(field, &path, found);
        if is_named(name) {
            found.insert(path);
        }
    }
    if let Some(items) = schema.get("items") {
        places_of(items, path, found);
    }
}

/// The fields of an object that do.
fn names_in(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, field) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        names_in(field, &path, found);
        if is_named(name) {
            found.insert(path);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        names_in(item, path, found);
    }
}

fn is_named(field: &str) -> bool {
    field.contains("ecret")
}

fn base64(bytes: &[u8]) -> Value {
    serde_json::to_value(ByteString(bytes.to_vec())).unwrap_or_default()
}
