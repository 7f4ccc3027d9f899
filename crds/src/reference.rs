//! References from one object to another. Types only.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What an object can be called whose kind has no rule of its own.
pub(crate) const OBJECT_NAME: &str = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";

/// Names another object of a known kind in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// Names a Harness, in the same namespace or in one whose Harness is shared with this one.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HarnessReference {
    /// Name of the Harness.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Namespace of the Harness. When not set: the Tenant's own. A Harness of another namespace must be shared with it
    /// (`spec.sharing`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
}

/// Names one key of a Secret in the same namespace. The value itself is never copied into any object.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Key within the Secret's data.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub key: String,
}
