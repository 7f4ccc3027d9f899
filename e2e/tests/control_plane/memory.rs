//! The tag of a tenant's memory: whatever becomes of the Harness, it stays what it was.

use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_cli::Exit;
use kr8tiv_crds::{Harness, Tenant, TenantStatus};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use serde_json::{Value, json};

use crate::command_line::{kr8tiv, write};
use crate::context::Context;

pub async fn tag(context: &Context) -> Outcome {
    let scope = context.scope("memory-tag").await?;
    let (mut concierge, acme) = (harness("concierge"), tenant("acme", "concierge"));
    let with_prefix = |harness: &mut Value, prefix: &str| {
        harness["spec"]["supermemory"] =
            json!({"enabled": true, "queries": ["preferences"], "containerTagPrefix": prefix});
    };
    with_prefix(&mut concierge, "first");
    scope.apply::<Harness>(&concierge).await?;
    scope.apply::<Tenant>(&acme).await?;
    let before = status(&scope, "acme", "").await?;
    let tag = format!("first-{}", before.tenant_id.clone().unwrap_or_default());
    assert_eq!(before.container_tag.as_ref(), Some(&tag));

    with_prefix(&mut concierge, "second");
    scope.apply::<Harness>(&concierge).await?;
    let after = status(&scope, "acme", &revision(&before)).await?;
    assert_eq!(after.container_tag.as_ref(), Some(&tag));
    assert_eq!(after.bundle_hash, before.bundle_hash, "nothing of it reaches the gateway");
    let files = scope.api::<ConfigMap>().get("acme-gateway-config").await?.data.unwrap_or_default();
    let memory: Value = serde_json::from_str(files.get("memory.json").ok_or("no memory.json")?)?;
    assert_eq!(memory["containerTag"], json!(tag));
    let folder = tempfile::tempdir()?;
    let same = write(folder.path(), "same.yaml", &[&concierge, &acme])?;
    let (exit, output, errors) = kr8tiv(&["diff", "-f", &same, "-n", &scope.namespace]).await?;
    assert_eq!((exit, output.as_str()), (Exit::Success, "1 tenant: 1 unchanged\n"), "{errors}");

    scope.apply::<Tenant>(&tenant("globex", "concierge")).await?;
    let later = status(&scope, "globex", "").await?;
    let expected = format!("second-{}", later.tenant_id.unwrap_or_default());
    assert_eq!(later.container_tag, Some(expected), "whoever comes later has the new prefix");
    scope.discard().await
}

/// A Tenant's status once it has been given another revision of its Harness.
async fn status(scope: &Scope, name: &str, other_than: &str) -> Outcome<TenantStatus> {
    scope
        .until(&format!("Tenant {name} with another revision of its Harness"), SOON, async || {
            let status = scope.api::<Tenant>().get(name).await?.status.ok_or("no status")?;
            if revision(&status) == other_than { Err("it has the same".into()) } else { Ok(status) }
        })
        .await
}

fn revision(status: &TenantStatus) -> String {
    status.harness.as_ref().map(|harness| harness.revision.clone()).unwrap_or_default()
}
