//! A namespace of a test's own, and what tests do in it. I/O: the API server.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, ValidationDirective};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::conditions::{self, Conditioned, Expected};
use crate::kubectl::kubectl;
use crate::{Outcome, wait};

/// Time for what the control plane does by itself. The work takes milliseconds; the rest is for a busy machine.
pub const SOON: Duration = Duration::from_mins(3);

/// Of each answer, a report shows at most so many lines, the last ones.
const REPORT_LINES: usize = 60;

/// A namespaced kind.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
}

/// A namespace that enforces Pod Security `restricted`.
#[derive(Clone)]
pub struct Scope {
    /// The cluster it is in.
    pub cluster: Cluster,
    /// Its name.
    pub namespace: String,
}

impl Scope {
    /// Creates a namespace whose name starts with `purpose`.
    pub async fn create(cluster: &Cluster, purpose: &str) -> Outcome<Self> {
        Self::with(cluster, json!({"generateName": format!("{purpose}-")})).await
    }

    /// Creates a namespace of exactly this name: one of which the cluster's audit log keeps what the operator writes.
    pub async fn named(cluster: &Cluster, name: &str) -> Outcome<Self> {
        Self::with(cluster, json!({"name": name})).await
    }

    async fn with(cluster: &Cluster, mut metadata: Value) -> Outcome<Self> {
        metadata["labels"] = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "latest"
        });
        let object = serde_json::from_value(json!({"metadata": metadata}))?;
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let created = namespaces.create(&PostParams::default(), &object).await?;
        Ok(Self { cluster: cluster.clone(), namespace: created.name_any() })
    }

    /// The same namespace with somebody else's rights.
    #[must_use]
    pub fn of(&self, cluster: Cluster) -> Self {
        Self { cluster, namespace: self.namespace.clone() }
    }

    /// Has the namespace deleted, without waiting for it.
    pub async fn discard(self) -> Outcome {
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::background()).await?;
        Ok(())
    }

    /// The objects of a kind in this namespace.
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// Applies an object as a user would: server-side, unknown fields refused.
    pub async fn apply<K: Kind>(&self, object: &Value) -> Outcome<K> {
        let name = object["metadata"]["name"].as_str().ok_or("an object without a name")?;
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply("e2e").force()
        };
        Ok(self.api().patch(name, &parameters, &Patch::Apply(object)).await?)
    }

    /// Changes an object by a JSON merge patch.
    pub async fn merge<K: Kind>(&self, name: &str, patch: Value) -> Outcome<K> {
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            field_manager: Some("e2e".into()),
            ..PatchParams::default()
        };
        Ok(self.api().patch(name, &parameters, &Patch::Merge(patch)).await?)
    }

    /// Deletes an object, without waiting for its end.
    pub async fn delete<K: Kind>(&self, name: &str) -> Outcome {
        self.api::<K>().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until a condition holds. An expired deadline shows what is in the namespace.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl AsyncFnMut() -> Outcome<T>,
    ) -> Outcome<T> {
        match wait::until(what, limit, look).await {
            Ok(found) => Ok(found),
            Err(expired) => Err(format!("{expired}\n{}", self.report().await).into()),
        }
    }

    /// Waits until an object has exactly these conditions.
    pub async fn until_exactly<K: Kind + Conditioned>(
        &self,
        name: &str,
        expected: &[Expected<'_>],
    ) -> Outcome<K> {
        let what = format!("{} {name} with the expected conditions", K::kind(&()));
        self.until(&what, SOON, async || {
            let object = self.api::<K>().get(name).await?;
            conditions::exactly(&object, expected)?;
            Ok(object)
        })
        .await
    }

    /// Waits until an object's condition `Ready` is True.
    pub async fn until_ready<K: Kind + Conditioned>(&self, name: &str, limit: Duration) -> Outcome<K> {
        self.until(&format!("{} {name} Ready", K::kind(&())), limit, async || {
            let object = self.api::<K>().get(name).await?;
            conditions::ready(&object)?;
            Ok(object)
        })
        .await
    }

    /// Waits until an object does not exist any more.
    pub async fn until_gone<K: Kind>(&self, name: &str, limit: Duration) -> Outcome {
        self.until(&format!("{} {name} gone", K::kind(&())), limit, async || {
            match self.api::<K>().get_opt(name).await? {
                None => Ok(()),
                Some(_) => Err("it is still there".into()),
            }
        })
        .await
    }

    /// Waits until an event tells of a Tenant: its type, the condition that it is about, and the reason.
    pub async fn until_told(&self, tenant: &str, expected: (&str, &str, &str)) -> Outcome {
        self.until(&format!("an event {expected:?} of Tenant {tenant}"), SOON, async || {
            let events = self.api::<Event>().list(&ListParams::default()).await?.items;
            let text = |text: Option<String>| text.unwrap_or_default();
            let told: Vec<_> = events
                .into_iter()
                .filter(|event| {
                    let about = event.regarding.as_ref();
                    let kind = about.and_then(|about| about.kind.as_deref());
                    kind == Some("Tenant") && about.and_then(|about| about.name.as_deref()) == Some(tenant)
                })
                .map(|event| (text(event.type_), text(event.action), text(event.reason)))
                .collect();
            let is_expected = |(type_, condition, reason): &(String, String, String)| {
                (type_.as_str(), condition.as_str(), reason.as_str()) == expected
            };
            if told.iter().any(is_expected) { Ok(()) } else { Err(format!("told: {told:?}").into()) }
        })
        .await
    }

    /// `resourceVersion` of every object that a label selector finds, by kind and name: the proof that nothing was
    /// written. An empty selector finds all.
    pub async fn resource_versions(&self, selector: &str) -> Outcome<BTreeMap<String, String>> {
        let version = |object: Value| object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let objects = self.objects(selector).await?.into_iter();
        Ok(objects.map(|(name, object)| (name, version(object).unwrap_or_default())).collect())
    }

    /// Every object that a label selector finds, by kind and name.
    pub async fn objects(&self, selector: &str) -> Outcome<BTreeMap<String, Value>> {
        let mut objects = BTreeMap::new();
        self.collect::<ServiceAccount>(selector, &mut objects).await?;
        self.collect::<NetworkPolicy>(selector, &mut objects).await?;
        self.collect::<PodDisruptionBudget>(selector, &mut objects).await?;
        self.collect::<PersistentVolumeClaim>(selector, &mut objects).await?;
        self.collect::<Service>(selector, &mut objects).await?;
        self.collect::<ConfigMap>(selector, &mut objects).await?;
        self.collect::<Secret>(selector, &mut objects).await?;
        self.collect::<StatefulSet>(selector, &mut objects).await?;
        self.collect::<Pod>(selector, &mut objects).await?;
        self.collect::<Tenant>(selector, &mut objects).await?;
        self.collect::<Harness>(selector, &mut objects).await?;
        self.collect::<Agent>(selector, &mut objects).await?;
        Ok(objects)
    }

    async fn collect<K: Kind + Serialize>(
        &self,
        selector: &str,
        into: &mut BTreeMap<String, Value>,
    ) -> Outcome {
        for object in self.api::<K>().list(&ListParams::default().labels(selector)).await? {
            into.insert(format!("{} {}", K::kind(&()), object.name_any()), serde_json::to_value(&object)?);
        }
        Ok(())
    }

    /// What a person would look at first when something is wrong here.
    pub async fn report(&self) -> String {
        let in_namespace = ["-n", &self.namespace];
        let questions: [&[&str]; 4] = [
            &["get", "tenants.kr8tiv.ai,harnesses.kr8tiv.ai,agents.kr8tiv.ai", "-o", "wide"],
            &["get", "statefulsets,pods,persistentvolumeclaims", "-o", "wide"],
            &["get", "events", "--sort-by=.metadata.creationTimestamp"],
            &[
                "logs",
                "--selector=app.kubernetes.io/name=openclaw",
                "--all-containers",
                "--prefix",
                "--tail=30",
            ],
        ];
        let mut report = String::new();
        for question in questions {
            let answer =
                kubectl(&[&in_namespace, question].concat()).await.unwrap_or_else(|error| error.to_string());
            let lines: Vec<&str> = answer.lines().collect();
            let answer = lines[lines.len().saturating_sub(REPORT_LINES)..].join("\n");
            report.push_str(&format!("--- kubectl -n {} {}\n{answer}\n", self.namespace, question.join(" ")));
        }
        report
    }
}
