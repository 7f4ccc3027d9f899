//! Conditions: their types, their reasons, and how a new set replaces an old one. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;

/// What a condition speaks of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd)]
pub enum ConditionType {
    /// The summary: the current generation is served. Always present.
    Ready,
    /// The spec, with everything it refers to, makes a valid OpenClaw configuration.
    Compiled,
    /// The gateway is up and answers. It may still serve an earlier generation: `Ready` tells.
    GatewayReady,
    /// The running gateway says that it has the compiled configuration.
    ConfigApplied,
    /// What the Harness locks holds in the running gateway: its configuration is the compiled one, and the files that
    /// belong to the operator are as compiled.
    PolicyEnforced,
    /// The watchdog beside the gateway answers.
    WatchdogHealthy,
    /// The packs of skills are in the gateway. Present while its Harness has any. The gateway runs without a pack that
    /// can't be had, so `Ready` does not depend on it.
    SkillsReady,
    /// The plugins that the channels need are in the gateway. Present while a channel needs one. The gateway runs
    /// without a plugin that can't be had, so `Ready` does not depend on it.
    PluginsReady,
    /// Present only while true: the gateway serves, and something about it is wrong; the message says what. `Ready` does
    /// not depend on it.
    Degraded,
    /// Present only while true: a file that belongs to the operator was changed within the last minutes. It has been put
    /// back.
    Drifted,
    /// Context from Supermemory is fetched. Present while the Harness asks for it or the Tenant has a key for it. The
    /// gateway runs with the context that was fetched last, so `Ready` does not depend on it.
    MemoryHealthy,
    /// The tools of conversations other than main sessions have the sandbox that they run in. Present while the Harness
    /// asks for one and an agent has such a tool. The gateway runs without it, and these tools fail; `Ready` does not
    /// depend on it.
    SandboxReady,
    /// The Agent's Tenant exists.
    Accepted,
    /// Present only while true: `spec.suspend` is set. The gateway is stopped, or about to be.
    Suspended,
    /// Present only while true: the operator is on the way to the current generation, or waits for an object
    /// that is referred to and missing (kstatus).
    Reconciling,
    /// Present only while true: the operator can't get further until somebody changes something (kstatus).
    Stalled,
}

