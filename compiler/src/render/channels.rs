//! The section `channels` of `openclaw.json`. Pure.
//!
//! Every account has all of its settings: OpenClaw fills what an account leaves out from the channel, or for WhatsApp
//! from the account `default`, and its JSON schema wants `dmPolicy` and `groupPolicy` where they have defaults.

use std::collections::BTreeSet;

use kr8tiv_crds::channels::{
    ChannelName, DEFAULT_ACCOUNT, DiscordAccount, DiscordGuild, SlackAccount, TelegramAccount,
    WhatsappAccount,
};
use kr8tiv_crds::harness::ChannelPolicy;
use serde_json::{Map, Value, json};

use crate::channels::{Account, Kind, accounts, configured};
use crate::render::config::secret;
use crate::resolve::Resolved;

/// What OpenClaw takes without a limit of one's own; its JSON schema wants it said.
const WHATSAPP_MEDIA_MEGABYTES: u32 = 50;

/// The channels of a tenant.
pub(crate) fn render(resolved: &Resolved<'_>) -> Value {
    let policy = &resolved.harness.channels;
    let all = accounts(&resolved.tenant.spec.channels);
    let mut channels = json!({"defaults": {"groupPolicy": "allowlist", "contextVisibility": "allowlist"}});
    for name in configured(&resolved.tenant.spec.channels) {
        let accounts: Vec<_> = all.iter().filter(|account| account.channel == name).collect();
        channels[name.as_str()] = channel(name, &accounts, policy);
    }
    channels
}

fn channel(name: ChannelName, accounts: &[&Account<'_>], policy: &ChannelPolicy) -> Value {
    let default = accounts
        .iter()
        .find(|account| account.name == DEFAULT_ACCOUNT)
        .or(accounts.first())
        .map_or(DEFAULT_ACCOUNT, |account| account.name);
    let mut channel = json!({
        "enabled": true,
        "dmPolicy": "pairing",
        "groupPolicy": "allowlist",
        "defaultAccount": default,
        "accounts": accounts
            .iter()
            .map(|each| (each.name.to_owned(), account(each, policy)))
            .collect::<Map<_, _>>(),
    });
    match name {
        ChannelName::Slack => {
            channel["mode"] = json!("socket");
            channel["postAs"] = json!("bot");
            channel["webhookPath"] = json!("/slack/events");
            channel["userTokenReadOnly"] = json!(true);
        }
        ChannelName::Whatsapp => channel["mediaMaxMb"] = json!(WHATSAPP_MEDIA_MEGABYTES),
        ChannelName::Discord | ChannelName::Telegram => {}
    }
    channel
}

fn account(account: &Account<'_>, policy: &ChannelPolicy) -> Value {
    let everyone = BTreeSet::from(["*"]);
    let (dm_policy, admitted) = match (policy.dm_pairing_required, account.admitted.is_empty()) {
        (true, _) => ("pairing", &account.admitted),
        (false, false) => ("allowlist", &account.admitted),
        (false, true) => ("open", &everyone),
    };
    let (_, answers_groups) = account.kind.groups();
    let mut rendered = json!({
        "enabled": true,
        "dmPolicy": dm_policy,
        "allowFrom": admitted,
        // Without anybody on its list, OpenClaw would go by `allowFrom` instead.
        "groupPolicy": if answers_groups { "allowlist" } else { "disabled" },
        "configWrites": false,
    });
    for credential in &account.credentials {
        rendered[credential.key] = secret(&credential.variable);
    }
    let special = match account.kind {
        Kind::Discord(account) => discord(account, policy),
        Kind::Slack(account) => slack(account, policy),
        Kind::Telegram(account) => telegram(account, policy),
        Kind::Whatsapp(account) => whatsapp(account, policy),
    };
    if let (Value::Object(rendered), Value::Object(special)) = (&mut rendered, special) {
        rendered.extend(special);
    }
    rendered
}

fn telegram(account: &TelegramAccount, policy: &ChannelPolicy) -> Value {
    json!({
        "groupAllowFrom": set(&account.group_allow_from),
        "groups": {"*": {"requireMention": policy.mention_gating}},
        "joinIntro": false,
        "commands": no_commands(),
    })
}

fn discord(account: &DiscordAccount, policy: &ChannelPolicy) -> Value {
    let guilds: Map<_, _> =
        account.guilds.iter().map(|each| (each.id.clone(), guild(each, policy))).collect();
    json!({
        "guilds": guilds,
        "dm": {"enabled": true, "groupEnabled": false},
        "allowBots": false,
        "joinIntro": false,
        "commands": no_commands(),
        "voice": {"enabled": false},
        // Talking is what the agents are there for; running the server is not.
        "actions": {
            "channels": false, "emojiUploads": false, "events": false, "moderation": false, "permissions": false,
            "presence": false, "roles": false, "stickerUploads": false,
        },
    })
}

fn guild(guild: &DiscordGuild, policy: &ChannelPolicy) -> Value {
    let mut rendered = json!({"requireMention": policy.mention_gating});
    // A list without an entry would mean nobody.
    for (key, ids) in [("users", &guild.users), ("roles", &guild.roles)] {
        if !ids.is_empty() {
            rendered[key] = json!(set(ids));
        }
    }
    if !guild.channels.is_empty() {
        rendered["channels"] = guild
            .channels
            .iter()
            .map(|id| (id.clone(), json!({"enabled": true, "requireMention": policy.mention_gating})))
            .collect::<Map<_, _>>()
            .into();
    }
    rendered
}

fn slack(account: &SlackAccount, policy: &ChannelPolicy) -> Value {
    let rooms: Map<_, _> = account
        .channels
        .iter()
        .map(|room| {
            let mut rendered = json!({"enabled": true, "requireMention": policy.mention_gating});
            if !room.users.is_empty() {
                rendered["users"] = json!(set(&room.users));
            }
            (room.id.clone(), rendered)
        })
        .collect();
    json!({
        "mode": "socket",
        "channels": rooms,
        "requireMention": policy.mention_gating,
        "dm": {"enabled": true, "groupEnabled": false},
        "allowBots": false,
        "joinIntro": false,
        "commands": no_commands(),
        "slashCommand": {"enabled": false},
    })
}

fn whatsapp(account: &WhatsappAccount, policy: &ChannelPolicy) -> Value {
    json!({
        "groupAllowFrom": set(&account.group_allow_from),
        "groups": {"*": {"requireMention": policy.mention_gating}},
        "selfChatMode": account.self_chat,
    })
}

fn no_commands() -> Value {
    json!({"native": false, "nativeSkills": false})
}

fn set(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}
