//! Proof that a test's mishap touches nobody else: objects whose `resourceVersion` must stay.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kr8tiv_crds::{Tenant, meta};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::manifests::{harness, tenant};
use kr8tiv_e2e::scope::{SOON, Scope};
use kube::ResourceExt;

use crate::context::Context;

/// Objects without a write for this long count as settled: what the control plane still has to do takes it
/// milliseconds.
const SETTLED: Duration = Duration::from_secs(2);

/// The objects of a tenant as they were.
pub struct Still {
    scope: Scope,
    tenant: String,
    before: BTreeMap<String, String>,
}

impl Still {
    /// Takes note of a tenant's own objects, once they have settled. The Tenant itself is not among them.
    pub async fn objects_of(scope: &Scope, tenant: &str) -> Outcome<Self> {
        let selector = format!("{}={tenant}", meta::TENANT);
        let mut last = (Instant::now(), BTreeMap::new());
        let before = scope
            .until(&format!("the objects of Tenant {tenant} settled"), SOON, async || {
                let versions = scope.resource_versions(&selector).await?;
                if versions != last.1 {
                    last = (Instant::now(), versions);
                }
                if last.0.elapsed() < SETTLED { Err("they still change".into()) } else { Ok(last.1.clone()) }
            })
            .await?;
        assert!(before.keys().any(|key| key.starts_with("StatefulSet")), "{before:?}");
        Ok(Self { scope: scope.clone(), tenant: tenant.to_owned(), before })
    }

    /// Nothing was written to them since.
    pub async fn unchanged(&self) -> Outcome {
        let now = self.scope.resource_versions(&format!("{}={}", meta::TENANT, self.tenant)).await?;
        assert_eq!(self.before, now, "the objects of Tenant {} were written to", self.tenant);
        Ok(())
    }
}

/// A healthy tenant beside the broken one, in the same namespace, with its own Harness.
pub struct Neighbour {
    objects: Still,
    version: Option<String>,
}

impl Neighbour {
    const NAME: &str = "neighbour";

    /// Creates it and waits until it is Ready.
    pub async fn create(context: &Context, scope: &Scope) -> Outcome<Self> {
        scope.apply::<kr8tiv_crds::Harness>(&harness("neighbours")).await?;
        scope.apply::<Tenant>(&tenant(Self::NAME, "neighbours")).await?;
        context.until_ready(scope, Self::NAME).await?;
        let objects = Still::objects_of(scope, Self::NAME).await?;
        let version = scope.api::<Tenant>().get(Self::NAME).await?.resource_version();
        Ok(Self { objects, version })
    }

    /// Neither its objects nor its status were written to.
    pub async fn undisturbed(&self) -> Outcome {
        self.objects.unchanged().await?;
        let now = self.objects.scope.api::<Tenant>().get(Self::NAME).await?.resource_version();
        assert_eq!(self.version, now, "the neighbour's status was written to");
        Ok(())
    }
}
