//! The part of the Compose Specification that is written. Types only.

use serde::{Serialize, Serializer};

/// A map whose keys stay in the order in which they are written.
#[derive(Debug)]
pub(super) struct Ordered<V>(pub(super) Vec<(String, V)>);

impl<V: Serialize> Serialize for Ordered<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<V> Ordered<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A text in which variables are replaced: a dollar sign of its own is written twice.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Text(String);

impl Text {
    /// A text without variables.
    pub(super) fn literal(text: &str) -> Self {
        Self(text.replace('$', "$$"))
    }

    /// A variable; when it is not set or empty, Compose stops and says `message`. The message has no `}`.
    pub(super) fn required(variable: &str, message: &str) -> Self {
        Self(format!("${{{variable}:?{message}}}"))
    }

    /// A variable, or what is taken when it is not set or empty.
    pub(super) fn or(variable: &str, default: impl std::fmt::Display) -> Self {
        Self(format!("${{{variable}:-{default}}}"))
    }

    pub(super) fn push(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }
}

/// The file.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// The project: what containers and volumes are called after.
    pub(super) name: String,
    pub(super) services: Ordered<Service>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) volumes: Ordered<Nothing>,
}

/// An element without settings.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// A container.
#[derive(Debug, Default, Serialize)]
pub(super) struct Service {
    pub(super) image: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pull_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entrypoint: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) working_dir: Option<Text>,
    pub(super) user: String,
    /// A value of `None` is taken from where Compose runs, and not set when it is not set there.
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) environment: Ordered<Option<Text>>,
    #[serde(skip_serializing_if = "is_not")]
    pub(super) read_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cap_drop: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cap_add: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) security_opt: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_mode: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<Port>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volumes: Vec<Mount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tmpfs: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deploy: Option<Deploy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) depends_on: Ordered<Dependency>,
    pub(super) restart: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_grace_period: Option<String>,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A port of this machine that leads into the containers.
#[derive(Debug, Serialize)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) host_ip: &'static str,
    pub(super) published: Text,
    pub(super) target: i32,
    pub(super) protocol: String,
}

/// Something mounted.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Mount {
    /// A named volume.
    Volume {
        source: Text,
        target: Text,
        #[serde(skip_serializing_if = "is_not")]
        read_only: bool,
    },
    /// A folder of the bundle.
    Bind {
        source: Text,
        target: Text,
        #[serde(skip_serializing_if = "is_not")]
        read_only: bool,
        bind: BindOptions,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_not(setting: &bool) -> bool {
    !setting
}

/// What happens when a folder is not there.
#[derive(Debug, Serialize)]
pub(super) struct BindOptions {
    pub(super) create_host_path: bool,
}

/// How much a container may take.
#[derive(Debug, Serialize)]
pub(super) struct Deploy {
    pub(super) resources: Resources,
}

/// Limits, and what is set aside.
#[derive(Debug, Default, Serialize)]
pub(super) struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<Amounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reservations: Option<Amounts>,
}

/// Processors, and memory with a unit.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Amounts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<String>,
}

/// How a container is asked whether it is well.
#[derive(Debug, Serialize)]
pub(super) struct Healthcheck {
    pub(super) test: Vec<Text>,
    pub(super) interval: String,
    pub(super) timeout: String,
    pub(super) retries: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_period: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_interval: Option<String>,
}

/// What another container must have reached.
#[derive(Debug, Serialize)]
pub(super) struct Dependency {
    pub(super) condition: Condition,
}

/// How far another container must have come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) enum Condition {
    #[serde(rename = "service_started")]
    Started,
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Completed,
}
