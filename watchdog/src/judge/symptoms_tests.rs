//! Each symptom by what causes it.

use serde_json::json;

use super::*;
use crate::gateway::prober::Answers;
use crate::gateway::rpc::RpcError;
use crate::judge::observation::{Failure, Phase};

fn round(failing: &[&str], answers: Answers) -> Round {
    let readiness = json!({"ready": failing.is_empty(), "failing": failing});
    Round {
        contact: Ok(Phase::Started),
        version: None,
        readiness: Ok(serde_json::from_value(readiness).unwrap()),
        rpc: Some(Ok(answers)),
    }
}

fn all_well() -> Answers {
    Answers {
        health: Some(serde_json::from_value(json!({"ok": true})).unwrap()),
        config: Some(
            serde_json::from_value(
                json!({"valid": true, "configRevisionHash": "a", "appliedConfigHash": "a"}),
            )
            .unwrap(),
        ),
        channels: None,
        failing_models: Some(Vec::new()),
        rss_bytes: Some(50),
    }
}

fn channel(state: AccountState) -> Channel {
    Channel { channel: "telegram".into(), account: "default".into(), state, problem: None }
}

fn disk(used_bytes: u64, total_bytes: u64) -> Disk {
    Disk { used_bytes, total_bytes, ..Disk::default() }
}

fn seen(round: &Round, surroundings: &Surroundings<'_>) -> Vec<Reason> {
    let symptoms = observe(round, surroundings).symptoms;
    symptoms.into_iter().filter(|(_, seen)| *seen).map(|(reason, _)| reason).collect()
}

#[test]
fn each_cause_has_its_reason() {
    let ready = [channel(AccountState::Ready)];
    let blocked = [channel(AccountState::Blocked)];
    let missing = [channel(AccountState::Missing)];
    let surroundings = Surroundings {
        channels: Some(&ready),
        disk: Some(disk(1, 100)),
        memory_limit: Some(100),
        config_not_applied: Some(false),
    };
    let with_disk = |used_bytes| Surroundings { disk: Some(disk(used_bytes, 100)), ..surroundings };
    let with_inodes = |used_inodes, total_inodes| Surroundings {
        disk: Some(Disk { used_inodes, total_inodes, ..disk(1, 100) }),
        ..surroundings
    };
    let config = json!({"valid": false, "issues": [{"path": "", "message": "x"}]});
    let rejected = Answers { config: Some(serde_json::from_value(config).unwrap()), ..all_well() };
    let failing = Answers { failing_models: Some(vec!["mock/m1".into()]), ..all_well() };
    let health = |part: &str| Answers {
        health: Some(serde_json::from_value(json!({part: {"degraded": true}})).unwrap()),
        ..all_well()
    };
    for (round, surroundings, expected) in [
        (round(&[], all_well()), surroundings, vec![]),
        (round(&["startup-sidecars", "gateway-draining"], all_well()), surroundings, vec![]),
        (round(&["agent-database:main"], all_well()), surroundings, vec![Reason::NotReady]),
        (round(&[], health("modelRuntime")), surroundings, vec![Reason::NotReady]),
        (round(&["telegram"], all_well()), surroundings, vec![Reason::ChannelDown]),
        (
            round(&[], all_well()),
            Surroundings { channels: Some(&blocked), ..surroundings },
            vec![Reason::ChannelDown],
        ),
        (
            round(&[], all_well()),
            Surroundings { channels: Some(&missing), ..surroundings },
            vec![Reason::ChannelMissing],
        ),
        (round(&[], rejected), surroundings, vec![Reason::ConfigRejected]),
        (round(&[], failing), surroundings, vec![Reason::ModelProviderFailing]),
        (round(&[], health("eventLoop")), surroundings, vec![Reason::EventLoopDegraded]),
        (round(&[], Answers { rss_bytes: Some(90), ..all_well() }), surroundings, vec![Reason::MemoryHigh]),
        (
            round(&[], all_well()),
            Surroundings { config_not_applied: Some(true), ..surroundings },
            vec![Reason::ConfigNotApplied],
        ),
        (round(&[], all_well()), with_disk(95), vec![Reason::DiskFull]),
        (round(&[], all_well()), with_disk(94), vec![]),
        (round(&[], all_well()), with_inodes(950, 1000), vec![Reason::DiskFull]),
        (round(&[], all_well()), with_inodes(949, 1000), vec![]),
        (round(&[], all_well()), with_inodes(0, 0), vec![]),
        (round(&[], Answers::default()), surroundings, vec![Reason::RpcUnavailable]),
        (
            Round { rpc: Some(Err(RpcError::Closed)), ..round(&[], all_well()) },
            surroundings,
            vec![Reason::RpcUnavailable],
        ),
    ] {
        assert_eq!(seen(&round, &surroundings), expected, "{round:?}");
    }
}

#[test]
fn what_was_not_asked_or_is_between_two_levels_is_not_judged() {
    let silent =
        Round { contact: Err(Failure::Frozen), version: None, readiness: Err(Failure::Frozen), rpc: None };
    let between = Surroundings { disk: Some(disk(92, 100)), ..Surroundings::default() };
    let observation = observe(&silent, &between);
    assert_eq!(observation.contact, Err(Failure::Frozen));
    assert!(observation.symptoms.is_empty(), "{observation:?}");
    // A name that may be a channel's is not judged without the list of channels.
    let unsure = observe(&round(&["telegram"], Answers::default()), &Surroundings::default());
    assert_eq!(unsure.symptoms.get(&Reason::NotReady), None);
    let no_limit = observe(&round(&[], all_well()), &Surroundings::default());
    assert_eq!(no_limit.symptoms.get(&Reason::MemoryHigh), None);
    let empty = Surroundings { disk: Some(Disk::default()), ..Surroundings::default() };
    assert_eq!(observe(&round(&[], all_well()), &empty).symptoms.get(&Reason::DiskFull), None);
}
