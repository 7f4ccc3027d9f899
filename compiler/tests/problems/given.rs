//! Cases that take more than a line of the smallest Harness and Tenant, which have no problem.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use kr8tiv_compiler::TokenHolder;
use kr8tiv_crds::reference::SecretKeyReference;

use super::common::Case;
use super::common::small::with;

/// Two tenants with one bot: who compares the values says whose it was before.
pub(crate) fn taken_token() -> Case {
    let mut case = with("", TELEGRAM, &[]);
    let token = SecretKeyReference { name: "bot".into(), key: "token".into() };
    let field = "spec.channels.telegram.accounts[0].botTokenSecretRef".into();
    case.surroundings.taken_tokens.insert(token, TokenHolder { tenant: "other".into(), field });
    case
}

/// A case whose Harness has packs of skills.
pub(crate) fn packs(packs: &str, agents: &[(&str, &str)]) -> Case {
    with(&format!("skills: {{packs: [{packs}]}}"), "", agents)
}

/// A pack of skills.
pub(crate) fn pack(name: &str, skills: &str) -> String {
    format!("{{name: {name}, source: {{configMap: {{name: {name}}}}}, skills: {skills}}}")
}

/// A case with more skills than OpenClaw lists, in packs that are not too large.
pub(crate) fn many_skills() -> Case {
    let pack_of = |name: &str, numbers: std::ops::Range<u8>| {
        let skills: Vec<String> = numbers.map(|number| format!("s{number}")).collect();
        pack(name, &format!("[{}]", skills.join(", ")))
    };
    packs(&[pack_of("base", 0..31), pack_of("more", 31..61)].join(", "), &[])
}

pub(crate) const TELEGRAM: &str =
    "channels: {telegram: {accounts: [{botTokenSecretRef: {name: bot, key: token}, groupAllowFrom: ['1']}]}}";

/// A case in which each file is just not too long, and all of them together are.
pub(crate) fn filled_workspace() -> Case {
    const LIMIT: usize = 20_000;
    let mut case = with("", "", &[]);
    let length = |case: &Case, name: &str| case.compile().unwrap().workspaces["main"][name].content.len();
    // "- " before an entry, a line feed behind it.
    let pad = |length: usize| "x".repeat(LIMIT - length - 3);
    let responsibility = pad(length(&case, "AGENTS.md"));
    let truth = pad(length(&case, "SOUL.md"));
    let spec = &mut case.harness.as_mut().unwrap().spec;
    spec.job_functions.responsibilities.push(responsibility);
    spec.soul.core_truths.push(truth);
    spec.workspace.memory_seed = Some("x".repeat(LIMIT - "# Memory\n\n\n".len()));
    case
}

/// A case whose agents have skills and may not read them.
pub(crate) fn unreadable_skills() -> Case {
    let mut case = packs(&pack("base", "[refunds]"), &[]);
    case.harness.as_mut().unwrap().spec.tools.allow = vec!["message".into()];
    case
}

/// A case with a token of the user's that is to be rotated.
pub(crate) fn rotated() -> Case {
    let mut case = with("", "gateway: {tokenSecretRef: {name: mine, key: token}}", &[]);
    case.tenant.metadata.annotations = Some([("kr8tiv.ai/rotate-token".into(), "1".into())].into());
    case
}

/// A case whose files are each short enough for OpenClaw, and together too long for a ConfigMap.
pub(crate) fn large_object() -> Case {
    let content = "\u{1F600}".repeat(20_000);
    let file = |i| format!("{{name: F{i}.md, description: d, content: {content}}}");
    let files: Vec<String> = (0..16).map(file).collect();
    with(&format!("workspace: {{files: [{}]}}", files.join(", ")), "", &[])
}
