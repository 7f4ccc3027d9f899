//! Third stage: which agent answers which conversations. Pure.
//!
//! OpenClaw takes the most special binding: to the conversation, to conversations of its kind, to a role in its
//! Discord server, to its server or workspace, to the account, to the channel. Among equally special ones the first in
//! the list wins, so those to one account stand before those to every account.

use std::collections::BTreeMap;

use kr8tiv_crds::agent::{Binding, Peer, PeerKind};
use kr8tiv_crds::channels::ChannelName;

use crate::channels::{accounts, configured};
use crate::compose::Route;
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::resolve::{Resolved, ResolvedAgent};

/// What a binding asks for. Two are equal when OpenClaw could not tell the bindings apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Claim<'a> {
    place: Place<'a>,
    channel: ChannelName,
    account: Scope<'a>,
}

/// Where the conversations are, the most special places first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place<'a> {
    Conversation { direct: bool, id: &'a str },
    Conversations { direct: bool },
    Role { guild: &'a str, role: &'a str },
    Guild(&'a str),
    Team(&'a str),
    Everywhere,
}

/// Over which account they come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Scope<'a> {
    One(&'a str),
    Every,
}

/// Who asked first.
#[derive(Clone, Copy, Debug)]
struct Holder<'r, 'a> {
    agent: &'r ResolvedAgent<'a>,
    position: usize,
}

type Taken<'r, 'a> = BTreeMap<Claim<'a>, Holder<'r, 'a>>;

/// The routes of a tenant, the narrow ones first. What two agents ask for, the first one gets.
pub(super) fn routes<'a>(
    resolved: &Resolved<'a>,
    default_agent: &'a str,
    diagnostics: &mut Diagnostics,
) -> Vec<Route<'a>> {
    let mut taken = Taken::new();
    let mut routes = Vec::new();
    for agent in &resolved.agents {
        for (position, binding) in agent.bindings.iter().enumerate() {
            let is_possible = is_possible(resolved, agent, position, binding, diagnostics);
            if is_possible && take(&mut taken, Holder { agent, position }, binding, diagnostics) {
                routes.push(Route { agent: agent.id, binding: binding.clone() });
            }
        }
    }
    unreachable(resolved, &taken, diagnostics);
    for channel in configured(&resolved.tenant.spec.channels) {
        let rest = Claim { place: Place::Everywhere, channel, account: Scope::Every };
        if !taken.contains_key(&rest) {
            routes.push(Route { agent: default_agent, binding: whole(channel) });
        }
    }
    routes.sort_by(|a, b| claims(&a.binding).cmp(&claims(&b.binding)));
    routes
}

fn whole(channel: ChannelName) -> Binding {
    Binding { channel, account_id: None, peer: None, guild_id: None, roles: Vec::new(), team_id: None }
}

/// One claim, or one for each role. OpenClaw does not tell groups and channels apart.
fn claims(binding: &Binding) -> Vec<Claim<'_>> {
    let Binding { channel, account_id, peer, guild_id, roles, team_id } = binding;
    let account = account_id.as_deref().map_or(Scope::Every, Scope::One);
    let claim = |place| Claim { place, channel: *channel, account };
    if let Some(Peer { kind, id }) = peer {
        let direct = *kind == PeerKind::Direct;
        let every = id == "*";
        return vec![claim(if every {
            Place::Conversations { direct }
        } else {
            Place::Conversation { direct, id }
        })];
    }
    match (guild_id, team_id) {
        (Some(guild), _) if roles.is_empty() => vec![claim(Place::Guild(guild))],
        (Some(guild), _) => {
            let mut claims: Vec<_> = roles.iter().map(|role| claim(Place::Role { guild, role })).collect();
            claims.sort_unstable();
            claims
        }
        (None, Some(team)) => vec![claim(Place::Team(team))],
        (None, None) => vec![claim(Place::Everywhere)],
    }
}

/// Notes what a binding asks for. `false` when somebody has it already.
fn take<'r, 'a>(
    taken: &mut Taken<'r, 'a>,
    holder: Holder<'r, 'a>,
    binding: &'a Binding,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut free = true;
    for claim in claims(binding) {
        let other = *taken.entry(claim).or_insert(holder);
        if (&other.agent.object, other.position) == (&holder.agent.object, holder.position) {
            continue;
        }
        free = false;
        if other.agent.object != holder.agent.object {
            diagnostics.push(Diagnostic {
                code: Code::BindingTaken,
                object: holder.agent.object.clone(),
                field: format!("spec.bindings[{}]", holder.position),
                problem: format!("{} is to the same conversations", holder_name(&other)),
                fix: "remove one of the two".into(),
            });
        }
    }
    free
}

fn holder_name(holder: &Holder<'_, '_>) -> String {
    format!("spec.bindings[{}] of {}", holder.position, holder.agent.object)
}

