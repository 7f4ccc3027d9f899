//! The accounts of a tenant's channels, alike for all channels: names, paths, secrets, who is let in. Facts for the
//! later stages; pure.

use std::collections::BTreeSet;

use kr8tiv_crds::channels::{
    ChannelName, Channels, DEFAULT_ACCOUNT, DiscordAccount, SlackAccount, TelegramAccount, WhatsappAccount,
};
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::tenant::TenantSpec;

pub(crate) mod check;

/// One account of a channel.
#[derive(Clone, Debug)]
pub(crate) struct Account<'a> {
    pub(crate) channel: ChannelName,
    pub(crate) name: &'a str,
    /// Path in the Tenant, such as `spec.channels.telegram.accounts[0]`.
    pub(crate) field: String,
    pub(crate) credentials: Vec<Credential<'a>>,
    /// Who may write direct messages without pairing: the owners and those in `allowFrom`.
    pub(crate) admitted: BTreeSet<&'a str>,
    pub(crate) kind: Kind<'a>,
}

/// What only accounts of one channel have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Discord(&'a DiscordAccount),
    Slack(&'a SlackAccount),
    Telegram(&'a TelegramAccount),
    Whatsapp(&'a WhatsappAccount),
}

/// A token of an account.
#[derive(Clone, Debug)]
pub(crate) struct Credential<'a> {
    /// Name of the field that refers to the Secret, within the account.
    pub(crate) field: &'static str,
    /// Key of the token in the account's part of openclaw.json.
    pub(crate) key: &'static str,
    /// Environment variable of the token in the gateway.
    pub(crate) variable: String,
    pub(crate) secret: &'a SecretKeyReference,
}

/// A token that an account of a tenant claims for itself. A bot's token has one consumer: two accounts with the
/// same one take each other's messages.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CredentialClaim {
    /// The channel.
    pub channel: ChannelName,
    /// The account's name.
    pub account: String,
    /// Path of the field in the Tenant, such as `spec.channels.telegram.accounts[0].botTokenSecretRef`.
    pub field: String,
    /// The Secret and its key, in the tenant's namespace.
    pub secret: SecretKeyReference,
}

/// The tokens that a tenant's accounts claim, by channel and account.
pub fn credential_claims(tenant: &TenantSpec) -> Vec<CredentialClaim> {
    let claims = accounts(&tenant.channels).into_iter().flat_map(|account| {
        let Account { channel, name, field, credentials, .. } = account;
        credentials.into_iter().map(move |credential| CredentialClaim {
            channel,
            account: name.to_owned(),
            field: format!("{field}.{}", credential.field),
            secret: credential.secret.clone(),
        })
    });
    claims.collect()
}

/// The channels that a tenant configures.
pub(crate) fn configured(channels: &Channels) -> Vec<ChannelName> {
    let Channels { discord, slack, telegram, whatsapp } = channels;
    let present = [
        (ChannelName::Discord, discord.is_some()),
        (ChannelName::Slack, slack.is_some()),
        (ChannelName::Telegram, telegram.is_some()),
        (ChannelName::Whatsapp, whatsapp.is_some()),
    ];
    present.into_iter().filter_map(|(channel, present)| present.then_some(channel)).collect()
}

/// Every account, by channel and name.
pub(crate) fn accounts(channels: &Channels) -> Vec<Account<'_>> {
    let Channels { discord, slack, telegram, whatsapp } = channels;
    let mut accounts = Vec::new();
    if let Some(discord) = discord {
        for (position, account) in discord.accounts.iter().enumerate() {
            let token = ("tokenSecretRef", "token", "BOT_TOKEN", &account.token_secret_ref);
            let people = people(&discord.owners, &account.allow_from);
            accounts.push(self::account(&account.name, position, people, &[token], Kind::Discord(account)));
        }
    }
    if let Some(slack) = slack {
        for (position, account) in slack.accounts.iter().enumerate() {
            let tokens = [
                ("botTokenSecretRef", "botToken", "BOT_TOKEN", &account.bot_token_secret_ref),
                ("appTokenSecretRef", "appToken", "APP_TOKEN", &account.app_token_secret_ref),
            ];
            let people = people(&slack.owners, &account.allow_from);
            accounts.push(self::account(&account.name, position, people, &tokens, Kind::Slack(account)));
        }
    }
    if let Some(telegram) = telegram {
        for (position, account) in telegram.accounts.iter().enumerate() {
            let token = ("botTokenSecretRef", "botToken", "BOT_TOKEN", &account.bot_token_secret_ref);
            let people = people(&telegram.owners, &account.allow_from);
            accounts.push(self::account(&account.name, position, people, &[token], Kind::Telegram(account)));
        }
    }
    if let Some(whatsapp) = whatsapp {
        for (position, account) in whatsapp.accounts.iter().enumerate() {
            let people = people(&whatsapp.owners, &account.allow_from);
            accounts.push(self::account(&account.name, position, people, &[], Kind::Whatsapp(account)));
        }
    }
    accounts.sort_by(|a, b| (a.channel, a.name).cmp(&(b.channel, b.name)));
    accounts
}

