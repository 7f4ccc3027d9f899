//! What is wrong with the inputs: code, place, problem and fix. Pure.

mod list;

use kr8tiv_crds::status::Reason;

pub use list::{Diagnostic, Diagnostics, ObjectName};

/// The kind of a problem. A code never changes its meaning and is never used again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Code {
    /// The Harness that a Tenant refers to does not exist.
    HarnessNotFound,
    /// A Tenant without `spec.tenantId` has no uid yet to make an id from.
    TenantIdUnknown,
    /// The compiler does not know the OpenClaw release.
    VersionUnsupported,
    /// The Harness is in another namespace and not shared with the Tenant's.
    HarnessNotShared,
    /// The Tenant configures a channel that its Harness does not allow.
    ChannelNotAllowed,
    /// An Agent names a model although its Harness locks the models.
    ModelLocked,
    /// A model names a provider of the Harness that does not serve it.
    ModelNotServed,
    /// A tool id is not one of this OpenClaw release.
    ToolUnknown,
    /// A tool is allowed that every gateway denies.
    ToolReserved,
    /// OpenClaw has no model provider of that name, and the Harness describes none.
    ProviderUnknown,
    /// A Tenant or an Agent asks for a tool that the level above it does not have.
    ToolWidened,
    /// `gateway.config` sets a path that the operator sets itself.
    ConfigPathOwned,
    /// A Tenant has more Agents than it may have.
    AgentsTooMany,
    /// Commands outside of the sandbox are allowed, and nobody is who may ask for them.
    ElevatedUnusable,
    /// A Tenant sets a part of its Pod or its Ingress that the operator sets itself.
    PodFieldProtected,
    /// A Tenant sets a variable of the gateway's environment that the operator sets itself.
    VariableOwned,
    /// An Agent has a skill that no pack of its Harness has.
    SkillUnknown,
    /// Agents have skills but not the tool with which they read them.
    SkillsUnreadable,
    /// Two Agents of a Tenant have the same id in OpenClaw.
    AgentIdTaken,
    /// Several Agents of a Tenant are the default one.
    DefaultAgentAmbiguous,
    /// A Tenant with several Agents has no default one.
    DefaultAgentMissing,
    /// Two Agents are bound to the same conversation.
    BindingTaken,
    /// An Agent is bound to a channel that its Tenant does not configure.
    BindingChannelMissing,
    /// Two channels have the same token: a bot has one consumer, and the two would take messages from each other.
    TokenTaken,
    /// Two workspace files of an Agent have the same name.
    WorkspaceFileTaken,
    /// An Agent is bound to an account that its Tenant does not configure.
    BindingAccountMissing,
    /// Others are bound to the same conversations over each account, so that a binding to every account gets nothing.
    BindingUnreachable,
    /// Two packs of a Harness have a skill of the same name.
    SkillTaken,
    /// Two packs of a Harness have the same name.
    PackTaken,
    /// An amount of processor, memory or storage makes no sense or is too small for a gateway.
    ResourcesInvalid,
    /// Nobody's messages in groups are answered.
    GroupsUnanswered,
    /// A key is given for a provider that no model uses.
    CredentialUnused,
    /// Two providers' keys would have the same environment variable.
    CredentialClash,
    /// The agents answer everybody who finds the channel.
    ChannelOpen,
    /// A name, an id or a file name has characters that it must not have.
    NameInvalid,
    /// OpenClaw would refuse the configuration, or start with it and misbehave.
    ConfigInvalid,
    /// A memory tag has characters that Supermemory does not take, or too many.
    ContainerTagInvalid,
    /// Context from Supermemory is wanted, and the Tenant has no key for it.
    MemoryKeyMissing,
    /// Context from Supermemory is wanted, and nothing is looked up.
    MemoryUnqueried,
    /// A webhook has no address, two of them, or one that is no URL.
    WebhookInvalid,
    /// A length of time is too short or too long for its purpose.
    IntervalInvalid,
    /// The order of recovery names an agent that the Tenant does not have.
    RecoveryAgentUnknown,
    /// A schedule, a time zone or hours make no sense.
    ScheduleInvalid,
    /// The gateway's image is of another release than the one that is compiled for.
    VersionMismatch,
    /// A text holds what looks like a password or a key.
    SecretInText,
    /// A tool is both allowed and denied.
    ToolsContradict,
    /// Commands of conversations with strangers run in the gateway, beside its keys.
    SandboxOff,
    /// A single agent is to hand work to others.
    PersonaInvalid,
    /// A channel is configured without an account.
    ChannelEmpty,
    /// Two accounts of a channel have the same name.
    AccountNameTaken,
    /// A binding has fields that its channel does not have or that exclude each other.
    BindingInvalid,
    /// A binding is to something that can't be a conversation of its channel.
    PeerInvalid,
    /// A new token of the gateway is asked for, and the token is the user's own.
    RotationUnused,
    /// Who a gateway may connect to, or who to it, is not said in a way that means somebody.
    NetworkPeerInvalid,
    /// The gateway's Pod has to reach an address that its NetworkPolicy does not let it reach.
    DestinationBlocked,
    /// What a Tenant adds to its Pod is not as in a Pod.
    PodTemplateInvalid,
    /// A variable of the gateway's environment has no value, or several.
    VariableInvalid,
    /// An Ingress is wanted, and the tenant's NetworkPolicy lets nobody in.
    IngressBlocked,
    /// A pack of skills has no source that can be used, or an image without its digest.
    PackSourceInvalid,
    /// An agent has more skills than OpenClaw lists to the model.
    SkillsTooMany,
    /// A workspace file is longer than OpenClaw gives to the model.
    FileTooLong,
    /// An agent's workspace files together are longer than OpenClaw gives to the model.
    WorkspaceTooLong,
    /// An object would be larger than the API server stores.
    ObjectTooLarge,
}

