//! Converting stage, pure: how the gateway is watched, recovered and updated.

use std::ops::RangeInclusive;

use serde_json::json;

use crate::import::draft::{Difference, Draft};
use crate::import::legacy::{Given, Legacy, Operation, Texts};
use crate::import::limits;
use crate::import::report::Target;
use crate::import::window;

const OWNER: Target = Target::tenant("spec.watchdog.ownerWebhook");
const MANAGEMENT: Target = Target::tenant("spec.watchdog.managementWebhook");
const HEARTBEAT: Target = Target::harness("spec.observability.heartbeatInterval");
const DOWN: Target = Target::harness("spec.observability.downAlertThreshold");
const ORDER: Target = Target::harness("spec.recovery.order");
const COOLDOWN: Target = Target::harness("spec.recovery.cooldown");
const CHANNEL: Target = Target::harness("spec.updates.channel");
const WINDOW: Target = Target::harness("spec.updates.window");
const IMAGE: Target = Target::tenant("spec.gateway.image");
const VERSION: Target = Target::tenant("spec.gateway.version");

/// Shortest interval of heartbeats, in seconds.
const SHORTEST: u64 = 30;
/// Longest of any length of time, in seconds: a day, as the compiler takes it.
const LONGEST: u64 = 86_400;
/// What both formats and the Harness wait for when nothing is set, in seconds.
const DEFAULT_HEARTBEAT: u64 = 60;
const DEFAULT_DOWN: u64 = 300;
/// Where the replaced system had its image from.
const REPOSITORY: &str = "ghcr.io/openclaw/openclaw";

/// Converts operation.
pub fn convert(legacy: &Legacy, draft: &mut Draft<'_>) {
    let Operation {
        owner_webhook,
        management_webhook,
        heartbeat_seconds,
        down_alert_seconds,
        recovery_order,
        cooldown_seconds,
        update_channel,
        update_window,
        image,
    } = &legacy.operation;
    webhook(owner_webhook.as_ref(), OWNER, "owner-webhook-url", "OWNER_WEBHOOK_URL", draft);
    webhook(
        management_webhook.as_ref(),
        MANAGEMENT,
        "management-webhook-url",
        "MANAGEMENT_WEBHOOK_URL",
        draft,
    );
    let interval = heartbeat_seconds
        .as_ref()
        .map_or(DEFAULT_HEARTBEAT, |given| seconds(given, SHORTEST..=LONGEST / 2, HEARTBEAT, draft));
    down_alert(down_alert_seconds.as_ref(), interval, draft);
    if let Some(cooldown) = cooldown_seconds {
        seconds(cooldown, SHORTEST..=LONGEST, COOLDOWN, draft);
    }
    if let Some(order) = recovery_order {
        self::order(order, draft);
    }
    if let Some(channel) = update_channel {
        draft.carry(channel, CHANNEL, channel.value.as_str());
    }
    if let Some(window) = update_window {
        update_window_of(window, draft);
    }
    if let Some(image) = image {
        self::image(image, draft);
    }
}

/// A webhook's URL may be all that it takes to send: it is in no message, and in a Secret unless it is a bare host.
fn webhook(given: Option<&Given<String>>, to: Target, key: &str, variable: &str, draft: &mut Draft<'_>) {
    let Some(given) = given else { return };
    let lower = given.value.to_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        draft.ledger.lose(given, "webhooks are called over http or https only");
        return;
    };
    let host = rest.trim_end_matches('/');
    let is_bare = host.len() < 400 && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c));
    if is_bare {
        // The schemes and hosts of URLs are the same in lower case.
        draft.carry(given, to, json!({"url": lower}));
        return;
    }
    let secret = draft.secret(key, &format!("the URL that {} had", given.path), variable);
    let reason = "the URL was in clear, and may be all that it takes to send; it comes from a Secret now";
    draft.change(given, to, json!({"urlSecretRef": secret}), None, reason);
}

