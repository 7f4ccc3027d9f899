//! The agents of a gateway: who they are, who is meant by an id, and who answers what. Pure.

use std::collections::BTreeMap;

use super::formats::{is_duration, is_time};
use crate::openclaw::schema::is_channel;
use crate::openclaw::violation::{Place, Violation};

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    roster(root, found);
    references(root, found);
    bindings(root, found);
    broadcasts(root, found);
    let entries = root.at("agents.entries").entries();
    heartbeat(&root.at("agents.defaults.heartbeat"), found);
    for (_, agent) in &entries {
        heartbeat(&agent.child("heartbeat"), found);
        avatar(&agent.at("identity.avatar"), found);
    }
    for folder in ["workspace", "agentDir"] {
        own_folders(&entries, folder, found);
    }
}

/// Who the agents are, and which of them speaks for all.
fn roster(root: &Place<'_>, found: &mut Vec<Violation>) {
    let agents = root.child("agents");
    let entries = agents.child("entries").entries();
    if agents.is_set() && entries.is_empty() && !agents.child("list").is_set() {
        found.push(agents.child("entries").violation("must hold at least one agent"));
    }
    let mut ids: BTreeMap<String, &str> = BTreeMap::new();
    for (id, agent) in &entries {
        if let Some(other) = ids.insert(id.to_ascii_lowercase(), id) {
            found.push(
                agent.violation(format!("is the same id as {other}: OpenClaw takes no account of case")),
            );
        }
    }
    let marked = entries.iter().filter(|(_, agent)| agent.child("default").is_true()).count();
    let ownership = agents.child("ownership");
    if marked > 0 && (marked > 1 || ownership.is_set()) {
        found.push(
            ownership
                .violation("\"explicit\" takes the place of default: true in an agent: remove the latter"),
        );
    }
    if entries.len() > 1 && marked == 0 && ownership.text() != Some("explicit") {
        found.push(ownership.violation("must be \"explicit\" when there are several agents"));
    }
    let defaults = agents.child("defaults");
    let owner = [defaults.at("systemAgent.agentId"), defaults.child("heartbeat")];
    if entries.len() > 1
        && !owner.iter().any(Place::is_set)
        && !entries.iter().any(|(_, agent)| agent.child("heartbeat").is_set())
    {
        found.push(
            defaults
                .at("systemAgent.agentId")
                .violation("must name an agent when there are several: without one nobody has the heartbeat"),
        );
    }
}

/// Ids of agents wherever one stands alone.
fn references(root: &Place<'_>, found: &mut Vec<Violation>) {
    for path in ["agents.defaults.heartbeat.agentId", "agents.defaults.systemAgent.agentId", "talk.agentId"] {
        known_agent(root, &root.at(path), found);
    }
    for mapping in root.at("hooks.mappings").items() {
        known_agent(root, &mapping.child("agentId"), found);
    }
    for id in root.at("hooks.allowedAgentIds").items() {
        if id.text() != Some("*") {
            known_agent(root, &id, found);
        }
    }
}

fn known_agent(root: &Place<'_>, reference: &Place<'_>, found: &mut Vec<Violation>) {
    let Some(id) = reference.text() else { return };
    let entries = root.at("agents.entries").entries();
    let known = match entries.as_slice() {
        // That there are no agents is told by `roster`; where nothing is said of agents, OpenClaw has one, main.
        [] => root.child("agents").is_set() || id.eq_ignore_ascii_case("main"),
        entries => entries.iter().any(|(known, _)| known.eq_ignore_ascii_case(id.trim())),
    };
    if !known {
        found.push(reference.violation(format!("the agent {id:?} is not in agents.entries")));
    }
}

