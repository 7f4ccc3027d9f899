//! What the cases are made of: a Harness and a Tenant that have no problem, with something changed.

use kr8tiv_compiler::TokenHolder;
use kr8tiv_crds::reference::SecretKeyReference;

use crate::common::{Case, case};

pub(crate) const HARNESS: &str = "
apiVersion: kr8tiv.ai/v1alpha1
kind: Harness
metadata: {name: desk}
spec:
  identity: {role: helper, purpose: You help., personality: Calm.}
  soul: {coreTruths: [Be kind.], vibe: Warm.}
  jobFunctions: {responsibilities: [Help.], successCriteria: [Helped.]}
  channels: {allow: [telegram]}
  models: {primary: anthropic/claude-sonnet-4-6}
---
";

pub(crate) const TENANT: &str = "
apiVersion: kr8tiv.ai/v1alpha1
kind: Tenant
metadata: {name: acme}
spec:
  displayName: Acme
  harnessRef: {name: desk}
---
";

pub(crate) fn agent(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: kr8tiv.ai/v1alpha1\nkind: Agent\nmetadata: {{name: {name}}}\n\
         spec: {{tenantRef: {{name: acme}}, {spec}}}\n---\n"
    )
}

/// A case made of a harness, a tenant with `tenant` below its `spec`, and agents.
pub(crate) fn with(tenant: &str, agents: &[String]) -> Case {
    case(&format!("{HARNESS}{}{}", TENANT.replace("---\n", &format!("{tenant}\n---\n")), agents.concat()))
}

pub(crate) fn with_harness(from: &str, to: &str) -> Case {
    assert!(HARNESS.contains(from));
    case(&format!("{}{TENANT}", HARNESS.replace(from, to)))
}

pub(crate) fn with_tenant(from: &str, to: &str) -> Case {
    assert!(TENANT.contains(from));
    case(&format!("{HARNESS}{}", TENANT.replace(from, to)))
}

/// Two tenants with one bot: who compares the values says whose it was before.
pub(crate) fn taken_token() -> Case {
    let mut case = with(TELEGRAM, &[]);
    let token = SecretKeyReference { name: "bot".into(), key: "token".into() };
    let field = "spec.channels.telegram.accounts[0].botTokenSecretRef".into();
    case.surroundings.taken_tokens.insert(token, TokenHolder { tenant: "other".into(), field });
    case
}

/// A case whose Harness has packs of skills.
pub(crate) fn packs(packs: &str, agents: &[String]) -> Case {
    let harness = HARNESS.replace("  models:", &format!("  skills: {{packs: [{packs}]}}\n  models:"));
    case(&format!("{harness}{TENANT}{}", agents.concat()))
}

/// A pack of skills.
pub(crate) fn pack(name: &str, skills: &str) -> String {
    format!("{{name: {name}, source: {{configMap: {{name: {name}}}}}, skills: {skills}}}")
}

pub(crate) const TELEGRAM: &str = "  channels: {telegram: {accounts: [{botTokenSecretRef: {name: bot, key: token}, groupAllowFrom: ['1']}]}}";

/// A case in which each file is just not too long, and all of them together are.
pub(crate) fn filled_workspace() -> Case {
    const LIMIT: usize = 20_000;
    let mut case = with("", &[]);
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
    let mut case = with("  gateway: {tokenSecretRef: {name: mine, key: token}}", &[]);
    case.tenant.metadata.annotations = Some([("kr8tiv.ai/rotate-token".into(), "1".into())].into());
    case
}

/// A case whose files are each short enough for OpenClaw, and together too long for a ConfigMap.
pub(crate) fn large_object() -> Case {
    with_harness(
        "  models:",
        &format!(
            "  workspace: {{files: [{}]}}\n  models:",
            (0..16)
                .map(|i| format!(
                    "{{name: F{i}.md, description: d, content: {}}}",
                    "\u{1F600}".repeat(20_000)
                ))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    )
}
