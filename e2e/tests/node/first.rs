//! The first tenant of the examples: its Pod and its files.

use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::conditions;

use crate::context::{Context, START};
use crate::gateway::{APPLIED, CONFIG, ENFORCED, Gateway, STATE, WATCHED};

pub async fn becomes_ready(context: &Context) -> Outcome {
    let gateway = context.first().await?;
    let expected = [
        ("Ready", "True", "Serving", "the gateway serves the current configuration"),
        (
            "Compiled",
            "True",
            "Succeeded",
            "the Tenant, its Harness and its Agents make a valid configuration",
        ),
        ("GatewayReady", "True", "Serving", "the gateway is up"),
        APPLIED,
        ENFORCED,
        WATCHED,
        ("SandboxReady", "True", "Succeeded", "the gateway can log in to the sandbox and run commands in it"),
    ];
    // The gateway does not wait for its sandbox.
    gateway
        .scope
        .until("the sandbox too", START, async || {
            conditions::exactly_besides(&gateway.tenant().await?, &expected, &["Degraded"])
        })
        .await
}

/// OpenClaw reads regular files only, and must not be able to change its own configuration.
pub async fn files(context: &Context) -> Outcome {
    let gateway = context.first().await?;
    let compiled = gateway.compiled_workspace("main").await?;
    assert!(compiled.contains_key("SOUL.md") && compiled.contains_key("AGENTS.md"), "{:?}", compiled.keys());
    for (name, content) in &compiled {
        let path = Gateway::workspace_file("main", name);
        let kind = gateway.exec(&["stat", "-c", "%F, owned by %u", &path]).await?;
        assert_eq!(kind.trim(), "regular file, owned by 1000", "{name}");
        assert_eq!(&gateway.read(&path).await?, content, "{name}");
    }
    let config = format!("{CONFIG}/openclaw.json");
    assert_eq!(gateway.exec(&["stat", "-c", "%F", &config]).await?.trim(), "regular file");
    assert_eq!(gateway.read(&config).await?, gateway.compiled_config().await?);
    for command in [format!("echo x >> {config}"), format!("rm {config}"), format!("echo x > {CONFIG}/other")]
    {
        let complaint = gateway.exec_refused(&["sh", "-c", &command]).await?;
        assert!(complaint.contains("Read-only file system"), "{command}: {complaint}");
    }
    Ok(())
}

pub async fn restricted(context: &Context) -> Outcome {
    let gateway = context.first().await?;
    assert_eq!(gateway.exec(&["id", "-u"]).await?.trim(), "1000");
    let status = gateway.read("/proc/1/status").await?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().to_owned())
            .unwrap_or_default()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("CapEff:").trim_start_matches('0'), "", "{status}");
    assert_eq!(field("Seccomp:"), "2", "no filter of system calls");
    let complaint = gateway.exec_refused(&["sh", "-c", "echo x > /app/written"]).await?;
    assert!(complaint.contains("Read-only file system"), "{complaint}");
    gateway
        .exec(&["sh", "-c", &format!("test -w {STATE} && test ! -e /var/run/secrets/kubernetes.io")])
        .await?;
    Ok(())
}
