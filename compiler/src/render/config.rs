//! `openclaw.json`. Pure.
//!
//! Every secure setting is written out, also where it is today's default: a later release of OpenClaw may think
//! otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kr8tiv_crds::agent::{Binding, Heartbeat};
use kr8tiv_crds::harness::ModelProvider;
use kr8tiv_crds::reference::SecretKeyReference;
use kr8tiv_crds::sandbox::MainSessionCommands;
use serde_json::{Map, Value, json};

use crate::channels::{accounts, owners};
use crate::compose::{Composition, Route};
use crate::openclaw::providers::key_variable;
use crate::openclaw::tools::ToolSet;
use crate::openclaw::{self, literal};
use crate::policy::all_models;
use crate::render::{channels, plugins, sandbox_keys};
use crate::resolve::{Resolved, ResolvedAgent};
use crate::sandbox::{self, Sandbox};
use crate::skills::of_agent;

/// The configuration that the operator sets itself.
pub(crate) fn render(resolved: &Resolved<'_>, composition: &Composition<'_>) -> Value {
    json!({
        "gateway": gateway(),
        "agents": agents(resolved, composition),
        "bindings": composition.routes.iter().map(binding).collect::<Vec<_>>(),
        "models": models(resolved),
        "tools": tools(resolved),
        "channels": channels::render(resolved),
        "plugins": plugins::section(resolved),
        "secrets": {
            "providers": {"default": {"source": "env", "allowlist": environment(resolved)}},
            "defaults": {"env": "default"},
        },
        "messages": {"groupChat": {"unmentionedInbound": "user_request", "historyLimit": 20}},
        "session": {
            "scope": "per-sender",
            "dmScope": "per-account-channel-peer",
            "groupScope": "per-group",
            "sharing": {"drafts": false},
        },
        "commands": commands(resolved),
        "skills": {
            "allowBundled": [],
            "load": skill_folders(resolved),
            "install": {"allowUploadedArchives": false},
            "workshop": {"autonomous": {"mode": "off"}, "approvalPolicy": "pending"},
        },
        "memory": {"search": {"enabled": false}},
        // Heartbeats are jobs of the scheduler. Nobody else can add one: the tool for it is denied.
        "cron": {"enabled": resolved.agents.iter().any(|agent| agent.heartbeat.is_some())},
        "hooks": {"enabled": false, "internal": {"enabled": false}},
        "browser": {"enabled": false},
        "discovery": {"mdns": {"mode": "off"}},
        "update": {
            "channel": resolved.harness.updates.channel.as_str(),
            "checkOnStart": false,
            "auto": {"enabled": false},
        },
        "telemetry": {"enabled": false},
        "diagnostics": {"enabled": true},
        "logging": {
            "level": "info",
            "consoleLevel": "info",
            "consoleStyle": "json",
            "file": format!("{}/logs/gateway.log", openclaw::STATE),
        },
    })
}

/// A configuration as text: sorted keys, two spaces, a line feed at the end.
pub(crate) fn text(config: &Value) -> String {
    format!("{config:#}\n")
}

/// Names of the environment variables that hold a tenant's secrets.
pub(crate) fn environment(resolved: &Resolved<'_>) -> BTreeSet<String> {
    let spec = resolved.tenant.spec;
    let mut names = BTreeSet::from([openclaw::TOKEN_VARIABLE.to_owned()]);
    names.extend(
        accounts(&spec.channels)
            .into_iter()
            .flat_map(|account| account.credentials)
            .map(|token| token.variable),
    );
    names.extend(spec.model_credentials.iter().map(|credential| key_variable(&credential.provider)));
    names
}

/// The token for Mission Control, when the harness names one.
pub(crate) fn mission_control_token<'a>(resolved: &Resolved<'a>) -> Option<&'a SecretKeyReference> {
    let access = resolved.tenant.spec.mission_control.as_ref()?;
    resolved.harness.coordination.as_ref().map(|_| &access.token_secret_ref)
}

