//! Second stage: is what a tenant's channels say possible, allowed, and probably meant? Pure.

use std::collections::BTreeMap;

use kr8tiv_crds::reference::SecretKeyReference;

use crate::channels::{accounts, configured, credential_claims};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::names::is_label;
use crate::resolve::Resolved;

/// Longest name of an account.
const NAME_LIMIT: usize = 32;

/// Checks the channels of a tenant.
pub(crate) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    channels(resolved, diagnostics);
    names(resolved, diagnostics);
    people(resolved, diagnostics);
    credentials(resolved, diagnostics);
}

fn channels(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let object = &resolved.tenant.object;
    let all = accounts(&resolved.tenant.spec.channels);
    for channel in configured(&resolved.tenant.spec.channels) {
        let name = channel.as_str();
        if !resolved.harness.channels.allow.contains(&channel) {
            diagnostics.push(Diagnostic {
                code: Code::ChannelNotAllowed,
                object: object.clone(),
                field: format!("spec.channels.{name}"),
                problem: format!("the Harness does not allow the channel {name}"),
                fix: format!("add {name} to the Harness's spec.channels.allow, or remove the channel"),
            });
        }
        if !all.iter().any(|account| account.channel == channel) {
            diagnostics.push(Diagnostic {
                code: Code::ChannelEmpty,
                object: object.clone(),
                field: format!("spec.channels.{name}.accounts"),
                problem: format!("the channel {name} has no account, so nobody can reach the agents over it"),
                fix: "add an account, or remove the channel".into(),
            });
        }
    }
}

/// The schema of the resources has the same rules; here they hold for inputs that no API server has seen.
fn names(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let object = &resolved.tenant.object;
    let mut taken = BTreeMap::new();
    for account in accounts(&resolved.tenant.spec.channels) {
        if !is_label(account.name, NAME_LIMIT) {
            diagnostics.push(Diagnostic {
                code: Code::NameInvalid,
                object: object.clone(),
                field: format!("{}.name", account.field),
                problem: format!("{:?} can't be used as a name here", account.name),
                fix: format!("use a-z, 0-9 and '-', at most {NAME_LIMIT} characters"),
            });
        }
        if let Some(other) = taken.insert((account.channel, account.name), account.field.clone()) {
            diagnostics.push(Diagnostic {
                code: Code::AccountNameTaken,
                object: object.clone(),
                field: format!("{}.name", account.field),
                problem: format!("{other} has the name {} as well", account.name),
                fix: "give each account of a channel a name of its own".into(),
            });
        }
    }
}

fn people(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    for account in accounts(&resolved.tenant.spec.channels) {
        let mut warn = |code, field: &str, problem: &str, fix: &str| {
            diagnostics.push(Diagnostic {
                code,
                object: resolved.tenant.object.clone(),
                field: format!("{}.{field}", account.field),
                problem: problem.into(),
                fix: fix.into(),
            });
        };
        if account.admitted.is_empty() && !resolved.harness.channels.dm_pairing_required {
            warn(
                Code::ChannelOpen,
                "allowFrom",
                "nobody is listed and the Harness asks for no pairing, so the agents answer everybody",
                "list who may write, or set spec.channels.dmPairingRequired: true in the Harness",
            );
        }
        if let (field, false) = account.kind.groups() {
            warn(
                Code::GroupsUnanswered,
                field,
                "nothing is listed, so every message in a group is ignored",
                "list whom or where the agents may answer among several people",
            );
        }
    }
}

/// Two accounts can't share a token. Equal values under different names are for whoever can read Secrets.
fn credentials(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let mut taken: BTreeMap<SecretKeyReference, String> = BTreeMap::new();
    for claim in credential_claims(resolved.tenant.spec) {
        let Some(other) = taken.get(&claim.secret) else {
            taken.insert(claim.secret, claim.field);
            continue;
        };
        diagnostics.push(Diagnostic {
            code: Code::TokenTaken,
            object: resolved.tenant.object.clone(),
            field: claim.field,
            problem: format!(
                "{other} takes its token from the key {} of Secret {} as well, and a token has one consumer",
                claim.secret.key, claim.secret.name
            ),
            fix: "name another key: each account needs tokens of its own".into(),
        });
    }
}
