//! What is attacked: a namespace with a tenant and its neighbour, another namespace, and clients with the attackers' rights.

use hyper::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::Cluster;
use kr8tiv_e2e::manifests::{harness, secret, tenant};
use kr8tiv_e2e::scope::{Kind, Scope};
use kube::core::Status;
use serde_json::{Value, json};

use super::Actor;
use crate::context::Context;

/// The Harness of the tenant `acme`.
pub const HARNESS: &str = "concierge";
/// What the other namespace's Secret, ConfigMap and Harness are called.
pub const THEIRS: &str = "theirs";

/// What is attacked.
pub struct World {
    /// The namespace with the Tenant `acme`.
    pub scope: Scope,
    /// A namespace without a Tenant, and with a Secret, a ConfigMap and a Harness of its own.
    pub other: Scope,
    admin: Cluster,
    neighbour: Cluster,
    gateway: Cluster,
}

impl World {
    /// Creates both namespaces with the Tenant and its Harness. The Tenant is not Ready yet.
    pub async fn create(context: &Context, purpose: &str) -> Outcome<Self> {
        let scope = context.scope(purpose).await?;
        let other = context.scope(&format!("{purpose}-other")).await?;
        for (scope, user) in [(&scope, "mallory"), (&other, "trudy")] {
            let user = format!("{user}-{}", scope.namespace);
            scope.apply::<RoleBinding>(&may_edit(&user)).await?;
        }
        other.apply::<Secret>(&secret(THEIRS, "token", "another-namespace's-token")).await?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": THEIRS}, "data": {"a": "b"}});
        other.apply::<ConfigMap>(&map).await?;
        other.apply::<Harness>(&harness(THEIRS)).await?;
        scope.apply::<Harness>(&harness(HARNESS)).await?;
        scope.apply::<Tenant>(&tenant("acme", HARNESS)).await?;
        let as_user = async |name: String| scope.cluster.acting_as(&name, &[]).await;
        Ok(Self {
            admin: as_user(format!("mallory-{}", scope.namespace)).await?,
            neighbour: as_user(format!("trudy-{}", other.namespace)).await?,
            gateway: scope.cluster.acting_as_account(&scope.namespace, "acme-gateway").await?,
            scope,
            other,
        })
    }

    /// The cluster with an actor's rights.
    pub fn cluster(&self, actor: Actor) -> &Cluster {
        match actor {
            Actor::TenantAdmin => &self.admin,
            Actor::Neighbour => &self.neighbour,
            Actor::Gateway => &self.gateway,
            Actor::Agent | Actor::Author | Actor::PlatformAdmin => &self.scope.cluster,
        }
    }

    /// The attacked namespace with an actor's rights.
    pub fn of(&self, actor: Actor) -> Scope {
        self.scope.of(self.cluster(actor).clone())
    }

    /// Applies an object with an actor's rights.
    pub async fn apply<K: Kind>(&self, actor: Actor, object: &Value) -> Outcome<K> {
        self.of(actor).apply(object).await
    }

    /// Asks the API server for something, with an actor's rights; gives its refusal.
    pub async fn refusal(&self, actor: Actor, request: &Request) -> Outcome<Status> {
        match self.send(actor, request).await {
            Err(kube::Error::Api(status)) => Ok(*status),
            Err(other) => Err(other.into()),
            Ok(text) => Err(format!("{} {} was let: {text}", request.method, request.uri).into()),
        }
    }

    /// Asks the API server for something that it grants.
    pub async fn accept(&self, actor: Actor, request: &Request) -> Outcome<String> {
        Ok(self.send(actor, request).await?)
    }

    async fn send(&self, actor: Actor, request: &Request) -> Result<String, kube::Error> {
        let built = hyper::Request::builder().method(&request.method).uri(&request.uri);
        let built = built.header("content-type", request.content_type).body(request.body.clone());
        self.cluster(actor).client.request_text(built.map_err(kube::Error::HttpError)?).await
    }

    /// Has both namespaces deleted.
    pub async fn discard(self) -> Outcome {
        self.other.discard().await?;
        self.scope.discard().await
    }
}

fn may_edit(user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "attacker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
    })
}

/// A request as it is sent.
pub struct Request {
    method: Method,
    uri: String,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Request {
    fn new(method: Method, uri: String, content_type: &'static str, body: &Value) -> Self {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Self { method, uri, content_type, body }
    }

    /// Reads something.
    pub fn get(uri: String) -> Self {
        Self::new(Method::GET, uri, "application/json", &Value::Null)
    }

    /// Creates something.
    pub fn post(uri: String, body: &Value) -> Self {
        Self::new(Method::POST, uri, "application/json", body)
    }

    /// Deletes something.
    pub fn delete(uri: String) -> Self {
        Self::new(Method::DELETE, uri, "application/json", &Value::Null)
    }

    /// Changes something by a merge patch.
    pub fn patch(uri: String, body: &Value) -> Self {
        Self::new(Method::PATCH, uri, "application/merge-patch+json", body)
    }

    /// The same with so many lists, each in the one before, in the place of the text `DEEP`.
    #[must_use]
    pub fn deep(mut self, levels: usize) -> Self {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        self.body = String::from_utf8_lossy(&self.body).replace("\"DEEP\"", &deep).into_bytes();
        self
    }

    /// Applies one of our own objects in a namespace, strictly.
    pub fn apply(scope: &Scope, object: &Value) -> Self {
        let of = |field: &str| object[field].as_str().unwrap_or_default().to_lowercase();
        let plural =
            if of("kind") == "harness" { "harnesses".to_owned() } else { format!("{}s", of("kind")) };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let uri =
            format!("{}?fieldManager=e2e&force=true&fieldValidation=Strict", ours(scope, &plural, name));
        Self::new(Method::PATCH, uri, "application/apply-patch+yaml", object)
    }
}

/// The path of one of our own objects.
pub fn ours(scope: &Scope, plural: &str, name: &str) -> String {
    format!("/apis/kr8tiv.ai/v1alpha1/namespaces/{}/{plural}/{name}", scope.namespace)
}

/// The path of an object of the core.
pub fn core(scope: &Scope, plural: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{}/{plural}/{name}", scope.namespace)
}

/// The object with this merged into its `spec`.
pub fn with(mut object: Value, spec: Value) -> Value {
    merge(&mut object["spec"], spec);
    object
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// The attacked Tenant with this in its `spec`.
pub fn acme(spec: Value) -> Value {
    with(tenant("acme", HARNESS), spec)
}

/// Its Harness with this in its `spec`.
pub fn concierge(spec: Value) -> Value {
    with(harness(HARNESS), spec)
}
