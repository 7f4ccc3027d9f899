//! The skills of a tenant's agents: which packs they come from, who has which, and what can't be right. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kr8tiv_crds::skills::{PackSource, SkillPack};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, ObjectName};
use crate::inputs::Inputs;
use crate::names::is_label;
use crate::openclaw::{SKILLS_LISTED, tools};
use crate::resolve::{Resolved, ResolvedAgent};

/// Longest name of a pack: with what stands before it in the names of containers it has less than 63 characters.
const PACK_LIMIT: usize = 40;
/// Longest name of a skill.
const SKILL_LIMIT: usize = 64;
/// What to do about a digest that is none.
const DIGEST: &str = "write sha256: and 64 hexadecimal digits";

/// A pack, and whether the Pod can have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pack<'a> {
    pub(crate) spec: &'a SkillPack,
    /// False for an image that the cluster can't pull: its container would keep the Pod from starting.
    pub(crate) available: bool,
}

/// The packs of the harness, by name.
pub(crate) fn packs<'a>(inputs: &Inputs<'a>, resolved: &Resolved<'a>) -> Vec<Pack<'a>> {
    let mut packs: Vec<_> = resolved
        .harness
        .skills
        .packs
        .iter()
        .map(|spec| {
            let image = spec.source.image.as_ref().map(kr8tiv_crds::skills::ImagePack::pinned);
            Pack {
                spec,
                available: image.is_none_or(|image| !inputs.surroundings.unavailable_images.contains(&image)),
            }
        })
        .collect();
    packs.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    packs
}

/// The skills that an agent has, whether or not their packs can be had.
pub(crate) fn of_agent<'a>(resolved: &Resolved<'a>, agent: &ResolvedAgent<'a>) -> BTreeSet<&'a str> {
    let packs = &resolved.harness.skills.packs;
    let all = packs.iter().flat_map(|pack| &pack.skills).map(String::as_str);
    match agent.skills {
        None => all.collect(),
        Some(chosen) => all.filter(|skill| chosen.iter().any(|name| name == skill)).collect(),
    }
}

/// Checks the packs, and what the agents take of them.
pub(crate) fn check(harness: &ObjectName, resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let packs = &resolved.harness.skills.packs;
    for (position, pack) in packs.iter().enumerate() {
        names(harness, &format!("spec.skills.packs[{position}]"), pack, diagnostics);
        source(harness, &format!("spec.skills.packs[{position}].source"), &pack.source, diagnostics);
    }
    taken(harness, packs, diagnostics);
    for agent in &resolved.agents {
        agent_skills(harness, resolved, agent, diagnostics);
    }
    let anybody = resolved.agents.iter().any(|agent| !of_agent(resolved, agent).is_empty());
    if anybody && !tools::effective(&resolved.harness.tools).allow.contains("read") {
        diagnostics.push(Diagnostic {
            code: Code::SkillsUnreadable,
            object: harness.clone(),
            field: "spec.tools".into(),
            problem: "the agents have skills but may not use read, and OpenClaw lists no skill without it"
                .into(),
            fix: "add read to spec.tools.allow, or remove spec.skills".into(),
        });
    }
}

fn names(harness: &ObjectName, field: &str, pack: &SkillPack, diagnostics: &mut Diagnostics) {
    let skills = pack.skills.iter().enumerate();
    let skills = skills.map(|(position, skill)| (format!("skills[{position}]"), skill, SKILL_LIMIT));
    for (below, name, limit) in std::iter::once(("name".to_owned(), &pack.name, PACK_LIMIT)).chain(skills) {
        if !is_label(name, limit) {
            diagnostics.push(Diagnostic {
                code: Code::NameInvalid,
                object: harness.clone(),
                field: format!("{field}.{below}"),
                problem: format!("{name:?} can't be used as a name here"),
                fix: format!(
                    "use a-z, 0-9 and '-', a letter or digit first and last, at most {limit} characters"
                ),
            });
        }
    }
}

fn source(harness: &ObjectName, field: &str, source: &PackSource, diagnostics: &mut Diagnostics) {
    let mut refuse = |below: &str, problem: String, fix: &str| {
        diagnostics.push(Diagnostic {
            code: Code::PackSourceInvalid,
            object: harness.clone(),
            field: format!("{field}{below}"),
            problem,
            fix: fix.into(),
        });
    };
    let PackSource { config_map, image } = source;
    if config_map.is_some() == image.is_some() {
        refuse("", "a pack has one source".into(), "set either configMap or image");
    }
    if let Some(config_map) = config_map {
        if !is_object_name(&config_map.name) {
            let problem = format!("{:?} can't be the name of a ConfigMap", config_map.name);
            refuse(".configMap.name", problem, "name one in the same namespace");
        }
        if let Some(digest) = config_map.digest.as_ref().filter(|digest| !is_digest(digest)) {
            refuse(".configMap.digest", format!("{digest:?} is no digest"), DIGEST);
        }
    }
    if let Some(image) = image {
        if image.reference.contains('@') || !is_reference(&image.reference) {
            let problem = format!("{:?} is no image without a digest", image.reference);
            refuse(".image.reference", problem, "write one such as registry.example.com/skills/base:1.2.0");
        }
        if !is_digest(&image.digest) {
            refuse(".image.digest", format!("{:?} is no digest", image.digest), DIGEST);
        }
        if !is_path(&image.path) {
            let problem = format!("{:?} is no absolute path of a folder", image.path);
            refuse(".image.path", problem, "write one such as /skills, without .. and hidden folders");
        }
    }
}

