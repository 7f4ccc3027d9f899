//! Models: how they are written, which are no more, and what a provider must say of itself. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::formats::is_secure_url;
use crate::openclaw::violation::{Place, Violation};

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    let defaults = root.at("agents.defaults");
    let agents = root.at("agents.entries").entries();
    let agents = || agents.iter().map(|(_, agent)| agent);
    for agent in std::iter::once(&defaults).chain(agents()) {
        policy(agent, &defaults, found);
        settings(&agent.child("models"), found);
        let decision = agent.child("decisionModel");
        if decision.word().is_some_and(|model| provider_and_model(model).is_none()) {
            found.push(decision.violation("must be provider/model, or empty"));
        }
        for model in models_of(agent) {
            if let Some((provider, id)) = model.word().and_then(provider_and_model)
                && is_retired(&provider.to_ascii_lowercase(), &id.to_ascii_lowercase())
            {
                found.push(model.violation(format!("{provider} no longer serves {id}")));
            }
        }
    }
    let is_new = root.at("meta.migrations.modelPolicyAllowlist").is_true();
    if !defaults.child("models").entries().is_empty() && !defaults.child("modelPolicy").is_set() && !is_new {
        found.push(defaults.child("modelPolicy").violation(
            "must be set beside models, to {} at the least: without it users may choose no model but those",
        ));
    }
    for (id, provider) in root.at("models.providers").entries() {
        if OVERLAYS.contains(&id.to_ascii_lowercase().as_str()) {
            continue;
        }
        for name in ["baseUrl", "models"] {
            let field = provider.child(name);
            if !field.is_set() || field.text() == Some("") {
                found.push(field.violation("is missing for a provider that is not OpenClaw's own"));
            }
        }
    }
    let catalog = root.at("models.catalogRefresh.url");
    if catalog.text().is_some_and(|url| !is_secure_url(url)) {
        found.push(catalog.violation("must begin with https://"));
    }
}

/// The places of an agent in which a model stands that it answers with.
fn models_of<'a>(agent: &Place<'a>) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for model in [agent.child("model"), agent.at("subagents.model")] {
        places.push(model.child("primary"));
        places.extend(model.child("fallbacks").items());
        places.push(model);
    }
    places.push(agent.child("utilityModel"));
    places.push(agent.at("heartbeat.model"));
    places
}

/// Which models a user may choose.
fn policy(agent: &Place<'_>, defaults: &Place<'_>, found: &mut Vec<Violation>) {
    let mut aliases = BTreeSet::new();
    for models in [agent.child("models"), defaults.child("models")] {
        let alias = |(_, model): (&str, Place<'_>)| model.child("alias").word().map(str::to_ascii_lowercase);
        aliases.extend(models.entries().into_iter().filter_map(alias));
    }
    for reference in agent.at("modelPolicy.allow").items() {
        let Some(text) = reference.text().map(str::trim) else { continue };
        if !aliases.contains(&text.to_ascii_lowercase()) && !is_policy_reference(text) {
            found.push(reference.violation("must be provider/model, provider/* or an alias from models"));
        }
    }
}

fn is_policy_reference(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control())
    };
    let parts: Vec<_> = text.split('/').collect();
    match parts.as_slice() {
        [] | [_] => ["openrouter:auto", "openrouter:free"].contains(&text.to_ascii_lowercase().as_str()),
        [parts @ .., "*"] => parts.iter().all(|part| is_part(part)),
        parts => parts.iter().all(|part| is_part(part)),
    }
}

/// Settings that only one model can have.
fn settings(models: &Place<'_>, found: &mut Vec<Violation>) {
    for (reference, model) in models.entries() {
        let is_one = !reference.contains('*') && provider_and_model(reference).is_some();
        for name in ["pickerRuntimes", "codeMode"] {
            let setting = model.child(name);
            if !is_one && setting.value.is_some_and(|value| *value != Value::Null) {
                found.push(setting.violation("can only be set for one model, written provider/model"));
            }
        }
    }
}

fn provider_and_model(text: &str) -> Option<(&str, &str)> {
    let (provider, model) = text.trim().split_once('/')?;
    (!provider.trim().is_empty() && !model.trim().is_empty()).then(|| (provider.trim(), model.trim()))
}

/// Whether OpenClaw refuses a model because its provider has taken it away.
fn is_retired(provider: &str, model: &str) -> bool {
    RETIRED.iter().any(|(providers, models)| providers.contains(&provider) && models.contains(&model))
}

