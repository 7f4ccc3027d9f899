//! Single values whose notation the schema does not know. Pure.

use super::formats::{duration, http_host, is_duration, is_size};
use crate::openclaw::violation::{Place, Violation};

/// The only plugin of the package that keeps memory.
const MEMORY_PLUGIN: &str = "memory-core";

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    sessions(root, found);
    let compaction = root.at("agents.defaults.compaction");
    for path in ["memoryFlush.forceFlushTranscriptBytes", "maxActiveTranscriptBytes"] {
        let size = compaction.at(path);
        if size.text().is_some_and(|text| !is_size(text)) {
            found.push(size.violation("must be a size such as 512kb or 2mb"));
        }
    }
    for sandbox in sandboxes(root) {
        containers(&sandbox, found);
    }
    for (path, may_be_home) in [("worktreeRoot", true), ("desktop.host.passwordFile", false)] {
        let place = root.at(path);
        let is_absolute = |text: &str| text.starts_with('/') || (may_be_home && text.starts_with('~'));
        if place.text().is_some_and(|text| !is_absolute(text.trim())) {
            found.push(place.violation("must be an absolute path"));
        }
    }
    let proxy = root.at("proxy.proxyUrl");
    if proxy.text().is_some_and(|url| http_host(url).is_none()) {
        found.push(proxy.violation("must begin with http:// or https://"));
    }
    let memory = root.at("plugins.slots.memory");
    if memory.text().is_some_and(|plugin| ![MEMORY_PLUGIN, "none"].contains(&plugin.trim())) {
        found.push(memory.violation(format!("must be {MEMORY_PLUGIN} or none: no other is in the package")));
    }
    voices(root, found);
    browser_profiles(root, found);
    workers(root, found);
}

fn sessions(root: &Place<'_>, found: &mut Vec<Violation>) {
    let maintenance = root.at("session.maintenance");
    for name in ["pruneAfter", "archiveDashboardAfter", "preserveRecent", "resetArchiveRetention"] {
        let time = maintenance.child(name);
        let is_wrong = match time.value {
            Some(serde_json::Value::String(text)) => duration(text).is_none_or(|time| time <= 0.0),
            Some(serde_json::Value::Number(number)) => {
                let is_off = name == "archiveDashboardAfter" && number.as_f64() == Some(0.0);
                !is_off && number.as_f64().is_none_or(|days| days <= 0.0)
            }
            _ => false,
        };
        if is_wrong {
            found.push(time.violation("must be a duration of more than nothing, such as 30d"));
        }
    }
    for name in ["maxDiskBytes", "highWaterBytes"] {
        let size = maintenance.child(name);
        let is_wrong = match size.value {
            Some(serde_json::Value::String(text)) => !is_size(text),
            Some(serde_json::Value::Number(number)) => number.as_f64().is_none_or(|bytes| bytes < 0.0),
            _ => false,
        };
        if is_wrong {
            found.push(size.violation("must be a size such as 512mb"));
        }
    }
    let retention = root.at("cron.sessionRetention");
    if retention.text().is_some_and(|text| !is_duration(text)) {
        found.push(retention.violation("must be a duration such as 24h or 7d"));
    }
}

fn sandboxes<'a>(root: &Place<'a>) -> Vec<Place<'a>> {
    let agents = root.at("agents.entries").entries().into_iter().map(|(_, agent)| agent);
    std::iter::once(root.at("agents.defaults")).chain(agents).map(|agent| agent.child("sandbox")).collect()
}

/// Containers that would not be sandboxes.
fn containers(sandbox: &Place<'_>, found: &mut Vec<Violation>) {
    let docker = sandbox.child("docker");
    let may_join = docker.child("dangerouslyAllowContainerNamespaceJoin").is_true();
    for container in [docker.clone(), sandbox.child("browser")] {
        for bind in container.child("binds").items() {
            if bind.text().is_some_and(|text| !text.starts_with('/')) {
                found.push(bind.violation("must begin with an absolute path"));
            }
        }
        let network = container.child("network");
        let mode = network.text().unwrap_or_default().trim().to_ascii_lowercase();
        if mode == "host" || (mode.starts_with("container:") && !may_join) {
            found.push(network.violation("must be a network of the sandbox's own, such as bridge or none"));
        }
    }
    for name in ["seccompProfile", "apparmorProfile"] {
        let profile = docker.child(name);
        if profile.text().is_some_and(|text| text.trim().eq_ignore_ascii_case("unconfined")) {
            found.push(profile.violation("must not be unconfined"));
        }
    }
}

/// Which of several voices speaks.
fn voices(root: &Place<'_>, found: &mut Vec<Violation>) {
    for path in ["talk", "talk.realtime"] {
        let talk = root.at(path);
        let provider = talk.child("provider");
        let providers = talk.child("providers").entries();
        let is_unknown =
            provider.word().is_some_and(|name| !providers.iter().any(|(known, _)| *known == name));
        if !providers.is_empty() && is_unknown {
            found.push(provider.violation(format!("is none of those in {path}.providers")));
        }
        if provider.word().is_none() && providers.len() > 1 {
            found.push(provider.violation(format!("is missing, and {path}.providers has several")));
        }
    }
}

fn browser_profiles(root: &Place<'_>, found: &mut Vec<Violation>) {
    for (_, profile) in root.at("browser.profiles").entries() {
        let driver = profile.child("driver").text();
        let is_own = !matches!(driver, Some("existing-session" | "extension"));
        if is_own && !profile.child("cdpPort").is_set() && profile.child("cdpUrl").word().is_none() {
            found.push(profile.violation("needs cdpPort or cdpUrl"));
        }
        if driver != Some("existing-session") && profile.child("userDataDir").word().is_some() {
            found.push(profile.child("userDataDir").violation("needs driver: existing-session"));
        }
        if driver == Some("extension") && profile.child("cdpUrl").word().is_some() {
            found.push(profile.child("cdpUrl").violation("can't be set for driver: extension"));
        }
    }
}

/// Machines outside the cluster.
fn workers(root: &Place<'_>, found: &mut Vec<Violation>) {
    /// Milliseconds after which a machine may be given up at the earliest.
    const SHORTEST: f64 = 60_000.0;
    for (_, profile) in root.at("cloudWorkers.profiles").entries() {
        let time = profile.child("suspendAfter");
        let has_unit = |text: &str| text.ends_with(|c: char| c.is_ascii_alphabetic());
        let is_right = |text: &str| has_unit(text) && duration(text).is_some_and(|time| time >= SHORTEST);
        if time.text().is_some_and(|text| !is_right(text)) {
            found.push(time.violation("must be a duration of at least a minute, such as 45m"));
        }
    }
    for (repository, profile) in root.at("cloudWorkers.projectProfiles").entries() {
        let is_written_so = repository.split('/').filter(|part| !part.is_empty()).count() > 2
            && repository.strip_suffix(".git").is_none()
            && repository == repository.to_ascii_lowercase();
        if !is_written_so {
            found.push(profile.violation("must have a key such as github.com/owner/repository"));
        }
    }
}
