//! Packs of skills: what they become in the configuration, the manifest and the Pod.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use common::{Case, pod};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

/// Two agents; the second has a part of the skills only. The packs are not in the order of their names.
fn two_packs() -> Case {
    let mut case = common::examples().into_iter().find(|(name, _)| name == "two-agents").unwrap().1;
    let packs = json!([
        {"name": "house", "source": {"configMap": {"name": "house-skills", "digest": OTHER}}, "skills": ["triage"]},
        {
            "name": "base", "version": "1.2.0", "skills": ["refunds", "invoices"],
            "source": {"image": {"reference": "example.com/skills/base:1.2.0", "digest": DIGEST, "path": "/pack"}}
        }
    ]);
    case.harness.as_mut().unwrap().spec.skills.packs = serde_json::from_value(packs).unwrap();
    case.agents[1].spec.skills = Some(vec!["triage".into(), "refunds".into()]);
    case
}

fn image() -> String {
    format!("example.com/skills/base:1.2.0@{DIGEST}")
}

fn containers(pod: &PodSpec) -> Vec<&Container> {
    pod.init_containers.iter().flatten().chain(&pod.containers).collect()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_agent_is_given_its_skills_by_name() {
    let config = json_of(&two_packs().compile().unwrap().config);
    let folders = ["/etc/openclaw/skills/base", "/etc/openclaw/skills/house"];
    assert_eq!(config["skills"]["load"], json!({"watch": false, "extraDirs": folders}));
    assert_eq!(config["skills"]["allowBundled"], json!([]));
    assert_eq!(config["agents"]["defaults"]["skills"], json!([]));
    let entries = &config["agents"]["entries"];
    assert_eq!(entries["desk"]["skills"], json!(["invoices", "refunds", "triage"]));
    assert_eq!(entries["platform"]["skills"], json!(["refunds", "triage"]));

    let mut none = two_packs();
    none.agents[1].spec.skills = Some(vec![]);
    let config = json_of(&none.compile().unwrap().config);
    assert_eq!(config["agents"]["entries"]["platform"]["skills"], json!([]));
}

#[test]
fn the_manifest_says_who_has_what_from_where() {
    let manifest = json_of(&two_packs().compile().unwrap().skill_manifest);
    let expected = json!({
        "version": 1,
        "tenantId": "globex-0a1b2c3d",
        "installRoot": "/etc/openclaw/skills",
        "packs": [
            {
                "name": "base", "version": "1.2.0", "source": "oci://example.com/skills/base:1.2.0#/pack",
                "digest": DIGEST, "available": true, "skills": ["refunds", "invoices"],
                "agents": {"desk": ["invoices", "refunds"], "platform": ["refunds"]}
            },
            {
                "name": "house", "version": null, "source": "configmap://house-skills",
                "digest": OTHER, "available": true, "skills": ["triage"],
                "agents": {"desk": ["triage"], "platform": ["triage"]}
            }
        ]
    });
    assert_eq!(manifest, expected);
}

#[test]
fn a_container_copies_each_pack_before_the_gateway_starts() {
    let bundle = two_packs().compile().unwrap();
    let pod = pod(&bundle);
    let names: Vec<_> = containers(pod).iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["seed", "skills-base", "skills-house", "watchdog", "gateway"]);
    let shown = |name: &str| {
        let container = *containers(pod).iter().find(|container| container.name == name).unwrap();
        let value = serde_json::to_value(container).unwrap();
        json!({
            "image": value["image"], "command": value["command"], "args": value["args"],
            "volumeMounts": value["volumeMounts"]
        })
    };
    let target = json!({"name": "skills", "mountPath": "/run/kr8tiv/skills"});
    let program = "/run/kr8tiv/bin/kr8tiv-watchdog";
    assert_eq!(
        shown("skills-base"),
        json!({
            "image": image(), "command": [program],
            "args": ["skills", "--pack", "base", "--from", "/pack", "--layout", "folder", "--to", "/run/kr8tiv/skills",
                     "--skill", "refunds", "--skill", "invoices"],
            "volumeMounts": [target, {"name": "kr8tiv-bin", "mountPath": "/run/kr8tiv/bin", "readOnly": true}]
        })
    );
    assert_eq!(
        shown("skills-house"),
        json!({
            "image": common::platform().watchdog_image, "command": null,
            "args": ["skills", "--pack", "house", "--from", "/run/kr8tiv/pack", "--layout", "config-map",
                     "--to", "/run/kr8tiv/skills", "--digest", OTHER, "--skill", "triage"],
            "volumeMounts": [target, {"name": "skills-house", "mountPath": "/run/kr8tiv/pack", "readOnly": true}]
        })
    );
    assert_eq!(shown("seed")["args"], json!(["seed", "--install", "/run/kr8tiv/bin"]));
    let gateway = json!({"name": "skills", "mountPath": "/etc/openclaw/skills", "readOnly": true});
    assert!(shown("gateway")["volumeMounts"].as_array().unwrap().contains(&gateway));
    let map = pod.volumes.iter().flatten().find(|volume| volume.name == "skills-house").unwrap();
    let map = map.config_map.as_ref().unwrap();
    assert_eq!((map.name.as_str(), map.optional), ("house-skills", Some(true)));
    let packs: Vec<_> =
        bundle.skill_packs.iter().map(|pack| (pack.container.as_deref(), pack.image.clone())).collect();
    assert_eq!(packs, [(Some("skills-base"), Some(image())), (Some("skills-house"), None)]);
}

