//! Webhooks: each has one address, which is a URL. Pure.

use kr8tiv_crds::watchdog::Webhook;

use crate::diagnostics::{Code, Diagnostics};
use crate::policy::Findings;
use crate::resolve::Resolved;

/// Checks who is told.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let Some(watchdog) = &resolved.tenant.spec.watchdog else { return };
    let mut findings = Findings { object: &resolved.tenant.object, diagnostics };
    if watchdog.owner_webhook.is_none() && watchdog.management_webhook.is_none() {
        findings.add(
            Code::WebhookInvalid,
            "spec.watchdog",
            "it names no webhook, so nobody is told",
            "name ownerWebhook or managementWebhook, or remove spec.watchdog",
        );
    }
    let webhooks =
        [("ownerWebhook", &watchdog.owner_webhook), ("managementWebhook", &watchdog.management_webhook)];
    for (name, webhook) in webhooks {
        if let Some(webhook) = webhook {
            address(&format!("spec.watchdog.{name}"), webhook, &mut findings);
        }
    }
}

fn address(field: &str, webhook: &Webhook, findings: &mut Findings<'_>) {
    match (&webhook.url, &webhook.url_secret_ref) {
        (Some(_), Some(_)) => {
            findings.add(
                Code::WebhookInvalid,
                field,
                "it has two addresses",
                "keep one of url and urlSecretRef",
            );
        }
        (None, None) => {
            let fix = "set url, or urlSecretRef where knowing the URL is enough to send";
            findings.add(Code::WebhookInvalid, field, "it has no address", fix);
        }
        (Some(url), None) if !is_url(url) => {
            // The value may hold a password.
            let problem = "the value is no URL, or one with a user name";
            let fix = "write https://HOST/PATH, without user name and password";
            findings.add(Code::WebhookInvalid, format!("{field}.url"), problem, fix);
        }
        _ => {}
    }
}

pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let plain = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        !host.is_empty() && !host.contains(['@', '#']) && plain
    })
}
