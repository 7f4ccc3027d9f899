//! The channels: which there are, and who may write to the agents. Pure.

use serde_json::Value;

use crate::openclaw::schema::is_channel;
use crate::openclaw::violation::{Place, Violation};

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    for (id, channel) in root.child("channels").entries() {
        if ["defaults", "modelByChannel"].contains(&id) {
            continue;
        }
        if !is_channel(id) {
            found.push(channel.violation(format!("OpenClaw has no channel {id:?}")));
            continue;
        }
        let accounts = channel.child("accounts").entries();
        let default = channel.child("defaultAccount");
        if let Some(name) = default.word()
            && name != "default"
            && !accounts.iter().any(|(account, _)| *account == name)
        {
            found.push(default.violation(format!("the channel has no account {name:?}")));
        }
        if channel.child("enabled").is_false() {
            continue;
        }
        direct_messages(&channel, None, found);
        for (_, account) in accounts {
            if !account.child("enabled").is_false() {
                direct_messages(&account, Some(&channel), found);
            }
        }
    }
}

/// Who may write must agree with the list of those who may: otherwise every direct message is dropped.
fn direct_messages(channel: &Place<'_>, parent: Option<&Place<'_>>, found: &mut Vec<Violation>) {
    let inherited = |own: &str, older: &str| {
        [channel.child(own), channel.at(older)]
            .into_iter()
            .chain(parent.into_iter().flat_map(|parent| [parent.child(own), parent.at(older)]))
            .find(Place::is_set)
    };
    let policy = inherited("dmPolicy", "dm.policy");
    let allowed = inherited("allowFrom", "dm.allowFrom");
    let allowed: Vec<_> = allowed.map(|list| list.items()).unwrap_or_default();
    let allowed: Vec<_> =
        allowed.iter().filter_map(|entry| entry.value).filter(|entry| !is_blank(entry)).collect();
    let message = match policy.and_then(|policy| policy.text()) {
        Some("open")
            if !allowed.iter().any(|entry| entry.as_str().is_some_and(|text| text.trim() == "*")) =>
        {
            "must hold \"*\" when dmPolicy is open: otherwise every direct message is dropped"
        }
        Some("allowlist") if allowed.is_empty() => {
            "must name somebody when dmPolicy is allowlist: otherwise every direct message is dropped"
        }
        _ => return,
    };
    found.push(channel.child("allowFrom").violation(message));
}

fn is_blank(entry: &Value) -> bool {
    entry.as_str().is_some_and(|text| text.trim().is_empty())
}