/// Every code, in the order of their numbers.
pub const CODES: [Code; 63] = [
    Code::HarnessNotFound,
    Code::TenantIdUnknown,
    Code::VersionUnsupported,
    Code::HarnessNotShared,
    Code::ChannelNotAllowed,
    Code::ModelLocked,
    Code::ModelNotServed,
    Code::ToolUnknown,
    Code::ToolReserved,
    Code::ProviderUnknown,
    Code::ToolWidened,
    Code::ConfigPathOwned,
    Code::AgentsTooMany,
    Code::ElevatedUnusable,
    Code::PodFieldProtected,
    Code::VariableOwned,
    Code::SkillUnknown,
    Code::SkillsUnreadable,
    Code::AgentIdTaken,
    Code::DefaultAgentAmbiguous,
    Code::DefaultAgentMissing,
    Code::BindingTaken,
    Code::BindingChannelMissing,
    Code::TokenTaken,
    Code::WorkspaceFileTaken,
    Code::BindingAccountMissing,
    Code::BindingUnreachable,
    Code::SkillTaken,
    Code::PackTaken,
    Code::ResourcesInvalid,
    Code::GroupsUnanswered,
    Code::CredentialUnused,
    Code::CredentialClash,
    Code::ChannelOpen,
    Code::NameInvalid,
    Code::ConfigInvalid,
    Code::ContainerTagInvalid,
    Code::MemoryKeyMissing,
    Code::MemoryUnqueried,
    Code::WebhookInvalid,
    Code::IntervalInvalid,
    Code::RecoveryAgentUnknown,
    Code::ScheduleInvalid,
    Code::VersionMismatch,
    Code::SecretInText,
    Code::ToolsContradict,
    Code::SandboxOff,
    Code::PersonaInvalid,
    Code::ChannelEmpty,
    Code::AccountNameTaken,
    Code::BindingInvalid,
    Code::PeerInvalid,
    Code::RotationUnused,
    Code::NetworkPeerInvalid,
    Code::DestinationBlocked,
    Code::PodTemplateInvalid,
    Code::VariableInvalid,
    Code::IngressBlocked,
    Code::PackSourceInvalid,
    Code::SkillsTooMany,
    Code::FileTooLong,
    Code::WorkspaceTooLong,
    Code::ObjectTooLarge,
];

