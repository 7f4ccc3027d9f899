//! Converting stage, pure: channels. The Harness says which may be connected; the Tenant connects them, with a bot's
//! token from a Secret.

use kr8tiv_crds::channels::{ChannelName, DEFAULT_ACCOUNT};
use serde_json::{Value, json};

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::Legacy;
use crate::import::report::Target;

const ALLOW: Target = Target::harness("spec.channels.allow");
const PAIRING: Target = Target::harness("spec.channels.dmPairingRequired");
const GATING: Target = Target::harness("spec.channels.mentionGating");
const DISCORD: Target = Target::tenant("spec.channels.discord");
const SLACK: Target = Target::tenant("spec.channels.slack");
const TELEGRAM: Target = Target::tenant("spec.channels.telegram");
const WHATSAPP: Target = Target::tenant("spec.channels.whatsapp");

/// Converts the channels.
pub fn convert(legacy: &Legacy, draft: &mut Draft<'_>) {
    let mut names: Vec<ChannelName> = Vec::new();
    for given in &legacy.channels {
        let lower = given.value.to_lowercase();
        let Some(name) = named(&lower) else {
            draft.ledger.lose(given, "the operator does not connect this channel");
            continue;
        };
        if names.contains(&name) {
            draft.merge(given, ALLOW, format!("{lower} is there already"));
            continue;
        }
        if given.value == lower {
            draft.merge(given, ALLOW, "");
        } else {
            draft.note_change(
                given,
                ALLOW,
                Some(Difference::of(&given.value, &lower)),
                "names are in lower case",
            );
        }
        connect(name, draft);
        names.push(name);
    }
    if !names.is_empty() {
        draft.write(ALLOW, names.iter().map(|name| name.as_str()).collect());
    }
    for (given, to) in [(&legacy.dm_pairing_required, PAIRING), (&legacy.mention_gating, GATING)] {
        if let Some(given) = given {
            draft.carry(given, to, given.value);
        }
    }
}

fn named(name: &str) -> Option<ChannelName> {
    serde_json::from_value(Value::String(name.into())).ok()
}

/// One account, with its tokens from the tenant's Secret. Who is answered is in neither old format.
fn connect(name: ChannelName, draft: &mut Draft<'_>) {
    let mut token = |key, content, variable| draft.secret(key, content, variable);
    let (to, account) = match name {
        ChannelName::Discord => {
            let bot = token(
                "discord-bot-token",
                "the bot's token, from Discord's developer portal",
                "DISCORD_BOT_TOKEN",
            );
            (DISCORD, json!({"tokenSecretRef": bot}))
        }
        ChannelName::Slack => {
            let bot = token("slack-bot-token", "the app's bot token, xoxb-…", "SLACK_BOT_TOKEN");
            let app = token("slack-app-token", "the app-level token, xapp-…", "SLACK_APP_TOKEN");
            (SLACK, json!({"botTokenSecretRef": bot, "appTokenSecretRef": app}))
        }
        ChannelName::Telegram => {
            let bot = token("telegram-bot-token", "the bot's token, from BotFather", "TELEGRAM_BOT_TOKEN");
            (TELEGRAM, json!({"botTokenSecretRef": bot}))
        }
        // A number has no token: its telephone links it.
        ChannelName::Whatsapp => (WHATSAPP, json!({"name": DEFAULT_ACCOUNT})),
    };
    let link = if name == ChannelName::Whatsapp {
        "; the telephone links the number when the gateway runs"
    } else {
        ""
    };
    let reason = "the old formats did not say who is answered: list the owners, and who is answered in groups, as nobody \
         there is without that";
    draft.add(to, json!({"accounts": [account]}), format!("{reason}{link}"));
}