/// Folder of an agent's workspace below the state folder.
pub(crate) fn workspace_folder(agent: &str) -> String {
    format!("workspace-{agent}")
}

/// A reference to an environment variable: unlike `${NAME}`, the gateway does not start without it.
pub(crate) fn secret(variable: &str) -> Value {
    json!({"source": "env", "provider": "default", "id": variable})
}

fn gateway() -> Value {
    json!({
        "mode": "local",
        "port": openclaw::GATEWAY_PORT,
        // kubelet's probes and the Service reach the gateway over the Pod's address.
        "bind": "lan",
        "auth": {
            "mode": "token",
            "token": secret(openclaw::TOKEN_VARIABLE),
            "allowTailscale": false,
            "rateLimit": {"maxAttempts": 10, "windowMs": 60_000, "lockoutMs": 300_000, "exemptLoopback": true},
        },
        "controlUi": {"enabled": false},
        "terminal": {"enabled": false},
        "cliAgents": {"enabled": false},
        "tailscale": {"mode": "off"},
        "nodes": {
            "pairing": {"autoApproveLocal": false, "sshVerify": false},
            "pluginTools": {"enabled": false},
            "allowSkills": false,
            "browser": {"mode": "off"},
        },
        "tools": {
            "deny": ["exec", "process", "sessions_spawn", "sessions_send", "gateway", "nodes", "openclaw", "plugins"],
        },
        "http": {"endpoints": {"chatCompletions": {"enabled": false}, "responses": {"enabled": false}}},
        "reload": {"mode": "hybrid"},
    })
}

fn agents(resolved: &Resolved<'_>, composition: &Composition<'_>) -> Value {
    let models = &resolved.harness.models;
    let mut defaults = json!({
        "model": {"primary": literal(&models.primary), "fallbacks": literals(&models.fallbacks)},
        "modelSelectionScope": "session",
        "utilityModel": "",
        "skipBootstrap": true,
        "bootstrapMaxChars": openclaw::FILE_LIMIT,
        "bootstrapTotalMaxChars": openclaw::WORKSPACE_LIMIT,
        "skills": [],
        "elevatedDefault": "off",
        "systemAgent": {"agentId": composition.default_agent},
        "heartbeat": {"agentId": composition.default_agent, "every": "0m", "target": "none"},
        "subagents": {"maxSpawnDepth": 1, "maxConcurrent": 2, "maxChildrenPerAgent": 2, "allowAgents": []},
        "sandbox": sandbox_section(resolved, resolved.sandboxes.iter().find(|sandbox| sandbox.agent.is_none())),
    });
    // Without a policy, OpenClaw would take the models that have settings below for the only ones allowed.
    defaults["modelPolicy"] =
        if models.lock { json!({"allow": [literal(&models.primary)]}) } else { json!({}) };
    if let Some(reasoning) = models.reasoning {
        defaults["thinkingDefault"] = json!(reasoning);
    }
    let openai: BTreeSet<&str> =
        all_models(resolved).filter(|model| openclaw::provider_of(model) == "openai").collect();
    if !openai.is_empty() {
        // Otherwise OpenClaw runs these models in the Codex program, which it would fetch from npm at start.
        defaults["models"] = openai
            .into_iter()
            .map(|model| (model.to_owned(), json!({"agentRuntime": {"id": "openclaw"}})))
            .collect::<Map<_, _>>()
            .into();
    }
    let entries: Map<_, _> =
        resolved.agents.iter().map(|agent| (agent.id.to_owned(), entry(resolved, agent))).collect();
    json!({"ownership": "explicit", "defaults": defaults, "entries": entries})
}

fn sandbox_section(resolved: &Resolved<'_>, sandbox: Option<&Sandbox<'_>>) -> Value {
    let mode = if resolved.harness.tools.sandbox_non_main_sessions { "non-main" } else { "off" };
    sandbox_keys::section(mode, sandbox)
}