fn bindings(root: &Place<'_>, found: &mut Vec<Violation>) {
    for binding in root.child("bindings").items() {
        known_agent(root, &binding.child("agentId"), found);
        let pattern = binding.child("match");
        if binding.child("type").text() == Some("acp") && pattern.at("peer.id").word().is_none() {
            found.push(
                pattern
                    .child("peer")
                    .violation("must name one conversation by its id in a binding of type acp"),
            );
        }
        let Some(channel) = pattern.child("channel").text() else { continue };
        if !is_channel(channel) {
            let message = format!("OpenClaw has no channel {channel:?}, so the binding never matches");
            found.push(pattern.child("channel").violation(message));
            continue;
        }
        let configured = root.child("channels").child(channel);
        let account = pattern.child("accountId");
        if let Some(id) = account.word()
            && !["*", "default"].contains(&id)
            && !configured.child("accounts").child(id).is_set()
        {
            let message =
                format!("the channel {channel} has no account {id:?}, so the binding never matches");
            found.push(account.violation(message));
        }
    }
    unanswered(root, found);
}

/// With several agents, nobody answers a channel of which no binding speaks.
fn unanswered(root: &Place<'_>, found: &mut Vec<Violation>) {
    if root.at("agents.entries").entries().len() < 2 {
        return;
    }
    let bindings = root.child("bindings").items();
    for (id, channel) in root.child("channels").entries() {
        let answers = |binding: &Place<'_>| binding.at("match.channel").text() == Some(id);
        if is_channel(id) && !channel.child("enabled").is_false() && !bindings.iter().any(answers) {
            found.push(
                channel.violation("no binding gives the channel to one of the agents, so nobody answers"),
            );
        }
    }
}

fn broadcasts(root: &Place<'_>, found: &mut Vec<Violation>) {
    /// As many agents as OpenClaw lets speak in one group.
    const MOST_AGENTS: usize = 16;
    for (peer, group) in root.child("broadcast").entries() {
        if peer == "strategy" {
            continue;
        }
        let is_qualified =
            peer.split_once(':').is_some_and(|(channel, id)| is_channel(channel) && !id.is_empty());
        let plain = group.items();
        let agents = if plain.is_empty() { group.child("agents").items() } else { plain.clone() };
        if group.child("agents").is_set() && !is_qualified {
            found
                .push(group.violation("needs a key of a channel and a conversation, such as telegram:-1001"));
        }
        if is_qualified && plain.len() > MOST_AGENTS {
            found.push(group.violation(format!("must name at most {MOST_AGENTS} agents")));
        }
        for agent in agents {
            known_agent(root, &agent, found);
        }
    }
}

fn heartbeat(heartbeat: &Place<'_>, found: &mut Vec<Violation>) {
    let every = heartbeat.child("every");
    if every.text().is_some_and(|text| !text.is_empty() && !is_duration(text)) {
        found.push(every.violation("must be a duration such as 30m, 1h30m or, for never, 0m"));
    }
    for (name, may_end) in [("start", false), ("end", true)] {
        let time = heartbeat.child("activeHours").child(name);
        if time.text().is_some_and(|text| !text.is_empty() && !is_time(text, may_end)) {
            found.push(time.violation("must be a time of the day such as 08:30"));
        }
    }
    let target = heartbeat.child("target");
    if let Some(text) = target.text()
        && !["owner", "last", "none"].contains(&text)
        && !is_channel(text)
    {
        found.push(target.violation("must be owner, last, none or the id of a channel"));
    }
}

/// A picture comes from the workspace or from the web.
fn avatar(avatar: &Place<'_>, found: &mut Vec<Violation>) {
    let Some(text) = avatar.word() else { return };
    let lower = text.to_ascii_lowercase();
    if ["http://", "https://", "data:"].iter().any(|scheme| lower.starts_with(scheme)) {
        return;
    }
    let leaves = text.starts_with(['/', '~']) || text.split('/').any(|part| part == "..");
    if leaves || text.contains(':') {
        found
            .push(avatar.violation("must be a file in the agent's workspace, or an http, https or data URL"));
    }
}

/// Agents that share a folder overwrite each other's files.
fn own_folders(entries: &[(&str, Place<'_>)], folder: &str, found: &mut Vec<Violation>) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (id, agent) in entries {
        let place = agent.child(folder);
        let Some(path) = place.word() else { continue };
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        if let Some(other) = taken.insert(path, id) {
            found.push(place.violation(format!("is the folder of the agent {other} as well")));
        }
    }
}
