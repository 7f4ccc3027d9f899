//! What the API server refuses: by schema, by rule, by RBAC, by Pod Security. The operator has no part in it.

use kr8tiv_crds::Tenant;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::{OPERATOR, SYSTEM_NAMESPACE};
use kr8tiv_e2e::manifests::{agent, tenant};
use serde_json::{Value, json};

use super::world::{Request, World, acme, concierge, core, ours, with};
use super::{Attack, Place, attack, tried};
use crate::context::Context;
use crate::neighbour::Still;

type Row = (Attack, fn(&World) -> Request);

/// The table without what is done.
pub fn attacks() -> Vec<Attack> {
    rows().into_iter().map(|(attack, _)| attack).collect()
}

fn file(world: &World, name: &str) -> Request {
    let file = json!({"name": name, "description": "d", "content": "c"});
    Request::apply(&world.scope, &concierge(json!({"workspace": {"files": [file]}})))
}

fn pack(world: &World, more: &Value) -> Request {
    let mut pack = json!({"name": "base", "skills": ["refunds"], "source": {"configMap": {"name": "base"}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        pack[key] = value.clone();
    }
    Request::apply(&world.scope, &concierge(json!({"skills": {"packs": [pack]}})))
}

fn image(world: &World, field: &str, value: &str) -> Request {
    let mut image = json!({"reference": "example.com/base", "digest": format!("sha256:{}", "0".repeat(64))});
    image[field] = json!(value);
    pack(world, &json!({"source": {"image": image}}))
}

fn bot(world: &World, reference: &Value) -> Request {
    let accounts = json!([{"botTokenSecretRef": reference, "groupAllowFrom": ["1"]}]);
    Request::apply(&world.scope, &acme(json!({"channels": {"telegram": {"accounts": accounts}}})))
}

fn told(world: &World, url: &str) -> Request {
    Request::apply(&world.scope, &acme(json!({"watchdog": {"ownerWebhook": {"url": url}}})))
}

fn pod(world: &World, more: Value) -> Request {
    let container = json!({"name": "c", "image": "example.com/c"});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "escape"}, "spec": {"containers": [container]}
    });
    Request::post(core(&world.scope, "pods", "").trim_end_matches('/').to_owned(), &with(pod, more))
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        // File names and skill packs.
        (attack!("file-upwards", TenantAdmin, "names a workspace file ../../.ssh/authorized_keys.md", Schema, "spec.workspace.files[0].name"),
            |world| file(world, "../../.ssh/authorized_keys.md")),
        (attack!("file-absolute", TenantAdmin, "names a workspace file /etc/passwd.md", Schema, "spec.workspace.files[0].name"),
            |world| file(world, "/etc/passwd.md")),
        (attack!("file-nul", TenantAdmin, "puts a NUL into the name of a workspace file", Schema, "spec.workspace.files[0].name"),
            |world| file(world, "A\0.md")),
        (attack!("file-line-feed", TenantAdmin, "puts a line feed into the name of a workspace file", Schema, "spec.workspace.files[0].name"),
            |world| file(world, "A.md\n.md")),
        (attack!("file-homoglyph", TenantAdmin, "names a workspace file AGENTS.md with a Cyrillic A", Schema, "spec.workspace.files[0].name"),
            |world| file(world, "\u{410}GENTS.md")),
        (attack!("file-wide-slash", TenantAdmin, "uses a full-width slash and a mark that turns the direction of writing", Schema, "spec.workspace.files[0].name"),
            |world| file(world, "a\u{ff0f}..\u{202e}dm.md")),
        (attack!("file-long", TenantAdmin, "names a workspace file with 5,000 letters", Schema, "spec.workspace.files[0].name"),
            |world| file(world, &format!("{}.md", "a".repeat(5000)))),
        (attack!("file-of-the-operator", TenantAdmin, "names a workspace file Agents.md, which a file system without case takes for AGENTS.md", Rule, "spec.workspace.files[0]"),
            |world| file(world, "Agents.md")),
        (attack!("skill-upwards", TenantAdmin, "lists a skill ../refunds", Schema, "spec.skills.packs[0].skills[0]"),
            |world| pack(world, &json!({"skills": ["../refunds"]}))),
        (attack!("pack-upwards", TenantAdmin, "names a pack of skills ../seed", Schema, "spec.skills.packs[0].name"),
            |world| pack(world, &json!({"name": "../seed"}))),
        (attack!("pack-path-upwards", TenantAdmin, "takes a pack from /skills/../../etc of its image", Schema, "spec.skills.packs[0].source.image.path"),
            |world| image(world, "path", "/skills/../../etc")),
        (attack!("pack-without-digest", TenantAdmin, "pins a pack by the tag latest", Schema, "spec.skills.packs[0].source.image.digest"),
            |world| image(world, "digest", "latest")),
        (attack!("pack-of-another-namespace", TenantAdmin, "takes a pack from another namespace's ConfigMap by OTHER/NAME", Schema, "spec.skills.packs[0].source.configMap.name"),
            |world| pack(world, &json!({"source": {"configMap": {"name": format!("{}/theirs", world.other.namespace)}}}))),
        // References into other namespaces.
        (attack!("secret-by-path", TenantAdmin, "names another namespace's Secret by OTHER/NAME", Schema, "spec.channels.telegram.accounts[0].botTokenSecretRef.name"),
            |world| bot(world, &json!({"name": format!("{}/theirs", world.other.namespace), "key": "token"}))),
        (attack!("secret-by-namespace", TenantAdmin, "puts a namespace into the reference to a Secret", Schema, "botTokenSecretRef.namespace: field not declared in schema"),
            |world| bot(world, &json!({"name": "theirs", "key": "token", "namespace": world.other.namespace}))),
        (attack!("secret-key-upwards", TenantAdmin, "names the key ../../token of a Secret", Schema, "spec.channels.telegram.accounts[0].botTokenSecretRef.key"),
            |world| bot(world, &json!({"name": "bot", "key": "../../token"}))),
        // Names that would run into each other.
        (attack!("name-with-a-dot", TenantAdmin, "calls a Tenant acme-workspace.main, so that its objects are another one's", Rule, "metadata.name must start with a letter"),
            |world| Request::apply(&world.scope, &tenant("acme-workspace.main", "concierge"))),
        (attack!("name-to-be-cut", TenantAdmin, "calls a Tenant so long that its objects' names would be cut to those of another one", Rule, "at most 40 characters"),
            |world| Request::apply(&world.scope, &tenant(&"a".repeat(41), "concierge"))),
        (attack!("agent-id-with-a-dot", TenantAdmin, "gives an Agent the id main.acme", Schema, "spec.agentId"),
            |world| Request::apply(&world.scope, &with(agent("desk", "acme"), json!({"agentId": "main.acme"})))),
        (attack!("id-taken-later", TenantAdmin, "gives a Tenant that runs the id of another one, to mount its volume", Rule, "tenantId can't be changed"),
            |world| Request::apply(&world.scope, &acme(json!({"tenantId": "globex-0a1b2c3d"})))),
        (attack!("tag-taken-later", TenantAdmin, "gives a Tenant that runs the memory's tag of another one", Rule, "containerTag can't be changed"),
            |world| Request::apply(&world.scope, &acme(json!({"containerTag": "tenant-globex-0a1b2c3d"})))),
        // Addresses.
        (attack!("memory-with-a-password", TenantAdmin, "puts user and password into the URL of Supermemory", Schema, "spec.supermemory.baseUrl"),
            |world| Request::apply(&world.scope, &concierge(json!({"supermemory": {"enabled": true, "baseUrl": "https://a:b@memory.example.com"}})))),
        (attack!("webhook-with-a-host-behind-at", TenantAdmin, "hides the host of a webhook behind an @", Schema, "spec.watchdog.ownerWebhook.url"),
            |world| told(world, "https://hooks.example.com@169.254.169.254/")),
        (attack!("webhook-to-a-file", TenantAdmin, "has a webhook sent to file:///etc/passwd", Schema, "spec.watchdog.ownerWebhook.url"),
            |world| told(world, "file:///etc/passwd")),
        // Size.
        (attack!("array-bomb", TenantAdmin, "lists 100,000 core truths", Schema, "spec.soul.coreTruths"),
            |world| Request::apply(&world.scope, &concierge(json!({"soul": {"coreTruths": vec!["x"; 100_000]}})))),
        (attack!("depth-bomb", TenantAdmin, "nests 20,000 lists in gateway.config", Schema, "exceeded max depth"),
            |world| Request::apply(&world.scope, &acme(json!({"gateway": {"config": {"messages": "DEEP"}}}))).deep(20_000)),
        (attack!("large-object", TenantAdmin, "applies a Tenant of 4 MB", Schema, "limit is"),
            |world| Request::apply(&world.scope, &acme(json!({"gateway": {"config": {"messages": "x".repeat(4_000_000)}}})))),
        // Rights.
        (attack!("status-patched", TenantAdmin, "writes the status of a Tenant, which is the operator's memory", Rbac, "cannot patch resource \"tenants/status\""),
            |world| Request::patch(ours(&world.scope, "tenants", "acme/status"), &json!({"status": {"tenantId": "globex-0a1b2c3d"}}))),
        (attack!("minted-secret-edited", Neighbour, "edits the token of another namespace's gateway", Rbac, "cannot patch resource \"secrets\""),
            |world| Request::patch(core(&world.scope, "secrets", "acme-gateway-token"), &json!({"stringData": {"token": "known"}}))),
        (attack!("minted-secret-read", Neighbour, "reads the token of another namespace's gateway", Rbac, "cannot get resource \"secrets\""),
            |world| Request::get(core(&world.scope, "secrets", "acme-gateway-token"))),
        (attack!("gateway-reads-secrets", Gateway, "reads the Secrets of its namespace", Rbac, "cannot list resource \"secrets\""),
            |world| Request::get(core(&world.scope, "secrets", ""))),
        (attack!("gateway-reads-configuration", Gateway, "reads the configuration of its neighbour", Rbac, "cannot get resource \"configmaps\""),
            |world| Request::get(core(&world.scope, "configmaps", "neighbour-gateway-config"))),
        (attack!("gateway-edits-its-tenant", Gateway, "gives itself another Harness", Rbac, "cannot patch resource \"tenants\""),
            |world| Request::patch(ours(&world.scope, "tenants", "acme"), &json!({"spec": {"harnessRef": {"name": "mine"}}}))),
        (attack!("gateway-edits-its-workload", Gateway, "gives its StatefulSet another image", Rbac, "cannot patch resource \"statefulsets\""),
            |world| Request::patch(format!("/apis/apps/v1/namespaces/{}/statefulsets/acme-gateway", world.scope.namespace), &json!({"spec": {"template": {"spec": {"containers": [{"name": "gateway", "image": "example.com/mine"}]}}}}))),
        (attack!("gateway-starts-a-pod", Gateway, "starts a Pod", Rbac, "cannot create resource \"pods\""),
            |world| pod(world, json!({}))),
        (attack!("operators-token", TenantAdmin, "asks for a token of the operator's ServiceAccount", Rbac, "cannot create resource \"serviceaccounts/token\""),
            |_| Request::post(format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts/{OPERATOR}/token"), &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}))),
        (attack!("operators-lease", TenantAdmin, "takes the Lease away from the operator", Rbac, "cannot patch resource \"leases\""),
            |_| Request::patch(format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases/{OPERATOR}"), &json!({"spec": {"holderIdentity": "mallory"}}))),
        // A Pod beside the operator's: what its compiler refuses in a Tenant, the namespace refuses in a Pod.
        (attack!("pod-on-the-host", TenantAdmin, "starts a privileged Pod with the host's network and files", PodSecurity, "violates PodSecurity"),
            |world| pod(world, json!({"hostNetwork": true, "volumes": [{"name": "h", "hostPath": {"path": "/"}}]}))),
    ]
}

pub async fn by_api_server(context: &Context) -> Outcome {
    let world = World::create(context, "attack-api").await?;
    context.until_ready(&world.scope, "acme").await?;
    let (still, before) = (Still::objects_of(&world.scope, "acme").await?, stored(&world).await?);
    for (attack, request) in rows() {
        let Attack { name, actor, refused, says, .. } = *tried(attack.name);
        let status =
            world.refusal(actor, &request(&world)).await.map_err(|error| format!("{name}: {error}"))?;
        let text = &status.message;
        assert!(text.contains(says), "{name}: {text}\ndoes not say\n{says}");
        let codes: &[u16] = match refused {
            Place::Rbac | Place::PodSecurity => &[403],
            Place::Rule => &[422],
            // For server-side apply, the API server takes an unknown field for a fault of its own.
            _ if text.starts_with("failed to create typed patch object") => &[500],
            // What is no JSON is a bad request; what is too large has a code of its own.
            _ => &[400, 413, 422],
        };
        assert!(codes.contains(&status.code), "{name}: {} {text}", status.code);
        if refused == Place::Rbac {
            assert!(text.contains("is forbidden: User"), "{name}: {text}");
        }
    }
    assert_eq!(before, stored(&world).await?, "the Tenant was written to");
    still.unchanged().await?;
    world.discard().await
}

async fn stored(world: &World) -> Outcome<Option<i64>> {
    Ok(world.scope.api::<Tenant>().get("acme").await?.metadata.generation)
}