/// Packs with one name would have one folder; of two skills with one name OpenClaw takes either.
fn taken(harness: &ObjectName, packs: &[SkillPack], diagnostics: &mut Diagnostics) {
    let mut refuse = |code, field: String, problem: String| {
        let fix = "remove it from one of them, or give it another name".into();
        diagnostics.push(Diagnostic { code, object: harness.clone(), field, problem, fix });
    };
    let mut names = BTreeSet::new();
    let mut skills: BTreeMap<&str, &str> = BTreeMap::new();
    for (position, pack) in packs.iter().enumerate() {
        let field = format!("spec.skills.packs[{position}]");
        if !names.insert(pack.name.as_str()) {
            let problem = format!("another pack is called {} as well", pack.name);
            refuse(Code::PackTaken, format!("{field}.name"), problem);
        }
        for (position, skill) in pack.skills.iter().enumerate() {
            if let Some(other) = skills.insert(skill, &pack.name) {
                let problem = format!("the pack {other} has a skill {skill} as well");
                refuse(Code::SkillTaken, format!("{field}.skills[{position}]"), problem);
            }
        }
    }
}

fn agent_skills(
    harness: &ObjectName,
    resolved: &Resolved<'_>,
    agent: &ResolvedAgent<'_>,
    diagnostics: &mut Diagnostics,
) {
    let known: BTreeSet<&str> =
        resolved.harness.skills.packs.iter().flat_map(|pack| &pack.skills).map(String::as_str).collect();
    for (position, skill) in agent.skills.unwrap_or_default().iter().enumerate() {
        if !known.contains(skill.as_str()) {
            diagnostics.push(Diagnostic {
                code: Code::SkillUnknown,
                object: agent.object.clone(),
                field: format!("spec.skills[{position}]"),
                problem: format!("no pack of {harness} has a skill {skill}"),
                fix: if known.is_empty() {
                    "add a pack with it to the Harness's spec.skills.packs, or remove it".into()
                } else {
                    let known: Vec<_> = known.iter().copied().collect();
                    format!("use one of: {}; or add it to a pack", known.join(", "))
                },
            });
        }
    }
    let skills = of_agent(resolved, agent).len();
    if skills > SKILLS_LISTED {
        diagnostics.push(Diagnostic {
            code: Code::SkillsTooMany,
            object: agent.object.clone(),
            field: "spec.skills".into(),
            problem: format!(
                "the agent has {skills} skills, and OpenClaw lists {SKILLS_LISTED} to the model for certain"
            ),
            fix: format!(
                "name at most {SKILLS_LISTED} of them in an Agent's spec.skills, or list fewer in the Harness's packs"
            ),
        });
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// A DNS subdomain, but for the length of its parts.
fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_label(part, 253))
}

/// Nothing that a shell, a path or a registry could take for something else; the registry judges the rest.
fn is_reference(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/'))
}

fn is_path(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    text == "/" || text.len() <= 200 && text.strip_prefix('/').is_some_and(|below| below.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_source() {
        let digits = "0123456789abcdef".repeat(4);
        assert!(is_digest(&format!("sha256:{digits}")));
        for bad in [
            "",
            "sha256:",
            &digits,
            &format!("sha256:{}", digits.to_uppercase()),
            &format!("sha512:{digits}"),
        ] {
            assert!(!is_digest(bad), "{bad}");
        }
        for (path, good) in [
            ("/", true),
            ("/skills", true),
            ("/a/b-c_d.e", true),
            ("", false),
            ("skills", false),
            ("/../etc", false),
            ("/a/..", false),
            ("//a", false),
            ("/a/", false),
            ("/a b", false),
        ] {
            assert_eq!(is_path(path), good, "{path}");
        }
        for (reference, good) in [
            ("registry.example.com:5000/a/b:1.2", true),
            ("base", true),
            ("", false),
            ("-a", false),
            ("a b", false),
            ("a@sha256", false),
        ] {
            assert_eq!(is_reference(reference), good, "{reference}");
        }
    }
}