impl ConditionType {
    /// The type as written in a status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Compiled => "Compiled",
            Self::GatewayReady => "GatewayReady",
            Self::ConfigApplied => "ConfigApplied",
            Self::PolicyEnforced => "PolicyEnforced",
            Self::WatchdogHealthy => "WatchdogHealthy",
            Self::Degraded => "Degraded",
            Self::Drifted => "Drifted",
            Self::SkillsReady => "SkillsReady",
            Self::PluginsReady => "PluginsReady",
            Self::MemoryHealthy => "MemoryHealthy",
            Self::SandboxReady => "SandboxReady",
            Self::Accepted => "Accepted",
            Self::Suspended => "Suspended",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Why a condition is as it is. The list is closed: alerts and scripts may rely on it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
pub enum Reason {
    /// Everything is as it should be.
    Succeeded,
    /// The gateway answers.
    Serving,
    /// The gateway's Pod is being created or started.
    Starting,
    /// The gateway runs and a newer configuration is on its way to it.
    Delivering,
    /// The Tenant is suspended.
    Suspended,
    /// The Pod of the gateway, or of a sandbox, can't be placed on a node.
    Unschedulable,
    /// An image of such a Pod can't be had.
    ImagePullFailed,
    /// A container of such a Pod can't be created, for example for want of a Secret or a volume.
    ContainerConfigFailed,
    /// A container of such a Pod ends again and again.
    CrashLoop,
    /// The gateway finishes its running turns before it stops or restarts.
    Draining,
    /// The gateway's Pod runs, and the gateway does not serve; the message says how.
    GatewayDown,
    /// The gateway refuses the configuration and goes on with the last good one.
    ConfigRejected,
    /// The gateway does not take over the configuration that it has on disk.
    ConfigNotApplied,
    /// The watchdog beside the gateway does not answer.
    WatchdogUnreachable,
    /// The gateway answers HTTP, and not the watchdog's questions over its WebSocket.
    RpcUnavailable,
    /// The gateway says that a part of it is not ready.
    NotReady,
    /// An account of a channel is not connected.
    ChannelDown,
    /// The gateway lacks a channel of its configuration: its plugin is missing.
    ChannelMissing,
    /// The last call of a model ended in an error.
    ModelProviderFailing,
    /// The gateway's volume is nearly full.
    DiskFull,
    /// The gateway takes nearly as much memory as its container may.
    MemoryHigh,
    /// The gateway's event loop is blocked for long or most of the time.
    EventLoopDegraded,
    /// A file that belongs to the operator was changed, and has been put back.
    FileChanged,
    /// The Harness that the Tenant refers to does not exist.
    HarnessNotFound,
    /// The Tenant that the Agent refers to does not exist.
    TenantNotFound,
    /// A Secret, or a key in it, that the Tenant refers to does not exist.
    SecretNotFound,
    /// The spec is contradictory or not allowed; the message has each problem with its fix.
    Invalid,
    /// Something that must be unique or our own is somebody else's.
    Conflict,
    /// The gateway runs without a pack of skills; the message names each, and why.
    SkillPackUnavailable,
    /// The gateway runs without the plugin of a channel; the message names each, and why.
    PluginUnavailable,
    /// The Tenant has a key for Supermemory, and its Harness asks for nothing.
    Disabled,
    /// There is no key for Supermemory: none is named, or it is not in its Secret. Supermemory is not asked.
    NoApiKey,
    /// Supermemory, or a sandbox, refuses the key.
    AuthFailed,
    /// The plan at Supermemory is used up.
    QuotaExceeded,
    /// Supermemory asks for fewer requests.
    RateLimited,
    /// Supermemory did not answer in time.
    Timeout,
    /// Supermemory, or a sandbox, can't be reached or is out of order; or Supermemory may not be talked to at its address.
    Unreachable,
    /// A sandbox shows another host key than the operator has made for it.
    HostKeyMismatch,
    /// What answers at the base URL is no Supermemory, or one of another API.
    BadResponse,
    /// The API server refused an object of the tenant.
    ApplyFailed,
    /// Another object of the same tenant is at fault; its condition says more.
    TenantInvalid,
    /// The stored object can't be read by this version of the operator.
    Unreadable,
    /// The operator has a fault that this object brings out.
    InternalError,
}

impl Reason {
    /// The reason as written in a status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Serving => "Serving",
            Self::Starting => "Starting",
            Self::Delivering => "Delivering",
            Self::Suspended => "Suspended",
            Self::Unschedulable => "Unschedulable",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::ContainerConfigFailed => "ContainerConfigFailed",
            Self::CrashLoop => "CrashLoop",
            Self::Draining => "Draining",
            Self::GatewayDown => "GatewayDown",
            Self::ConfigRejected => "ConfigRejected",
            Self::ConfigNotApplied => "ConfigNotApplied",
            Self::WatchdogUnreachable => "WatchdogUnreachable",
            Self::RpcUnavailable => "RpcUnavailable",
            Self::NotReady => "NotReady",
            Self::ChannelDown => "ChannelDown",
            Self::ChannelMissing => "ChannelMissing",
            Self::ModelProviderFailing => "ModelProviderFailing",
            Self::DiskFull => "DiskFull",
            Self::MemoryHigh => "MemoryHigh",
            Self::EventLoopDegraded => "EventLoopDegraded",
            Self::FileChanged => "FileChanged",
            Self::HarnessNotFound => "HarnessNotFound",
            Self::TenantNotFound => "TenantNotFound",
            Self::SecretNotFound => "SecretNotFound",
            Self::Invalid => "Invalid",
            Self::Conflict => "Conflict",
            Self::SkillPackUnavailable => "SkillPackUnavailable",
            Self::PluginUnavailable => "PluginUnavailable",
            Self::Disabled => "Disabled",
            Self::NoApiKey => "NoApiKey",
            Self::AuthFailed => "AuthFailed",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::RateLimited => "RateLimited",
            Self::Timeout => "Timeout",
            Self::Unreachable => "Unreachable",
            Self::HostKeyMismatch => "HostKeyMismatch",
            Self::BadResponse => "BadResponse",
            Self::ApplyFailed => "ApplyFailed",
            Self::TenantInvalid => "TenantInvalid",
            Self::Unreadable => "Unreadable",
            Self::InternalError => "InternalError",
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It can't be told.
    Unknown,
}

impl ConditionStatus {
    /// The status as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition as a pass finds it: without the times, which [`conditions`] adds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it speaks of.
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, by the closed list.
    pub reason: Reason,
    /// Why, for people: stable text, without times, counters and names of Pods.
    pub message: String,
}

impl Finding {
    /// What a stored condition says, for a pass that finds nothing newer. `None` for a condition that this version does
    /// not know.
    pub fn kept(condition: &Condition) -> Option<Self> {
        let status = match condition.status.as_str() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            "Unknown" => ConditionStatus::Unknown,
            _ => return None,
        };
        let (type_, reason) = (named(&condition.type_)?, named(&condition.reason)?);
        Some(Self { type_, status, reason, message: condition.message.clone() })
    }
}

