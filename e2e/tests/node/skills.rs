//! Skills: packs from an image of files alone and from a ConfigMap, and one that is not there.

use std::time::Instant;

use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_e2e::cluster::variable;
use kr8tiv_e2e::manifests::{agent, default_agent, harness, tenant};
use kr8tiv_e2e::model_server::text_of;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::{Value, json};

use crate::context::{Context, START};
use crate::gateway::Gateway;

/// Folder of the packs in the gateway.
const SKILLS: &str = "/etc/openclaw/skills";
const TRIAGE: &str = "---\nname: triage\ndescription: Whom to ask about what.\n---\nAsk the duty officer.\n";

/// A tenant with two agents and three packs, one of which is not there.
pub async fn start(context: &Context) -> Outcome<Gateway> {
    // `e2e/run` loaded it into the node under this name.
    let pinned = variable("KR8TIV_E2E_SKILL_PACK")?;
    let (reference, digest) = pinned.split_once('@').ok_or("the pack's image is not pinned")?;
    let scope = Scope::create(&context.cluster, "skills").await?;
    scope
        .apply::<ConfigMap>(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "house-skills"},
            "data": {"triage.SKILL.md": TRIAGE}
        }))
        .await?;
    let mut object = harness("skilled");
    object["spec"]["models"] = context.model.models();
    // For the test of sandboxes of agents, which needs two of them.
    object["spec"]["tools"] = json!({"allow": ["read", "exec"], "sandbox": {"scope": "Agent"}});
    object["spec"]["skills"]["packs"] = json!([
        {
            "name": "base", "skills": ["refunds", "invoices"],
            "source": {"image": {"reference": reference, "digest": digest}}
        },
        {"name": "house", "source": {"configMap": {"name": "house-skills"}}, "skills": ["triage"]},
        {"name": "lost", "source": {"configMap": {"name": "not-there"}}, "skills": ["gardening"]}
    ]);
    scope.apply::<Harness>(&object).await?;
    scope.apply::<Agent>(&default_agent("desk", "guild")).await?;
    let mut night = agent("night", "guild");
    night["spec"]["skills"] = json!(["triage"]);
    scope.apply::<Agent>(&night).await?;
    let started = Instant::now();
    scope.apply::<Tenant>(&tenant("guild", "skilled")).await?;
    scope.until_ready::<Tenant>("guild", START).await?;
    figure_seconds("skilled-tenant.ready", started.elapsed());
    Ok(Gateway::new(scope, "guild"))
}

pub async fn reach_their_agents(context: &Context) -> Outcome {
    let gateway = context.skilled().await?;
    assert_eq!(gateway.read(&format!("{SKILLS}/house/triage/SKILL.md")).await?, TRIAGE);
    let limit = gateway.exec(&[&format!("{SKILLS}/base/refunds/scripts/limit.sh")]).await?;
    assert_eq!(limit, "100 euros\n", "a program of a skill stays one");
    let copied = gateway.exec(&["find", SKILLS, "-type", "f"]).await?;
    assert!(!copied.contains("unwanted"), "{copied}");

    let location = |path: &str| format!("<location>{SKILLS}/{path}/SKILL.md</location>");
    let (refunds, triage) = (location("base/refunds"), location("house/triage"));
    let prompt = prompt(context, gateway, "desk").await?;
    for expected in [&refunds, &location("base/invoices"), &triage] {
        assert!(prompt.contains(expected), "{expected} is not in {prompt}");
    }
    assert!(prompt.contains("What to do when somebody wants their money back."), "{prompt}");
    let prompt = self::prompt(context, gateway, "night").await?;
    assert!(prompt.contains(&triage) && !prompt.contains("base/"), "{prompt}");
    Ok(())
}

/// The system prompt of one turn.
async fn prompt(context: &Context, gateway: &Gateway, agent: &str) -> Outcome<String> {
    let before = context.model.requests().len();
    let message = format!("hello, {agent}");
    gateway.exec(&["openclaw", "agent", "--agent", agent, "--message", &message, "--json"]).await?;
    let requests = context.model.requests();
    let asked = requests[before..].iter().find(|request| text_of(request, "user").contains(&message));
    Ok(text_of(asked.ok_or("the model was not asked")?, "system"))
}

pub async fn only_read(context: &Context) -> Outcome {
    let gateway = context.skilled().await?;
    for command in [
        format!("echo x >> {SKILLS}/house/triage/SKILL.md"),
        format!("rm -r {SKILLS}/base"),
        format!("mkdir {SKILLS}/x"),
    ] {
        let complaint = gateway.exec_refused(&["sh", "-c", &command]).await?;
        assert!(complaint.contains("Read-only file system"), "{command}: {complaint}");
    }
    Ok(())
}

pub async fn missing_pack(context: &Context) -> Outcome {
    let gateway = context.skilled().await?;
    let reports = reports(gateway).await?;
    let expected = [
        json!({"name": "base", "problem": null}),
        json!({"name": "house", "problem": null}),
        json!({"name": "lost", "problem": "the ConfigMap does not exist or is empty"}),
    ];
    assert_eq!(reports, expected);
    gateway.exec(&["test", "!", "-e", &format!("{SKILLS}/lost")]).await?;
    assert_eq!(gateway.fetch("http://127.0.0.1:18789/startupz").await?.0, 200);
    Ok(())
}

/// What the containers that copy packs left in the Pod's status, in the order of the containers.
async fn reports(gateway: &Gateway) -> Outcome<Vec<Value>> {
    let statuses = gateway.pod().await?.status.and_then(|status| status.init_container_statuses);
    let mut reports = Vec::new();
    for status in statuses.unwrap_or_default().into_iter().filter(|status| status.name.starts_with("skills-"))
    {
        let ended = status.state.and_then(|state| state.terminated).ok_or("a pack is still being copied")?;
        assert_eq!(ended.exit_code, 0, "{}", status.name);
        let report: Value = serde_json::from_str(&ended.message.ok_or("a pack without a report")?)?;
        reports.push(report["packs"][0].clone());
    }
    Ok(reports)
}
