//! The places that are looked through. I/O: the API server, files.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_e2e::audit::AuditLog;
use kr8tiv_e2e::canary::Canary;
use kr8tiv_e2e::search::{self, Place};
use kr8tiv_e2e::{Outcome, figure};
use serde_json::{Value, json};

use super::plants::Plants;
use super::{NAMESPACE, Walk};

/// That what is in a place is found there.
pub async fn proof(walk: &Walk<'_>) -> Outcome {
    let canaries = [Canary::new("proof", "proof")?];
    let value = &canaries[0].value;
    let encoded = serde_json::to_value(ByteString(format!("user:{value}").into_bytes()))?;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "proof", "annotations": {"example.com/a": encoded}}
    });
    walk.scope.apply::<ConfigMap>(&object).await?;
    let found = all_found(&search::cluster(&walk.context.cluster.client, &canaries, Plants::may_be).await?);
    assert_eq!(found, ["configmaps (v1): proof in canaries/proof"], "the search does not see base64");
    walk.scope.merge::<ConfigMap>("proof", json!({"data": {"text": format!("a {value} b")}})).await?;
    let found = all_found(&search::cluster(&walk.context.cluster.client, &canaries, Plants::may_be).await?);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(search::text("a text", &format!("x{value}"), &canaries).found, ["proof"]);
    walk.scope.delete::<ConfigMap>("proof").await
}

fn all_found(places: &[Place]) -> Vec<String> {
    let lines =
        |place: &Place| place.found.iter().map(|what| format!("{}: {what}", place.name)).collect::<Vec<_>>();
    places.iter().flat_map(lines).collect()
}

/// Looks through all places, and shows them.
pub async fn searched(walk: &Walk<'_>) -> Outcome {
    let canaries = &walk.plants.all;
    let mut places = search::cluster(&walk.context.cluster.client, canaries, Plants::may_be).await?;
    let objects: usize = places.iter().map(|place| place.amount).sum();
    figure("canaries.resources", places.len(), "resources");
    figure("canaries.objects", objects, "objects");

    let (log, metrics, live) = {
        let operator = walk.context.operator.lock().await;
        let (metrics, live) = (operator.get("/metrics").await?.1, operator.get("/readyz").await?.1);
        (operator.log().text_since(0)?, metrics, live)
    };
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    texts.insert("the operator's log".into(), log);
    texts.insert("the operator's metrics and health".into(), format!("{metrics}{live}"));
    for (from, text) in &walk.heard {
        texts.entry(from.clone()).or_default().push_str(text);
    }
    // What a user sends is the user's: the API server's refusal of it repeats it, and its log has the refusal.
    let (programs, people) = audit(walk)?;
    let of_people: Vec<Canary> =
        canaries.iter().filter(|it| it.what != "pasted into a url").cloned().collect();
    places.push(search::text("the audit log, of people", &people, &of_people));
    assert!(programs.contains("requestObject"), "the audit log has no bodies");
    texts.insert("the audit log, of programs, with what they wrote".into(), programs);
    places.extend(texts.iter().map(|(name, text)| search::text(name, text, canaries)));
    for place in &places {
        println!("canaries: searched: {}: {}", place.name, place.amount);
        assert!(place.may_be_empty || place.amount > 0, "{}: nothing to look through", place.name);
    }
    figure("canaries.places", places.len(), "places");
    let found = all_found(&places);
    assert!(found.is_empty(), "secrets came out:\n{}", found.join("\n"));
    Ok(())
}

/// The lines of the API server's log about service accounts, and those about everybody else.
fn audit(walk: &Walk<'_>) -> Outcome<(String, String)> {
    let text = walk.context.cluster.audit.text_since(AuditLog::start())?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let (mut programs, mut people) = (String::new(), String::new());
    let mut with_bodies = 0;
    for line in complete.lines() {
        let event: Value = serde_json::from_str(line)?;
        let user = event["user"]["username"].as_str().unwrap_or_default();
        let is_here = event["objectRef"]["namespace"] == NAMESPACE;
        with_bodies += usize::from(is_here && !event["requestObject"].is_null());
        let into = if user.starts_with("system:serviceaccount:") { &mut programs } else { &mut people };
        into.push_str(line);
        into.push('\n');
    }
    figure("canaries.audited_bodies", with_bodies, "requests with their bodies");
    Ok((programs, people))
}