fn entry(resolved: &Resolved<'_>, agent: &ResolvedAgent<'_>) -> Value {
    let mut identity = json!({"name": literal(agent.display_name)});
    if let Some(emoji) = agent.emoji {
        identity["emoji"] = json!(literal(emoji));
    }
    let mut entry = json!({
        "name": literal(agent.display_name),
        "workspace": format!("{}/{}", openclaw::STATE, workspace_folder(agent.id)),
        "identity": identity,
        // Neither a part of an address (`name@desk.example`) nor of a longer id (`@desk-two`).
        "groupChat": {"mentionPatterns": [format!("(?<![\\w.])@{}(?![\\w-])", agent.id)]},
    });
    if agent.tools != resolved.tools {
        let ToolSet { allow, deny } = &agent.tools;
        entry["tools"] = json!({"allow": allow, "deny": deny});
    }
    if let Some(own) = sandbox::of_agent(resolved, agent).filter(|sandbox| sandbox.agent.is_some()) {
        entry["sandbox"] = sandbox_section(resolved, Some(own));
    }
    if let Some(own) = agent.heartbeat {
        entry["heartbeat"] = heartbeat(own);
    }
    if let Some(model) = agent.model {
        entry["model"] =
            json!({"primary": literal(model), "fallbacks": literals(&resolved.harness.models.fallbacks)});
    }
    if !resolved.harness.skills.packs.is_empty() {
        entry["skills"] = json!(of_agent(resolved, agent));
    }
    entry
}

fn heartbeat(heartbeat: &Heartbeat) -> Value {
    let every: Duration = heartbeat.every.into();
    let mut rendered = json!({
        "every": format!("{}m", every.as_secs() / 60),
        "prompt": literal(&format!("{}\n\nIf nothing needs attention, reply NO_REPLY.", heartbeat.prompt.trim())),
        "target": heartbeat.target.as_str(),
    });
    if let Some(hours) = &heartbeat.active_hours {
        rendered["activeHours"] =
            json!({"start": hours.start, "end": hours.end, "timezone": hours.time_zone});
    }
    rendered
}

/// Skills are copied while the gateway does not run, and it looks for them when it starts.
fn skill_folders(resolved: &Resolved<'_>) -> Value {
    let packs = &resolved.harness.skills.packs;
    let folders: BTreeSet<_> =
        packs.iter().map(|pack| format!("{}/{}", openclaw::SKILLS_FOLDER, pack.name)).collect();
    let mut load = json!({"watch": false});
    if !folders.is_empty() {
        load["extraDirs"] = json!(folders);
    }
    load
}

fn binding(route: &Route<'_>) -> Value {
    let Binding { channel, account_id, peer, guild_id, roles, team_id } = &route.binding;
    // Without an account, OpenClaw would take the default one.
    let account = account_id.as_deref().unwrap_or("*");
    let mut pattern = json!({"channel": channel.as_str(), "accountId": account});
    if let Some(peer) = peer {
        pattern["peer"] = json!({"kind": peer.kind.as_str(), "id": literal(&peer.id)});
    }
    for (key, id) in [("guildId", guild_id), ("teamId", team_id)] {
        if let Some(id) = id {
            pattern[key] = json!(literal(id));
        }
    }
    if !roles.is_empty() {
        pattern["roles"] = json!(literals(roles));
    }
    json!({"agentId": route.agent, "match": pattern})
}

fn models(resolved: &Resolved<'_>) -> Value {
    let mut models = json!({"catalogRefresh": {"enabled": false}});
    let providers = &resolved.harness.models.providers;
    if !providers.is_empty() {
        models["mode"] = json!("merge");
        models["providers"] = providers
            .iter()
            .map(|provider| (provider.name.clone(), model_provider(resolved, provider)))
            .collect::<Map<_, _>>()
            .into();
    }
    models
}

