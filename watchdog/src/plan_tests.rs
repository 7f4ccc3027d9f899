//! Tests of the planner: each rule by example, and all of them together on random histories.

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::*;

fn target(text: &str) -> Target {
    text.to_owned().try_into().unwrap()
}

fn agent(id: &str) -> AgentId {
    id.to_owned().try_into().unwrap()
}

fn entry(ownership: Ownership, content: u8) -> FileEntry {
    FileEntry { sha256: Digest::of(&[content]), ownership }
}

fn bundle(agents: &[&str], files: &[(&str, Ownership, u8)]) -> Bundle {
    let files = files.iter().map(|&(path, ownership, content)| {
        let bytes = vec![content];
        (target(path), BundleFile { ownership, sha256: Digest::of(&bytes), bytes })
    });
    Bundle {
        hash: Digest::of(b"bundle"),
        config: b"{}".to_vec(),
        config_sha256: Digest::of(b"{}"),
        agents: agents.iter().map(|id| agent(id)).collect(),
        files: files.collect(),
    }
}

fn record(files: &[(&str, Ownership, u8)]) -> Record {
    Record {
        files: files.iter().map(|&(path, owner, content)| (target(path), entry(owner, content))).collect(),
    }
}

/// The action and new entry for the one file `workspace-a/F`.
fn decide(
    desired: Option<(Ownership, u8)>,
    recorded: Option<(Ownership, u8)>,
    observed: Observed,
) -> Option<(Action, Option<FileEntry>)> {
    let files: Vec<_> =
        desired.into_iter().map(|(owner, content)| ("workspace-a/F", owner, content)).collect();
    let known: Vec<_> =
        recorded.into_iter().map(|(owner, content)| ("workspace-a/F", owner, content)).collect();
    let observed = BTreeMap::from([(target("workspace-a/F"), observed)]);
    let mut steps = plan(&bundle(&["a"], &files), &record(&known), &observed).steps;
    assert!(steps.len() <= 1);
    steps.pop().map(|step| (step.action, step.entry))
}

const OP: Ownership = Ownership::Operator;
const AG: Ownership = Ownership::Agent;

fn file(content: u8) -> Observed {
    Observed::File(Digest::of(&[content]))
}

#[test]
fn operator_owned_files_converge() {
    let new = Some(entry(OP, 2));
    for (recorded, observed, action) in [
        (None, Observed::Absent, Action::Write(Reason::Changed)),
        (None, file(9), Action::Write(Reason::Changed)),
        (None, Observed::Other, Action::Write(Reason::Changed)),
        (None, file(2), Action::RecordOnly),
        (Some((OP, 1)), file(1), Action::Write(Reason::Changed)),
        (Some((OP, 1)), file(2), Action::RecordOnly),
        (Some((OP, 2)), file(9), Action::Write(Reason::Drifted)),
        (Some((OP, 2)), Observed::Absent, Action::Write(Reason::Drifted)),
        (Some((OP, 2)), Observed::Other, Action::Write(Reason::Drifted)),
        (Some((AG, 2)), file(9), Action::Write(Reason::Changed)),
    ] {
        assert_eq!(
            decide(Some((OP, 2)), recorded, observed),
            Some((action, new)),
            "{recorded:?} {observed:?}"
        );
    }
    assert_eq!(decide(Some((OP, 2)), Some((OP, 2)), file(2)), None);
}

#[test]
fn agent_owned_files_are_seeded_once() {
    let new = Some(entry(AG, 2));
    assert_eq!(decide(Some((AG, 2)), None, Observed::Absent), Some((Action::Write(Reason::Seed), new)));
    for observed in [file(9), file(2), Observed::Other] {
        assert_eq!(decide(Some((AG, 2)), None, observed), Some((Action::RecordOnly, new)), "adopted");
    }
    for observed in [Observed::Absent, file(1), file(9), Observed::Other] {
        assert_eq!(decide(Some((AG, 2)), Some((AG, 1)), observed), None, "left alone for ever");
    }
}

#[test]
fn a_file_that_becomes_the_agents_is_replaced_only_while_untouched() {
    let new = Some(entry(AG, 2));
    for (observed, action) in [
        (file(1), Action::Write(Reason::Seed)),
        (Observed::Absent, Action::Write(Reason::Seed)),
        (file(2), Action::RecordOnly),
        (file(9), Action::RecordOnly),
        (Observed::Other, Action::RecordOnly),
    ] {
        assert_eq!(decide(Some((AG, 2)), Some((OP, 1)), observed), Some((action, new)), "{observed:?}");
    }
}

#[test]
fn a_file_that_left_the_bundle_is_removed_only_while_untouched() {
    for (observed, action) in [
        (file(1), Action::Remove),
        (file(9), Action::LeaveChanged),
        (Observed::Other, Action::LeaveChanged),
        (Observed::Absent, Action::RecordOnly),
    ] {
        assert_eq!(decide(None, Some((OP, 1)), observed), Some((action, None)), "{observed:?}");
    }
    assert_eq!(decide(None, Some((AG, 1)), file(1)), None, "an agent's file stays, and stays seeded");
}

