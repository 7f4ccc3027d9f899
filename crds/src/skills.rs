//! Skills: instructions that an agent reads when a task calls for them, in packs. Types only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::OBJECT_NAME;

/// Which skills the agents have beyond what is in their instructions.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skills {
    /// Packs of skills. A pack is copied when a gateway's Pod starts. One that can't be had does not keep the
    /// gateway from running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub packs: Vec<SkillPack>,
}

/// A pack of skills.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillPack {
    /// The pack's name.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The pack's version, for people: what is copied depends on `source` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^\s]+$"))]
    pub version: Option<String>,
    /// Where the pack comes from.
    pub source: PackSource,
    /// The skills of the pack that are copied, by the names of their folders. Every agent has all of them unless its
    /// `spec.skills` says otherwise. What else is in the pack is left out.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub skills: Vec<String>,
}

/// Where a pack comes from: one of these.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.configMap) != has(self.image)")
        .message("a pack has one source: set either configMap or image")
)]
pub struct PackSource {
    /// A ConfigMap in the same namespace. Its key `refunds.SKILL.md` is the file `SKILL.md` of the skill `refunds`:
    /// the skill's name is what stands before the first dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapPack>,
    /// An OCI image with a folder for each skill. It needs no program: `FROM scratch` and files are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImagePack>,
}

/// A pack in a ConfigMap.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapPack {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Digest that the ConfigMap's content must have, `sha256:` and 64 hexadecimal digits: the SHA-256 of each key and
    /// its value, in the order of the keys' bytes, each written as its length in bytes, `:`, itself and `,`. With it, a
    /// changed ConfigMap is refused until the digest is changed too, which restarts the gateway. Without it, each start
    /// of the Pod copies what the ConfigMap then has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
}

/// A pack in an OCI image.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePack {
    /// The image without its digest, such as `registry.example.com/skills/base` or
    /// `registry.example.com/skills/base:1.2.0`.
    #[schemars(
        length(min = 1, max = 255),
        regex(
            pattern = r"^[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"
        )
    )]
    pub reference: String,
    /// Digest of the image's manifest, `sha256:` and 64 hexadecimal digits: what is pulled, whatever the tag points to.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// Folder in the image that holds the skills' folders. Neither it nor a folder above it may be a symbolic link.
    #[serde(default = "default_path")]
    #[schemars(
        default = "default_path",
        length(min = 1, max = 200),
        regex(pattern = r"^/([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$")
    )]
    pub path: String,
}

impl ImagePack {
    /// The reference by which the image is pulled, with its digest.
    pub fn pinned(&self) -> String {
        format!("{}@{}", self.reference, self.digest)
    }
}

fn default_path() -> String {
    "/skills".into()
}
