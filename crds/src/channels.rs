//! Messaging channels: which there are, and the accounts with which a tenant is connected to them. Types only.
//!
//! An account is one bot or one telephone number. What is called `accounts` here is OpenClaw's
//! `channels.<channel>.accounts`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::SecretKeyReference;

/// The account that OpenClaw uses where none is named, and the name of an account that gives none.
pub const DEFAULT_ACCOUNT: &str = "default";

/// A messaging channel, by OpenClaw's name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelName {
    /// Discord, by a bot.
    Discord,
    /// Slack, by an app in socket mode.
    Slack,
    /// Telegram, by a bot.
    Telegram,
    /// WhatsApp, by a telephone number that is linked by scanning a code.
    Whatsapp,
}

impl ChannelName {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Discord, Self::Slack, Self::Telegram, Self::Whatsapp];

    /// The channel's id in openclaw.json.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discord => "discord",
            Self::Slack => "slack",
            Self::Telegram => "telegram",
            Self::Whatsapp => "whatsapp",
        }
    }
}

/// The messaging channels of a tenant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Channels {
    /// Discord bots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discord: Option<Discord>,
    /// Slack apps. They are connected in socket mode, which needs no way into the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// Telegram bots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram: Option<Telegram>,
    /// WhatsApp numbers. Each is linked once, by a code that the telephone scans; the link is kept on the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp: Option<Whatsapp>,
}

/// Telegram bots.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Telegram {
    /// Telegram user ids of the tenant's owners. They may use the owner's commands (not where an agent has
    /// `exec`), and write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub owners: Vec<String>,
    /// The bots. Most tenants have one, which needs no name.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub accounts: Vec<TelegramAccount>,
}

/// A Telegram bot.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TelegramAccount {
    /// The account's name, to which bindings refer.
    #[serde(default = "default_account")]
    #[schemars(
        default = "default_account",
        length(min = 1, max = 32),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The bot's token, as Telegram's BotFather gives it.
    pub bot_token_secret_ref: SecretKeyReference,
    /// Telegram user ids that may write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub allow_from: Vec<String>,
    /// Telegram user ids whose messages in groups are answered. Empty: nobody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub group_allow_from: Vec<String>,
}

/// Discord bots.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Discord {
    /// Discord user ids of the tenant's owners. They may use the owner's commands (not where an agent has
    /// `exec`), and write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub owners: Vec<String>,
    /// The bots. Most tenants have one, which needs no name.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub accounts: Vec<DiscordAccount>,
}

/// A Discord bot. Its application needs the privileged intent "Message Content".
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscordAccount {
    /// The account's name, to which bindings refer.
    #[serde(default = "default_account")]
    #[schemars(
        default = "default_account",
        length(min = 1, max = 32),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The bot's token, from Discord's developer portal.
    pub token_secret_ref: SecretKeyReference,
    /// Discord user ids that may write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub allow_from: Vec<String>,
    /// The servers in which messages are answered. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub guilds: Vec<DiscordGuild>,
}

/// A Discord server, and who is answered there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscordGuild {
    /// Id of the server.
    #[schemars(length(max = 20), regex(pattern = r"^[0-9]+$"))]
    pub id: String,
    /// User ids that are answered. Without `users` and `roles`, every member of the server is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub users: Vec<String>,
    /// Ids of roles whose members are answered, besides `users`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub roles: Vec<String>,
    /// Ids of the server's channels in which messages are answered. Empty: all that the bot can see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 20), regex(pattern = r"^[0-9]+$")))]
    pub channels: Vec<String>,
}

/// Slack apps.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slack {
    /// Slack member ids of the tenant's owners. They may use the owner's commands (not where an agent has
    /// `exec`), and write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 20), regex(pattern = r"^[UW][A-Z0-9]+$")))]
    pub owners: Vec<String>,
    /// The apps, one for each workspace. Most tenants have one, which needs no name.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub accounts: Vec<SlackAccount>,
}

/// A Slack app in one workspace.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlackAccount {
    /// The account's name, to which bindings refer.
    #[serde(default = "default_account")]
    #[schemars(
        default = "default_account",
        length(min = 1, max = 32),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The bot token of the app in the workspace, `xoxb-…`.
    pub bot_token_secret_ref: SecretKeyReference,
    /// The app-level token with the scope `connections:write`, `xapp-…`.
    pub app_token_secret_ref: SecretKeyReference,
    /// Slack member ids that may write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 20), regex(pattern = r"^[UW][A-Z0-9]+$")))]
    pub allow_from: Vec<String>,
    /// The Slack channels in which messages are answered. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub channels: Vec<SlackRoom>,
}

/// A Slack channel, and who is answered there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlackRoom {
    /// Id of the Slack channel, such as `C12345678`. A name would not do: it can change.
    #[schemars(length(max = 20), regex(pattern = r"^[CG][A-Z0-9]+$"))]
    pub id: String,
    /// Slack member ids that are answered. Empty: everybody in the Slack channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 20), regex(pattern = r"^[UW][A-Z0-9]+$")))]
    pub users: Vec<String>,
}

/// WhatsApp numbers.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Whatsapp {
    /// Telephone numbers of the tenant's owners, `+15551234567`. They may use the owner's commands (not
    /// where an agent has `exec`), and write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 16), regex(pattern = r"^\+[1-9][0-9]{5,14}$")))]
    pub owners: Vec<String>,
    /// The numbers under which the agents are reached. Most tenants have one, which needs no name.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub accounts: Vec<WhatsappAccount>,
}

/// A WhatsApp number. It has no token: `openclaw channels login` in the gateway's container shows the code with
/// which the telephone links it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatsappAccount {
    /// The account's name, to which bindings refer. The link on the volume belongs to the name.
    #[serde(default = "default_account")]
    #[schemars(
        default = "default_account",
        length(min = 1, max = 32),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Telephone numbers that may write direct messages without pairing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 16), regex(pattern = r"^\+[1-9][0-9]{5,14}$")))]
    pub allow_from: Vec<String>,
    /// Telephone numbers whose messages in groups are answered. Empty: nobody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 16), regex(pattern = r"^\+[1-9][0-9]{5,14}$")))]
    pub group_allow_from: Vec<String>,
    /// Whether messages that the number sends to itself are for the agents: for a person who links their own
    /// number instead of giving the agents one.
    #[serde(default)]
    #[schemars(default)]
    pub self_chat: bool,
}

fn default_account() -> String {
    DEFAULT_ACCOUNT.into()
}
