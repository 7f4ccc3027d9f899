//! What a running gateway of OpenClaw 2026.9.6 does when a path of `openclaw.json` changes. Pure.
//!
//! Sources: `docs/gateway/configuration/hot-reload.md` and the rules in `dist/config-reload-plan-*.mjs` of the npm
//! package, and the `reload` entry of each channel's plugin. They hold for `gateway.reload.mode: hybrid`, which is
//! the only mode that is compiled. `tests/real_reload.rs` compares them with the real gateway.

use serde::Serialize;
use serde_json::Value;

/// What a change means for the running gateway; the graver one is greater.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing is reloaded: the new value counts from its next use on.
    #[default]
    None,
    /// The gateway takes the change over within seconds and runs on. At most a part of it, such as a channel, starts
    /// anew.
    Reload,
    /// The gateway starts anew and answers nobody until then, some 10 to 30 s.
    Restart,
}

impl Effect {
    /// The effect as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

/// Releases that the tables hold for.
const VERSIONS: &[&str] = &["2026.9.6"];

/// Paths that need no action.
const UNTOUCHED: &[&str] = &[
    "agent",
    "agents",
    "audio",
    "bindings",
    "gateway.reload",
    "gateway.remote",
    "identity",
    "logging",
    "messages",
    "meta",
    "routing",
    "secrets",
    "session",
    "skills",
    "talk",
    "tui",
    "ui",
    "wizard",
];

/// Paths that are reloaded.
const RELOADED: &[&str] = &[
    "acp",
    "agent.heartbeat",
    "agents.defaults",
    "agents.entries",
    "agents.ownership",
    "approvals.exec",
    "approvals.plugin",
    "attachments.ttlHours",
    "auth.order",
    "auth.profiles",
    "broadcast",
    "channels",
    "cloudWorkers",
    "cron",
    "desktop.host",
    "diagnostics.cacheTrace.enabled",
    "diagnostics.enabled",
    "discovery.mdns.mode",
    "gateway.allowRealIpFallback",
    "gateway.auth.allowTailscale",
    "gateway.auth.identityScopes",
    "gateway.auth.rateLimit",
    "gateway.auth.trustedProxy",
    "gateway.cliAgents",
    "gateway.controlUi.allowExternalEmbedUrls",
    "gateway.controlUi.allowedOrigins",
    "gateway.controlUi.automaticallyFetchFavicons",
    "gateway.controlUi.communityInvite",
    "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback",
    "gateway.controlUi.embedSandbox",
    "gateway.controlUi.enabled",
    "gateway.controlUi.environment",
    "gateway.controlUi.experimental.customPlugins",
    "gateway.controlUi.github",
    "gateway.controlUi.sessionObserver",
    "gateway.http.endpoints",
    "gateway.http.securityHeaders.strictTransportSecurity",
    "gateway.nodes.allowSkills",
    "gateway.nodes.browser",
    "gateway.nodes.commands",
    "gateway.nodes.pairing",
    "gateway.nodes.pluginTools.enabled",
    "gateway.publicOrigin",
    "gateway.push.apns.relay",
    "gateway.roles",
    "gateway.terminal",
    "gateway.tools",
    "gateway.trustedProxies",
    "hooks",
    "mcp",
    "mcp.apps.sandboxOrigin",
    "memory.citations",
    "models",
    "plugins",
    "security.audit.suppressions",
    "security.installPolicy",
    "session.scope",
    "session.store",
    "skills.workshop.autonomous.mode",
    "talk.provider",
    "talk.realtime.provider",
    "telemetry.consentedAt",
    "telemetry.enabled",
    "tools",
    "transcripts",
    "update.auto.enabled",
    "update.channel",
    "update.checkOnStart",
    "worktreeAcceleration",
    "worktreeRoot",
];

/// Paths that restart the gateway although a shorter one is reloaded or needs no action. So does every path that
/// stands in no table.
const RESTARTED: &[&str] = &["mcp.apps", "secrets.egressProxy"];

/// Paths that every loaded channel is started anew for; without a channel they need no action.
const SHARED_BY_CHANNELS: &[&str] = &[
    "accessGroups",
    "acp.stream",
    "agents.defaults.mediaMaxMb",
    "channels.defaults",
    "channels.modelByChannel",
    "commands",
    "diagnostics.flags",
    "surfaces",
    "tts",
];

/// The gateway's own credentials: reloaded as long as `gateway.auth.mode` is written out and stays.
const CREDENTIALS: &[&str] = &["gateway.auth.password", "gateway.auth.token"];

/// The rules that a channel's plugin brings while it is loaded.
struct Channel {
    /// Id of the plugin and of the channel.
    id: &'static str,
    /// Effect of a path below `channels.ID`.
    effect: Effect,
    /// Keys below `channels.ID` with the other of the two effects, `None` and `Reload`.
    exceptions: &'static [&'static str],
    /// Whether the exceptions hold below `channels.ID.accounts.*` too.
    in_accounts: bool,
}