/// A length of time; gives what was written, in seconds.
fn seconds(given: &Given<u64>, range: RangeInclusive<u64>, to: Target, draft: &mut Draft<'_>) -> u64 {
    let written = given.value.max(*range.start()).min(*range.end());
    let text = format!("{written}s");
    if written == given.value {
        draft.carry(given, to, text);
    } else {
        let is_short = given.value < *range.start();
        let reason =
            if is_short { "the operator takes no shorter time" } else { "the operator takes no longer time" };
        let difference = Difference::of(&format!("{}s", given.value), &text);
        draft.change(given, to, text, Some(difference), reason);
    }
    written
}

/// The threshold is at least two intervals.
fn down_alert(given: Option<&Given<u64>>, interval: u64, draft: &mut Draft<'_>) {
    let least = 2 * interval;
    let reason =
        "it is two heartbeat intervals, the least that the schema takes: one missed sign of life is no alarm";
    match given {
        Some(given) if given.value < least => {
            let text = format!("{least}s");
            let difference = Difference::of(&format!("{}s", given.value), &text);
            draft.change(given, DOWN, text, Some(difference), reason);
        }
        Some(given) => {
            seconds(given, least..=LONGEST, DOWN, draft);
        }
        None if DEFAULT_DOWN < least => draft.add(DOWN, format!("{least}s"), reason),
        None => {}
    }
}

/// The replaced system's agents have ids of OpenClaw's now.
fn order(list: &Texts, draft: &mut Draft<'_>) {
    let ids: Vec<String> = list.value.iter().map(|name| name.value.to_lowercase()).collect();
    let old: Vec<&str> = list.value.iter().map(|name| name.value.as_str()).collect();
    let difference = Difference::of(&old.join(", "), &ids.join(", "));
    let reason = "ids of agents are in lower case; a tenant without one of them skips it, and no Agents are written, \
         because the file does not say who they are";
    draft.change(list, ORDER, ids, Some(difference), reason);
}

fn update_window_of(given: &Given<String>, draft: &mut Draft<'_>) {
    match window::parse(&given.value) {
        _ if given.value.trim().is_empty() => draft.ledger.settle(given, "the text is blank"),
        Some(window) => {
            let new = window.to_string();
            draft.change(given, WINDOW, window.to_json(), Some(Difference::of(&given.value, &new)), window.reason());
        }
        None => draft.ledger.lose(
            given,
            "it is free text, and not of the form 02:00-04:00 with perhaps a time zone such as UTC or Europe/Berlin; write \
             spec.updates.window in the Harness",
        ),
    }
}

/// The compiler compiles for one release: an image must say which it is.
fn image(given: &Given<String>, draft: &mut Draft<'_>) {
    let image = given.value.as_str();
    let tag = kr8tiv_compiler::image_tag(image);
    let release = tag.and_then(kr8tiv_compiler::supported_release);
    let is_usual = image
        .strip_prefix(REPOSITORY)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with(':') && !rest.contains('@')));
    let is_image = image.chars().count() <= limits::of(IMAGE).characters
        && !image.chars().any(|c| c.is_whitespace() || c.is_control());
    match (tag, release) {
        (Some(tag), Some(_)) if is_usual && is_tag(tag) => {
            let difference = Difference::of(&image, &tag);
            draft.change(
                given,
                VERSION,
                tag,
                Some(difference),
                "the image is the operator's for this release",
            );
        }
        (_, Some(release)) if is_image => {
            draft.carry(given, IMAGE, image);
            draft.add(VERSION, release, "it is the release that the image's tag names");
        }
        _ if is_usual => {
            let reason = "its tag names no release that the operator knows; the Tenant names none, and the gateway runs the \
                 newest that the operator does know";
            draft.note_change(given, VERSION, None, reason);
        }
        _ => {
            let known = kr8tiv_compiler::SUPPORTED_VERSIONS.join(", ");
            let reason = format!(
                "its tag names no release that the operator knows ({known}); name an image in spec.gateway.image, with its \
                 release in spec.gateway.version"
            );
            draft.ledger.lose(given, reason);
        }
    }
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= limits::of(VERSION).characters
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric())
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