/// What Pod Security `restricted` asks of a container, and what every mount needs.
#[test]
fn the_containers_are_restricted_and_their_volumes_exist() {
    let bundle = two_packs().compile().unwrap();
    let pod = pod(&bundle);
    assert_eq!(pod.security_context.as_ref().unwrap().run_as_non_root, Some(true));
    let volumes: Vec<_> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    for container in containers(pod) {
        let context = container.security_context.as_ref().unwrap();
        assert_eq!(context.allow_privilege_escalation, Some(false), "{}", container.name);
        assert_eq!(context.read_only_root_filesystem, Some(true), "{}", container.name);
        let dropped = context.capabilities.as_ref().unwrap().drop.as_deref();
        assert_eq!(dropped, Some(["ALL".to_owned()].as_slice()), "{}", container.name);
        assert_eq!(container.image_pull_policy.as_deref(), Some("IfNotPresent"));
        for mount in container.volume_mounts.iter().flatten() {
            assert!(volumes.contains(&mount.name.as_str()), "{}: {}", container.name, mount.name);
        }
    }
}

#[test]
fn a_pack_that_can_not_be_pulled_leaves_the_pod_and_stays_in_the_manifest() {
    let (whole, mut case) = (two_packs().compile().unwrap(), two_packs());
    case.surroundings.unavailable_images.insert(image());
    let bundle = case.compile().unwrap();
    let pod = pod(&bundle);
    let names: Vec<_> = containers(pod).iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["seed", "skills-house", "watchdog", "gateway"]);
    let manifests = serde_json::to_string(pod).unwrap();
    assert!(!manifests.contains(DIGEST) && !manifests.contains("kr8tiv-bin"));
    let manifest = json_of(&bundle.skill_manifest);
    assert_eq!(manifest["packs"][0]["available"], false);
    assert_eq!(manifest["packs"][1]["available"], true);
    assert_eq!(bundle.skill_packs[0].container, None);
    assert_eq!(bundle.skill_packs[0].image, Some(image()));
    assert_eq!(bundle.config, whole.config, "nothing that the gateway would reload");
}

#[test]
fn another_image_with_the_same_name_is_another_image() {
    let mut case = two_packs();
    case.surroundings.unavailable_images.insert(format!("example.com/skills/base:1.2.0@{OTHER}"));
    assert_eq!(case.compile().unwrap(), two_packs().compile().unwrap());
}

#[test]
fn without_packs_the_pod_has_nothing_of_them() {
    let packs = |case: &Case| case.harness.as_ref().unwrap().spec.skills.packs.len();
    for (name, case) in common::examples().into_iter().filter(|(_, case)| packs(case) == 0) {
        let bundle = case.compile().unwrap();
        assert_eq!(bundle.skill_packs, [], "{name}");
        let pod = pod(&bundle);
        let text = serde_json::to_string(pod).unwrap();
        assert!(!text.contains("skills") && !text.contains("kr8tiv-bin"), "{name}");
        assert_eq!(json_of(&bundle.config)["skills"]["load"], json!({"watch": false}), "{name}");
        assert_eq!(json_of(&bundle.skill_manifest)["packs"], json!([]), "{name}");
    }
}

#[test]
fn the_order_of_packs_changes_nothing_that_runs() {
    let (first, mut case) = (two_packs().compile().unwrap(), two_packs());
    case.harness.as_mut().unwrap().spec.skills.packs.reverse();
    let second = case.compile().unwrap();
    assert_ne!(first.harness_revision, second.harness_revision);
    assert_eq!(
        (first.config, first.objects, first.skill_manifest, first.skill_packs),
        (second.config, second.objects, second.skill_manifest, second.skill_packs)
    );
}

/// A case with one pack.
fn one_pack(name: &str, source: &Value, skills: &[&str]) -> Case {
    let mut case = two_packs();
    let pack = json!({"name": name, "source": source, "skills": skills});
    case.harness.as_mut().unwrap().spec.skills.packs = vec![serde_json::from_value(pack).unwrap()];
    case.agents[1].spec.skills = None;
    case
}

#[test]
fn each_wrong_source_of_a_pack_is_found() {
    let image = |reference: &str, path: &str| json!({"image": {"reference": reference, "digest": DIGEST, "path": path}});
    let both = json!({"configMap": {"name": "a"}, "image": {"reference": "a", "digest": DIGEST}});
    for (source, field) in [
        (json!({}), "source"),
        (both, "source"),
        (json!({"configMap": {"name": ""}}), "source.configMap.name"),
        (json!({"configMap": {"name": "a/b"}}), "source.configMap.name"),
        (json!({"configMap": {"name": "a", "digest": "md5"}}), "source.configMap.digest"),
        (image(&format!("a@{DIGEST}"), "/a"), "source.image.reference"),
        (image("a b", "/a"), "source.image.reference"),
        (image("a", "../a"), "source.image.path"),
    ] {
        let case = one_pack("base", &source, &["a"]);
        assert_eq!(case.codes(), ["K8T0340"], "{source}");
        let text = case.compile().unwrap_err().to_string();
        assert!(text.contains(&format!("spec.skills.packs[0].{field}: ")), "{text}");
    }
}

#[test]
fn names_of_packs_and_skills_stay_in_their_folder() {
    let case = one_pack("../a", &json!({"configMap": {"name": "a"}}), &["a/b", "good"]);
    assert_eq!(case.codes(), ["K8T0306"; 2]);
}