/// Telegram's rules are in the package of OpenClaw, the others in `@openclaw/ID` of the same version.
const CHANNELS: &[Channel] = &[
    Channel {
        id: "discord",
        effect: Effect::Reload,
        exceptions: &[
            "allowBots",
            "allowFrom",
            "dangerouslyAllowNameMatching",
            "dm",
            "dmPolicy",
            "groupPolicy",
            "guilds",
        ],
        in_accounts: true,
    },
    Channel {
        id: "slack",
        effect: Effect::Reload,
        exceptions: &[
            "ackReaction",
            "allowBots",
            "allowFrom",
            "botLoopProtection",
            "channels.*.allowBots",
            "channels.*.botLoopProtection",
            "channels.*.enabled",
            "channels.*.ignoreOtherMentions",
            "channels.*.replyToMode",
            "channels.*.requireMention",
            "channels.*.skills",
            "channels.*.systemPrompt",
            "channels.*.tools",
            "channels.*.toolsBySender",
            "channels.*.users",
            "dm.enabled",
            "dm.groupChannels",
            "dm.groupEnabled",
            "dmHistoryLimit",
            "dmPolicy",
            "dms",
            "groupPolicy",
            "historyLimit",
            "implicitMentions",
            "reactionAllowlist",
            "reactionNotifications",
            "replyToMode",
            "replyToModeByChatType",
            "requireMention",
            "streaming",
            "textChunkLimit",
            "thread",
            "typingReaction",
            "unfurlLinks",
            "unfurlMedia",
        ],
        in_accounts: true,
    },
    Channel {
        id: "telegram",
        effect: Effect::Reload,
        exceptions: &[
            "allowFrom",
            "dmPolicy",
            "groupAllowFrom",
            "groupPolicy",
            "replyToMode",
            "streaming",
            "textChunkLimit",
        ],
        in_accounts: true,
    },
    Channel {
        id: "whatsapp",
        effect: Effect::None,
        exceptions: &["accounts", "enabled", "selfChatMode"],
        in_accounts: false,
    },
];

/// The rules of one gateway: the release's, and those of the plugins that it has loaded.
pub(crate) struct Rules(Vec<(String, Effect)>);

impl Rules {
    /// The rules by which a gateway of a release that runs with `old` takes `new`. Of a release that is not known,
    /// every change counts as a restart.
    pub(crate) fn between(version: &str, old: &Value, new: &Value) -> Self {
        if !VERSIONS.contains(&version) {
            return Self(Vec::new());
        }
        let loaded: Vec<&Channel> = CHANNELS.iter().filter(|channel| is_loaded(channel, old)).collect();
        let shared = if loaded.is_empty() { Effect::None } else { Effect::Reload };
        let credentials = if keeps_authentication(old, new) { Effect::Reload } else { Effect::Restart };
        let tables = [
            (UNTOUCHED, Effect::None),
            (RELOADED, Effect::Reload),
            (RESTARTED, Effect::Restart),
            (SHARED_BY_CHANNELS, shared),
            (CREDENTIALS, credentials),
        ];
        let release = tables
            .into_iter()
            .flat_map(|(paths, effect)| paths.iter().map(move |path| ((*path).to_owned(), effect)));
        Self(release.chain(loaded.into_iter().flat_map(channel_rules)).collect())
    }

    /// What a change at a path, dotted as in the gateway's log, does: the longest prefix decides.
    pub(crate) fn effect(&self, path: &str) -> Effect {
        self.0
            .iter()
            .filter(|(prefix, _)| covers(prefix, path))
            .max_by_key(|(prefix, _)| prefix.split('.').count())
            .map_or(Effect::Restart, |(_, effect)| *effect)
    }

    /// Whether a rule stands below a path: an object that is new or gone there is then judged key by key.
    pub(crate) fn divides(&self, path: &str) -> bool {
        self.0.iter().any(|(prefix, _)| {
            prefix.strip_prefix(path).is_some_and(|rest| path.is_empty() || rest.starts_with('.'))
        })
    }
}