impl Code {
    /// The code as users see it. Hundreds: 00 references, 01 policy, 02 composition, 03 single values, 04 limits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HarnessNotFound => "K8T0001",
            Self::TenantIdUnknown => "K8T0002",
            Self::VersionUnsupported => "K8T0003",
            Self::HarnessNotShared => "K8T0004",
            Self::ChannelNotAllowed => "K8T0101",
            Self::ModelLocked => "K8T0102",
            Self::ModelNotServed => "K8T0103",
            Self::ToolUnknown => "K8T0104",
            Self::ToolReserved => "K8T0105",
            Self::ProviderUnknown => "K8T0106",
            Self::ToolWidened => "K8T0107",
            Self::ConfigPathOwned => "K8T0108",
            Self::AgentsTooMany => "K8T0109",
            Self::ElevatedUnusable => "K8T0110",
            Self::PodFieldProtected => "K8T0111",
            Self::VariableOwned => "K8T0112",
            Self::SkillUnknown => "K8T0140",
            Self::SkillsUnreadable => "K8T0141",
            Self::AgentIdTaken => "K8T0201",
            Self::DefaultAgentAmbiguous => "K8T0202",
            Self::DefaultAgentMissing => "K8T0203",
            Self::BindingTaken => "K8T0204",
            Self::BindingChannelMissing => "K8T0205",
            Self::TokenTaken => "K8T0206",
            Self::WorkspaceFileTaken => "K8T0207",
            Self::BindingAccountMissing => "K8T0220",
            Self::BindingUnreachable => "K8T0221",
            Self::SkillTaken => "K8T0240",
            Self::PackTaken => "K8T0241",
            Self::ResourcesInvalid => "K8T0301",
            Self::GroupsUnanswered => "K8T0302",
            Self::CredentialUnused => "K8T0303",
            Self::CredentialClash => "K8T0304",
            Self::ChannelOpen => "K8T0305",
            Self::NameInvalid => "K8T0306",
            Self::ConfigInvalid => "K8T0307",
            Self::ContainerTagInvalid => "K8T0308",
            Self::MemoryKeyMissing => "K8T0309",
            Self::MemoryUnqueried => "K8T0310",
            Self::WebhookInvalid => "K8T0311",
            Self::IntervalInvalid => "K8T0312",
            Self::RecoveryAgentUnknown => "K8T0313",
            Self::ScheduleInvalid => "K8T0314",
            Self::VersionMismatch => "K8T0315",
            Self::SecretInText => "K8T0316",
            Self::ToolsContradict => "K8T0317",
            Self::SandboxOff => "K8T0318",
            Self::PersonaInvalid => "K8T0319",
            Self::ChannelEmpty => "K8T0320",
            Self::AccountNameTaken => "K8T0321",
            Self::BindingInvalid => "K8T0322",
            Self::PeerInvalid => "K8T0323",
            Self::RotationUnused => "K8T0324",
            Self::NetworkPeerInvalid => "K8T0325",
            Self::DestinationBlocked => "K8T0326",
            Self::PodTemplateInvalid => "K8T0327",
            Self::VariableInvalid => "K8T0328",
            Self::IngressBlocked => "K8T0329",
            Self::PackSourceInvalid => "K8T0340",
            Self::SkillsTooMany => "K8T0341",
            Self::FileTooLong => "K8T0401",
            Self::WorkspaceTooLong => "K8T0402",
            Self::ObjectTooLarge => "K8T0403",
        }
    }

    /// Whether the problem keeps the tenant from being compiled.
    pub fn severity(self) -> Severity {
        match self {
            Self::ElevatedUnusable
            | Self::SkillsUnreadable
            | Self::GroupsUnanswered
            | Self::CredentialUnused
            | Self::ChannelOpen
            | Self::MemoryKeyMissing
            | Self::MemoryUnqueried
            | Self::RecoveryAgentUnknown
            | Self::RotationUnused
            | Self::DestinationBlocked
            | Self::IngressBlocked
            | Self::SandboxOff => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The reason of the condition that shows the problem.
    pub fn reason(self) -> Reason {
        match self {
            Self::HarnessNotFound => Reason::HarnessNotFound,
            Self::TokenTaken => Reason::Conflict,
            _ => Reason::Invalid,
        }
    }
}

/// How grave a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Nothing is compiled.
    Error,
    /// It is compiled, and probably not what was meant.
    Warning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_complete() {
        let mut texts: Vec<_> = CODES.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted(), "in the order of their numbers");
        texts.dedup();
        assert_eq!(texts.len(), CODES.len());
    }
}