fn model_provider(resolved: &Resolved<'_>, provider: &ModelProvider) -> Value {
    let served: Vec<_> = provider
        .models
        .iter()
        .map(|model| {
            json!({
                "id": literal(&model.id),
                "name": literal(&model.id),
                "api": provider.api.as_str(),
                "reasoning": false,
                "input": ["text"],
                "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
                "contextWindow": model.context_window,
                "maxTokens": model.max_tokens,
            })
        })
        .collect();
    let mut rendered =
        json!({"baseUrl": literal(&provider.base_url), "api": provider.api.as_str(), "models": served});
    let has_key =
        resolved.tenant.spec.model_credentials.iter().any(|credential| credential.provider == provider.name);
    rendered["apiKey"] = if has_key {
        secret(&key_variable(&provider.name))
    } else {
        // OpenClaw asks no server without a key; one that needs none ignores this word.
        json!("none")
    };
    rendered
}

fn tools(resolved: &Resolved<'_>) -> Value {
    let ToolSet { allow, deny } = &resolved.tools;
    json!({
        "allow": allow,
        "deny": deny,
        "elevated": elevated(resolved),
        "exec": exec(resolved),
        "fs": {"workspaceOnly": true},
        "codeMode": false,
        "swarm": false,
        "sessions": {"visibility": "self"},
        "agentToAgent": {"enabled": false},
        "message": {
            "crossContext": {"allowWithinProvider": false, "allowAcrossProviders": false},
            "broadcast": {"enabled": false},
        },
        "sandbox": {"tools": {"allow": allow, "deny": deny}},
        "subagents": {"tools": {"deny": ["message", "gateway"]}},
    })
}

/// Where commands run.
fn exec(resolved: &Resolved<'_>) -> Value {
    let policy = &resolved.harness.tools;
    match policy.main_session_commands {
        _ if !policy.sandbox_non_main_sessions => json!({"host": "gateway"}),
        // Where the session has a sandbox, nowhere else.
        MainSessionCommands::Gateway => json!({"host": "auto"}),
        // The list below would hold back elevated commands too.
        MainSessionCommands::Refused if elevated_owners(resolved).is_some() => json!({"host": "sandbox"}),
        // Those of the main session are then refused: they have no sandbox. A sandbox takes no notice of the list, and
        // the gateway runs only what is on it, which is nothing: also in a session that somebody has moved there.
        MainSessionCommands::Refused => json!({"host": "sandbox", "mode": "allowlist", "safeBins": []}),
    }
}

/// Owners by channel may leave the sandbox for a command, where the harness lets them. OpenClaw asks whose message a
/// turn answers: the same call in a guest's turn is refused.
fn elevated(resolved: &Resolved<'_>) -> Value {
    match elevated_owners(resolved) {
        None => json!({"enabled": false}),
        Some(owners) => json!({"enabled": true, "allowFrom": owners}),
    }
}

/// Ids of those owners, by channel.
fn elevated_owners(resolved: &Resolved<'_>) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let owners = owners(&resolved.tenant.spec.channels);
    if !resolved.harness.tools.elevated || owners.is_empty() {
        return None;
    }
    let mut by_channel: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (channel, id) in owners.iter().filter_map(|owner| owner.split_once(':')) {
        by_channel.entry(channel.to_owned()).or_default().insert(id.to_owned());
    }
    Some(by_channel)
}

fn commands(resolved: &Resolved<'_>) -> Value {
    let mut commands = json!({
        "native": false, "nativeSkills": false, "text": true, "bash": false, "config": false, "mcp": false,
        "plugins": false, "debug": false, "restart": false, "ownerAllowFrom": owners(&resolved.tenant.spec.channels),
    });
    // With `/exec host=gateway` everybody who may give commands would move a chat's tools out of the sandbox, for
    // whoever writes in that chat, and there is no switch for that command alone: where an agent may run commands,
    // nobody gives any to the gateway. Elevated commands need none: that is an argument of a call.
    let runs_commands = resolved.agents.iter().any(ResolvedAgent::runs_commands);
    if resolved.harness.tools.sandbox_non_main_sessions && runs_commands {
        commands["allowFrom"] = json!({"*": []});
    }
    commands
}

fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}