fn channel_rules(channel: &Channel) -> impl Iterator<Item = (String, Effect)> {
    let Channel { id, effect, exceptions, in_accounts } = *channel;
    let other = if effect == Effect::None { Effect::Reload } else { Effect::None };
    let below = move |folder: &str| {
        let folder = folder.to_owned();
        exceptions.iter().map(move |key| (format!("channels.{id}.{folder}{key}"), other))
    };
    let accounts = in_accounts.then(|| below("accounts.*.")).into_iter().flatten();
    std::iter::once((format!("channels.{id}"), effect)).chain(below("")).chain(accounts)
}

/// A channel's plugin is loaded when it may be: the compiler allows only the plugins of what is configured.
fn is_loaded(channel: &Channel, config: &Value) -> bool {
    let allowed = config.pointer("/plugins/allow").and_then(Value::as_array);
    allowed.is_some_and(|allowed| allowed.iter().any(|plugin| plugin == channel.id))
}

fn keeps_authentication(old: &Value, new: &Value) -> bool {
    let mode = |config: &Value| match config.pointer("/gateway/auth/mode").and_then(Value::as_str) {
        Some(mode @ ("token" | "password")) => Some(mode.to_owned()),
        _ => None,
    };
    mode(old).is_some_and(|old| Some(old) == mode(new))
}

/// Whether a prefix, in which `*` stands for any one key, covers a path.
fn covers(prefix: &str, path: &str) -> bool {
    let mut keys = path.split('.');
    prefix.split('.').all(|expected| keys.next().is_some_and(|key| expected == "*" || expected == key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn effect(config: &Value, path: &str) -> Effect {
        Rules::between("2026.9.6", config, config).effect(path)
    }

    #[test]
    fn the_longest_prefix_decides() {
        let config = json!({"plugins": {"allow": ["telegram"]}});
        for (path, expected) in [
            ("bindings", Effect::None),
            ("secrets.providers.default.allowlist", Effect::None),
            ("secrets.egressProxy.url", Effect::Restart),
            ("session.dmScope", Effect::None),
            ("session.scope", Effect::Reload),
            ("agents.defaults.models.openai/gpt-5.5.agentRuntime", Effect::Reload),
            ("gateway.port", Effect::Restart),
            ("gateway.portals", Effect::Restart),
            ("gateway.controlUi.enabled", Effect::Reload),
            ("gateway.controlUi.basePath", Effect::Restart),
            ("mcp.servers", Effect::Reload),
            ("mcp.apps.port", Effect::Restart),
            ("mcp.apps.sandboxOrigin", Effect::Reload),
            ("memory.search.enabled", Effect::Restart),
            ("channels.telegram.botToken", Effect::Reload),
            ("channels.telegram.dmPolicy", Effect::None),
            ("channels.telegram.accounts.work.dmPolicy", Effect::None),
            ("channels.telegram.accounts.work.botToken", Effect::Reload),
            ("sessions", Effect::Restart),
            ("", Effect::Restart),
        ] {
            assert_eq!(effect(&config, path), expected, "{path}");
        }
    }

    #[test]
    fn a_channels_rules_hold_while_its_plugin_is_loaded() {
        let with = |plugins: &[&str]| json!({"plugins": {"allow": plugins}});
        for (plugins, path, expected) in [
            (&[][..], "channels.telegram.dmPolicy", Effect::Reload),
            (&[], "commands.text", Effect::None),
            (&[], "channels.defaults.groupPolicy", Effect::None),
            (&["telegram"], "commands.text", Effect::Reload),
            (&["telegram"], "channels.defaults.groupPolicy", Effect::Reload),
            (&["slack"], "channels.slack.channels.C1.users", Effect::None),
            (&["slack"], "channels.slack.channels.C1.agent", Effect::Reload),
            (&["whatsapp"], "channels.whatsapp.dmPolicy", Effect::None),
            (&["whatsapp"], "channels.whatsapp.accounts.work.dmPolicy", Effect::Reload),
        ] {
            assert_eq!(effect(&with(plugins), path), expected, "{plugins:?} {path}");
        }
    }

    #[test]
    fn credentials_are_reloaded_in_the_same_mode() {
        let with = |mode: &str| json!({"gateway": {"auth": {"mode": mode}}});
        for (old, new, expected) in [
            (with("token"), with("token"), Effect::Reload),
            (with("token"), with("password"), Effect::Restart),
            (with("none"), with("none"), Effect::Restart),
            (json!({}), json!({}), Effect::Restart),
        ] {
            let rules = Rules::between("2026.9.6", &old, &new);
            assert_eq!(rules.effect("gateway.auth.token"), expected, "{old} {new}");
        }
    }

    #[test]
    fn of_an_unknown_release_nothing_is_promised() {
        let config = json!({});
        assert_eq!(Rules::between("2030.1.1", &config, &config).effect("bindings"), Effect::Restart);
    }
}