/// Models that are no more, by their providers. Source: the manifests of the package's plugins; a test compares.
const RETIRED: &[(&[&str], &[&str])] = &[
    (&["google", "google-gemini-cli", "google-vertex"], GOOGLE),
    (&["azure-openai-responses"], &["gpt-5.3-codex-spark"]),
    (&["xai"], XAI),
];

const GOOGLE: &[&str] = &[
    "gemini-1.5-flash",
    "gemini-1.5-flash-8b",
    "gemini-1.5-pro",
    "gemini-2.0-flash",
    "gemini-2.0-flash-001",
    "gemini-2.0-flash-exp",
    "gemini-2.0-flash-exp-image-generation",
    "gemini-2.0-flash-lite",
    "gemini-2.0-flash-lite-001",
    "gemini-2.0-flash-lite-preview",
    "gemini-2.0-flash-lite-preview-02-05",
    "gemini-2.0-flash-live-001",
    "gemini-2.0-flash-preview-image-generation",
    "gemini-2.0-flash-thinking-exp",
    "gemini-2.0-flash-thinking-exp-01-21",
    "gemini-2.0-flash-thinking-exp-1219",
    "gemini-2.0-pro-exp",
    "gemini-2.0-pro-exp-02-05",
    "gemini-2.5-flash-exp-native-audio-thinking-dialog",
    "gemini-2.5-flash-image-preview",
    "gemini-2.5-flash-lite-preview-06-17",
    "gemini-2.5-flash-lite-preview-09-2025",
    "gemini-2.5-flash-lite-preview-09-25",
    "gemini-2.5-flash-preview-04-17",
    "gemini-2.5-flash-preview-05-20",
    "gemini-2.5-flash-preview-09-2025",
    "gemini-2.5-flash-preview-09-25",
    "gemini-2.5-flash-preview-native-audio-dialog",
    "gemini-2.5-pro-exp-03-25",
    "gemini-2.5-pro-preview-03-25",
    "gemini-2.5-pro-preview-05-06",
    "gemini-2.5-pro-preview-06-05",
    "gemini-3-pro-preview",
    "gemini-3.1-pro-preview-customtools",
    "gemini-live-2.5-flash",
    "gemini-live-2.5-flash-preview",
    "gemini-live-2.5-flash-preview-native-audio",
];

const XAI: &[&str] = &[
    "grok-4.20-multi-agent",
    "grok-4.20-multi-agent-0309",
    "grok-4.20-multi-agent-beta-0309",
    "grok-4.20-multi-agent-beta-latest",
    "grok-4.20-multi-agent-experimental-beta-0304",
    "grok-4.20-multi-agent-experimental-beta-latest",
    "grok-4.20-multi-agent-latest",
];

/// Providers of which OpenClaw knows where they are and what they serve.
const OVERLAYS: &[&str] = &[
    "amazon-bedrock",
    "amazon-bedrock-mantle",
    "anthropic",
    "anthropic-vertex",
    "arcee",
    "azure-openai-responses",
    "byteplus",
    "byteplus-plan",
    "cerebras",
    "chutes",
    "claude-cli",
    "clawrouter",
    "cloudflare-ai-gateway",
    "codex",
    "comfy",
    "copilot-proxy",
    "dashscope",
    "deepinfra",
    "deepseek",
    "fal",
    "fireworks",
    "github-copilot",
    "gmi",
    "gmi-cloud",
    "gmicloud",
    "google",
    "google-antigravity",
    "google-gemini-cli",
    "google-vertex",
    "groq",
    "huggingface",
    "kilocode",
    "kimi",
    "kimi-coding",
    "litellm",
    "lmstudio",
    "meta",
    "microsoft-foundry",
    "minimax",
    "minimax-portal",
    "mistral",
    "modelstudio",
    "moonshot",
    "moonshot-ai",
    "moonshotai",
    "novita",
    "novita-ai",
    "novitaai",
    "nvidia",
    "ollama",
    "ollama-cloud",
    "openai",
    "opencode",
    "opencode-go",
    "openrouter",
    "qianfan",
    "qwen",
    "qwen-token-plan",
    "qwencloud",
    "sglang",
    "stepfun",
    "stepfun-plan",
    "synthetic",
    "tencent-tokenhub",
    "tencent-tokenplan",
    "together",
    "venice",
    "vercel-ai-gateway",
    "vllm",
    "volcengine",
    "volcengine-plan",
    "vydra",
    "x-ai",
    "xai",
    "xiaomi",
    "xiaomi-token-plan",
    "z-ai",
    "z.ai",
    "zai",
];
