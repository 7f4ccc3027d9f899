//! The smallest Harness and Tenant, and what is changed of them.

use super::{Case, case};

pub const HARNESS: &str = "
apiVersion: kr8tiv.ai/v1alpha1
kind: Harness
metadata: {name: desk}
spec:
  identity: {role: helper, purpose: You help., personality: Calm.}
  soul: {coreTruths: [Be kind.], vibe: Warm.}
  jobFunctions: {responsibilities: [Help.], successCriteria: [Helped.]}
  channels: {allow: [telegram]}
  models: {primary: anthropic/claude-sonnet-4-6}
";

pub const TENANT: &str = "
---
apiVersion: kr8tiv.ai/v1alpha1
kind: Tenant
metadata: {name: acme}
spec:
  displayName: Acme
  harnessRef: {name: desk}
";

/// A small case with lines added below the specs of its Harness and its Tenant, and with Agents.
pub fn with(harness: &str, tenant: &str, agents: &[(&str, &str)]) -> Case {
    let agents: String = agents
        .iter()
        .map(|(name, spec)| {
            format!(
                "---\napiVersion: kr8tiv.ai/v1alpha1\nkind: Agent\nmetadata: {{name: {name}}}\n\
                 spec: {{tenantRef: {{name: acme}}, {spec}}}\n"
            )
        })
        .collect();
    case(&format!("{HARNESS}  {harness}\n{TENANT}  {tenant}\n{agents}"))
}

/// A small case with a part of its Harness replaced, and lines added to its Tenant.
pub fn with_both(from: &str, to: &str, tenant: &str) -> Case {
    assert!(HARNESS.contains(from));
    case(&format!("{}{TENANT}  {tenant}\n", HARNESS.replace(from, to)))
}

pub fn with_tenant(from: &str, to: &str) -> Case {
    assert!(TENANT.contains(from));
    case(&format!("{HARNESS}{}", TENANT.replace(from, to)))
}