/// The value of an enumeration by the name that is written.
fn named<'a, T: Deserialize<'a>>(name: &'a str) -> Option<T> {
    T::deserialize(BorrowedStrDeserializer::<serde::de::value::Error>::new(name)).ok()
}

/// `metav1.Condition` allows messages of this many bytes.
const MESSAGE_LIMIT: usize = 32_768;

/// Makes the conditions of a status from this pass's findings. A condition whose status did not change keeps its
/// `lastTransitionTime`; one that is not found any more is dropped. The order is that of `findings`.
pub fn conditions(
    previous: &[Condition],
    findings: Vec<Finding>,
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    findings
        .into_iter()
        .map(|finding| {
            let since = previous
                .iter()
                .find(|old| old.type_ == finding.type_.as_str() && old.status == finding.status.as_str())
                .map_or_else(|| now.clone(), |old| old.last_transition_time.clone());
            Condition {
                type_: finding.type_.as_str().into(),
                status: finding.status.as_str().into(),
                reason: finding.reason.as_str().into(),
                message: truncated(finding.message),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

fn truncated(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        message.truncate(message.floor_char_boundary(MESSAGE_LIMIT - '…'.len_utf8()));
        message.push('…');
    }
    message
}

/// The schema of `status.conditions`: a list keyed by type, as the API conventions ask for, so that server-side
/// apply merges conditions of several writers.
pub(crate) fn conditions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "description": "What the condition speaks of."
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds."
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "description": "Why, in one word from a closed list."
                },
                "message": {
                    "type": "string",
                    "maxLength": MESSAGE_LIMIT,
                    "description": "Why, and what to do, for people."
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The metadata.generation that the condition speaks of."
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the status last changed."
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    fn finding(status: ConditionStatus, message: &str) -> Finding {
        Finding { type_: ConditionType::Ready, status, reason: Reason::Starting, message: message.into() }
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let first = conditions(&[], vec![finding(ConditionStatus::False, "a")], Some(1), &at(10));
        let same = conditions(&first, vec![finding(ConditionStatus::False, "b")], Some(2), &at(20));
        assert_eq!(same[0].last_transition_time, at(10));
        assert_eq!((same[0].message.as_str(), same[0].observed_generation), ("b", Some(2)));
        let changed = conditions(&same, vec![finding(ConditionStatus::True, "b")], Some(2), &at(30));
        assert_eq!(changed[0].last_transition_time, at(30));
        assert!(conditions(&changed, vec![], Some(2), &at(40)).is_empty());
    }

    #[test]
    fn a_condition_is_kept_as_it_is_stored() {
        let found = finding(ConditionStatus::False, "a");
        let mut stored = conditions(&[], vec![found.clone()], Some(1), &at(10)).remove(0);
        assert_eq!(Finding::kept(&stored), Some(found));
        stored.reason = "OfTheFuture".into();
        assert_eq!(Finding::kept(&stored), None);
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        let cut = truncated("ä".repeat(MESSAGE_LIMIT));
        assert!(cut.len() <= MESSAGE_LIMIT && cut.ends_with('…'));
    }
}