/// A binding to every account gets nothing when each account of the tenant is bound in the same place to others.
fn unreachable(resolved: &Resolved<'_>, taken: &Taken<'_, '_>, diagnostics: &mut Diagnostics) {
    let accounts = accounts(&resolved.tenant.spec.channels);
    for (claim, holder) in taken.iter().filter(|(claim, _)| claim.account == Scope::Every) {
        let narrower: Option<Vec<_>> = accounts
            .iter()
            .filter(|account| account.channel == claim.channel)
            .map(|account| taken.get(&Claim { account: Scope::One(account.name), ..*claim }))
            .collect();
        let Some(narrower) = narrower else { continue };
        let others: Vec<_> = narrower
            .iter()
            .filter(|other| other.agent.object != holder.agent.object)
            .map(|other| holder_name(other))
            .collect();
        if others.is_empty() {
            continue;
        }
        diagnostics.push(Diagnostic {
            code: Code::BindingUnreachable,
            object: holder.agent.object.clone(),
            field: format!("spec.bindings[{}]", holder.position),
            problem: format!(
                "{} to the same conversations over each account of {}, so nothing is left for this one",
                verb(&others),
                resolved.tenant.object
            ),
            fix: "remove this binding, or one of the others".into(),
        });
    }
}

fn verb(others: &[String]) -> String {
    format!("{} {}", others.join(", "), if others.len() == 1 { "is" } else { "are" })
}

fn is_possible(
    resolved: &Resolved<'_>,
    agent: &ResolvedAgent<'_>,
    position: usize,
    binding: &Binding,
    diagnostics: &mut Diagnostics,
) -> bool {
    let tenant = &resolved.tenant;
    let channel = binding.channel.as_str();
    let mut refuse = |code, field: &str, problem: String, fix: String| {
        let field = format!("spec.bindings[{position}]{field}");
        diagnostics.push(Diagnostic { code, object: agent.object.clone(), field, problem, fix });
        false
    };
    if !configured(&tenant.spec.channels).contains(&binding.channel) {
        return refuse(
            Code::BindingChannelMissing,
            "",
            format!("{} has no channel {channel}", tenant.object),
            format!("configure spec.channels.{channel} in the Tenant, or remove the binding"),
        );
    }
    if let Some(name) = binding.account_id.as_deref() {
        let accounts = accounts(&tenant.spec.channels);
        let known: Vec<_> = accounts
            .iter()
            .filter(|account| account.channel == binding.channel)
            .map(|account| account.name)
            .collect();
        if !known.contains(&name) {
            return refuse(
                Code::BindingAccountMissing,
                ".accountId",
                format!("{} has no account {name} in spec.channels.{channel}", tenant.object),
                format!("use one of: {}; or add the account to the Tenant", known.join(", ")),
            );
        }
    }
    if let Some((field, problem)) = misfit(binding) {
        return refuse(
            Code::BindingInvalid,
            field,
            problem.into(),
            "remove it, or make a binding of each".into(),
        );
    }
    if let Some(peer) = &binding.peer
        && !is_conversation(binding.channel, peer)
    {
        return refuse(
            Code::PeerInvalid,
            ".peer.id",
            format!("{} is no id of a conversation in {channel}, so no message would ever match", peer.id),
            format!(
                "use one such as {}, or * for every conversation of the kind",
                example(binding.channel, peer.kind)
            ),
        );
    }
    true
}

/// The schema of the resources has the same rules; here they hold for inputs that no API server has seen.
fn misfit(binding: &Binding) -> Option<(&'static str, &'static str)> {
    let Binding { channel, account_id: _, peer, guild_id, roles, team_id } = binding;
    if guild_id.is_some() && *channel != ChannelName::Discord {
        return Some((".guildId", "only Discord has servers with such ids"));
    }
    if team_id.is_some() && *channel != ChannelName::Slack {
        return Some((".teamId", "only Slack has workspaces with such ids"));
    }
    if guild_id.is_none() && !roles.is_empty() {
        return Some((".roles", "a role belongs to a Discord server, and guildId names none"));
    }
    (peer.is_some() && (guild_id.is_some() || team_id.is_some()))
        .then_some((".peer", "a conversation is already narrower than its server or workspace"))
}

fn is_conversation(channel: ChannelName, peer: &Peer) -> bool {
    let id = peer.id.as_str();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if id == "*" {
        return true;
    }
    match channel {
        ChannelName::Discord => digits(id),
        // Enterprise Grid writes `team:T…:channel:C…`.
        ChannelName::Slack => {
            id.starts_with("team:")
                || id.starts_with(['C', 'D', 'G', 'U', 'W'])
                    && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
        ChannelName::Telegram => {
            let (chat, topic) =
                id.split_once(":topic:").map_or((id, None), |(chat, topic)| (chat, Some(topic)));
            digits(chat.strip_prefix('-').unwrap_or(chat)) && topic.is_none_or(digits)
        }
        ChannelName::Whatsapp if peer.kind == PeerKind::Direct => id.strip_prefix('+').is_some_and(digits),
        ChannelName::Whatsapp => id.strip_suffix("@g.us").is_some_and(|group| !group.is_empty()),
    }
}

fn example(channel: ChannelName, kind: PeerKind) -> &'static str {
    match (channel, kind) {
        (ChannelName::Discord, _) => "123456789012345678",
        (ChannelName::Slack, PeerKind::Direct) => "U12345678",
        (ChannelName::Slack, _) => "C12345678",
        (ChannelName::Telegram, PeerKind::Direct) => "123456789",
        (ChannelName::Telegram, _) => "-1001234567890",
        (ChannelName::Whatsapp, PeerKind::Direct) => "+15551234567",
        (ChannelName::Whatsapp, _) => "120363424282127706@g.us",
    }
}
