//! The smallest Harness and Tenant, and lines that are added to them.

use super::{Case, case};

const HARNESS: &str = "
apiVersion: kr8tiv.ai/v1alpha1
kind: Harness
metadata: {name: desk}
spec:
  identity: {role: helper, purpose: You help., personality: Calm.}
  soul: {coreTruths: [Be kind.], vibe: Warm.}
  jobFunctions: {responsibilities: [Help.], successCriteria: [Helped.]}
  models: {primary: anthropic/claude-sonnet-4-6}
";

const TENANT: &str = "
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