/// Who may use the owner's commands, as `<channel>:<id>`.
pub(crate) fn owners(channels: &Channels) -> BTreeSet<String> {
    let Channels { discord, slack, telegram, whatsapp } = channels;
    let discord = discord.iter().flat_map(|discord| &discord.owners).map(|id| (ChannelName::Discord, id));
    let slack = slack.iter().flat_map(|slack| &slack.owners).map(|id| (ChannelName::Slack, id));
    let telegram =
        telegram.iter().flat_map(|telegram| &telegram.owners).map(|id| (ChannelName::Telegram, id));
    let whatsapp =
        whatsapp.iter().flat_map(|whatsapp| &whatsapp.owners).map(|id| (ChannelName::Whatsapp, id));
    let all = discord.chain(slack).chain(telegram).chain(whatsapp);
    all.map(|(channel, id)| format!("{}:{id}", channel.as_str())).collect()
}

/// The channels of a tenant that are not part of OpenClaw's package, but a plugin that has to be installed.
pub(crate) fn from_plugins(channels: &Channels) -> Vec<ChannelName> {
    configured(channels).into_iter().filter(|channel| *channel != ChannelName::Telegram).collect()
}

fn people<'a>(owners: &'a [String], allow_from: &'a [String]) -> BTreeSet<&'a str> {
    owners.iter().chain(allow_from).map(String::as_str).collect()
}

fn account<'a>(
    name: &'a str,
    position: usize,
    admitted: BTreeSet<&'a str>,
    tokens: &[(&'static str, &'static str, &'static str, &'a SecretKeyReference)],
    kind: Kind<'a>,
) -> Account<'a> {
    let channel = kind.channel();
    let credentials = tokens.iter().map(|&(field, key, token, secret)| Credential {
        field,
        key,
        variable: variable(channel, name, token),
        secret,
    });
    Account {
        channel,
        name,
        field: format!("spec.channels.{}.accounts[{position}]", channel.as_str()),
        credentials: credentials.collect(),
        admitted,
        kind,
    }
}

/// The environment variable of a token: OpenClaw's own for the default account. It ends with the token's kind, so
/// that no account's name makes it equal to a model key's, which ends otherwise.
fn variable(channel: ChannelName, account: &str, token: &str) -> String {
    let channel = channel.as_str().to_ascii_uppercase();
    if account == DEFAULT_ACCOUNT {
        return format!("{channel}_{token}");
    }
    format!("{channel}_{}_{token}", account.to_ascii_uppercase().replace('-', "_"))
}

impl Kind<'_> {
    fn channel(self) -> ChannelName {
        match self {
            Self::Discord(_) => ChannelName::Discord,
            Self::Slack(_) => ChannelName::Slack,
            Self::Telegram(_) => ChannelName::Telegram,
            Self::Whatsapp(_) => ChannelName::Whatsapp,
        }
    }

    /// The field that says who is answered among several people, and whether anybody is.
    pub(crate) fn groups(self) -> (&'static str, bool) {
        match self {
            Self::Discord(account) => ("guilds", !account.guilds.is_empty()),
            Self::Slack(account) => ("channels", !account.channels.is_empty()),
            Self::Telegram(account) => ("groupAllowFrom", !account.group_allow_from.is_empty()),
            Self::Whatsapp(account) => ("groupAllowFrom", !account.group_allow_from.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openclaw::providers::{PROVIDERS, key_variable};

    #[test]
    fn the_default_account_has_openclaws_own_variable() {
        assert_eq!(variable(ChannelName::Telegram, "default", "BOT_TOKEN"), "TELEGRAM_BOT_TOKEN");
        assert_eq!(variable(ChannelName::Slack, "eu-west", "APP_TOKEN"), "SLACK_EU_WEST_APP_TOKEN");
    }

    #[test]
    fn no_token_takes_the_variable_of_a_model_key() {
        let ends = ["_BOT_TOKEN", "_APP_TOKEN"];
        for provider in PROVIDERS.iter().map(|provider| provider.name).chain(["telegram-bot-token-x"]) {
            let variable = key_variable(provider);
            assert!(!ends.iter().any(|end| variable.ends_with(end)), "{variable}");
        }
    }
}