#[test]
fn a_departed_agent_keeps_everything() {
    let record = record(&[("workspace-b/F", OP, 1), ("workspace-b/U", AG, 1)]);
    let bundle = bundle(&["a"], &[]);
    let plan = plan(&bundle, &record, &BTreeMap::new());
    assert_eq!(plan.steps, []);
    assert_eq!(plan.departed, BTreeSet::from([agent("b")]));
    assert!(to_observe(&bundle, &record).is_empty());
}

/// A volume: what an agent sees and can change.
type Volume = BTreeMap<Target, Vec<u8>>;

fn any_target() -> impl Strategy<Value = Target> {
    ("[ab]", "[FGH]").prop_map(|(agent, file)| target(&format!("workspace-{agent}/{file}")))
}

fn any_bundle() -> impl Strategy<Value = Bundle> {
    let files = btree_map(any_target(), (any::<bool>(), 0_u8..3), 0..6);
    (files, btree_set(prop_oneof![Just("a"), Just("b")], 0..3)).prop_map(|(files, extra)| {
        let files: BTreeMap<Target, BundleFile> = files
            .into_iter()
            .map(|(target, (operator, content))| {
                let ownership = if operator { OP } else { AG };
                let bytes = vec![content];
                (target, BundleFile { ownership, sha256: Digest::of(&bytes), bytes })
            })
            .collect();
        let mut all = bundle(&[], &[]);
        all.agents = files.keys().map(|t| t.agent.clone()).chain(extra.into_iter().map(agent)).collect();
        all.files = files;
        all
    })
}

/// What can happen to a volume between two looks of the watchdog.
#[derive(Debug, Clone)]
enum Event {
    Deliver(Bundle),
    AgentWrites(Target, u8),
    AgentDeletes(Target),
    RecordLost,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any_bundle().prop_map(Event::Deliver),
        2 => (any_target(), 0_u8..5).prop_map(|(target, content)| Event::AgentWrites(target, content)),
        2 => any_target().prop_map(Event::AgentDeletes),
        1 => Just(Event::RecordLost),
    ]
}

fn observe(bundle: &Bundle, record: &Record, volume: &Volume) -> BTreeMap<Target, Observed> {
    to_observe(bundle, record)
        .into_iter()
        .map(|target| {
            let observed =
                volume.get(target).map_or(Observed::Absent, |bytes| Observed::File(Digest::of(bytes)));
            (target.clone(), observed)
        })
        .collect()
}

fn apply(plan: &Plan, bundle: &Bundle, record: &mut Record, volume: &mut Volume) {
    for Step { target, action, entry } in &plan.steps {
        match action {
            Action::Write(_) => {
                volume.insert(target.clone(), bundle.files[target].bytes.clone());
            }
            Action::Remove => {
                volume.remove(target);
            }
            Action::LeaveChanged | Action::RecordOnly => {}
        }
        record.set(target, *entry);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_promises(events in proptest::collection::vec(any_event(), 1..20)) {
        let (mut record, mut volume) = (Record::default(), Volume::new());
        // Files with something in them that the watchdog did not write: they are the agent's.
        let mut touched: BTreeSet<Target> = BTreeSet::new();
        for event in events {
            let bundle = match event {
                Event::AgentWrites(target, content) => {
                    volume.insert(target.clone(), vec![100 + content]);
                    touched.insert(target);
                    continue;
                }
                Event::AgentDeletes(target) => {
                    volume.remove(&target);
                    continue;
                }
                Event::RecordLost => {
                    record = Record::default();
                    continue;
                }
                Event::Deliver(bundle) => bundle,
            };
            let before = volume.clone();
            let seeded_before = record.clone();
            let first = plan(&bundle, &record, &observe(&bundle, &record, &volume));
            apply(&first, &bundle, &mut record, &mut volume);

            let second = plan(&bundle, &record, &observe(&bundle, &record, &volume));
            prop_assert_eq!(&second.steps, &vec![], "a second pass has nothing to do");
            for (target, file) in &bundle.files {
                if file.ownership == OP {
                    prop_assert_eq!(volume.get(target), Some(&file.bytes), "operator-owned files converge");
                    touched.remove(target);
                } else {
                    let seeded = seeded_before.files.get(target).is_some_and(|entry| entry.ownership == AG);
                    if seeded || touched.contains(target) && before.contains_key(target) {
                        prop_assert_eq!(volume.get(target), before.get(target), "the agent's stays");
                    } else {
                        prop_assert!(volume.contains_key(target), "what was never seeded is seeded");
                        touched.remove(target);
                    }
                }
            }
            for (target, bytes) in &before {
                if !bundle.agents.contains(&target.agent) {
                    prop_assert_eq!(volume.get(target), Some(bytes), "a departed agent keeps its workspace");
                } else if !bundle.files.contains_key(target) && touched.contains(target) {
                    prop_assert_eq!(volume.get(target), Some(bytes), "a changed file is never removed");
                }
            }
            for target in volume.keys().filter(|target| !before.contains_key(*target)) {
                prop_assert!(bundle.files.contains_key(target), "nothing appears that is not in the bundle");
            }
        }
    }
}
