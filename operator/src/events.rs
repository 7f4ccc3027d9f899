//! Events: what a change of a status is worth telling, and the task that tells it. The choice is pure; the task writes
//! to the API.
//!
//! A condition tells how things are, an event that they have become so, or that an object was put back. Only changes make
//! events, never passes: an object at rest makes none. They are best effort: one that can't be delivered is counted and forgotten.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kr8tiv_crds::Harness;
use kr8tiv_crds::status::{ConditionStatus, ConditionType, Reason};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::child::ChildId;
use crate::client::said;
use crate::ledger::Meddling;
use crate::metrics::Metrics;

/// What the events say of who made them.
const CONTROLLER: &str = "kr8tiv-operator";
/// The API server takes notes of this many bytes.
const NOTE_LIMIT: usize = 1024;
/// Events that wait for delivery. A change of one Harness can bring one for each of its tenants.
const WAITING_LIMIT: usize = 4096;
/// An event that is not taken in this time is dropped: those behind it matter as much.
const PATIENCE: Duration = Duration::from_secs(10);

/// A change that is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transition {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// Reason of the condition, or what the operator has done.
    pub reason: String,
    /// Type of the condition, or of what the operator has done.
    pub condition: String,
    /// Message of the condition, as far as a note takes it.
    pub note: String,
}

/// What is told of an object that somebody else has changed or deleted, and that is as compiled again.
fn restored(ChildId { kind, name }: &ChildId, meddling: Meddling) -> Transition {
    let done = match meddling {
        Meddling::Changed => "was changed by somebody else, and is as compiled again",
        Meddling::Deleted => "was deleted by somebody else, and has been made anew",
    };
    Transition {
        warning: true,
        reason: "ObjectRestored".to_owned(),
        condition: "Restore".to_owned(),
        note: format!("{} {name} {done}", kind.as_str()),
    }
}

/// What is told of a change from one status to another, as they are stored. What other conditions sum up or repeat is
/// left to those.
pub fn transitions(old: &Value, new: &Value) -> Vec<Transition> {
    let (before, after) = (Statuses::of(old), Statuses::of(new));
    let mut told: Vec<Transition> = after.0.iter().filter_map(|condition| before.told(condition)).collect();
    // What only `Degraded` or `ConfigApplied` says is told by it; the rest is told by a condition of its own.
    let degraded = ConditionType::Degraded.as_str();
    let repeats = |told: &Transition| {
        told.condition == degraded || told.condition == ConditionType::ConfigApplied.as_str()
    };
    let elsewhere: Vec<String> =
        told.iter().filter(|told| !repeats(told)).map(|told| told.reason.clone()).collect();
    told.retain(|told| !repeats(told) || !elsewhere.contains(&told.reason));
    if let Some(restart) = restart(old, new, &after) {
        told.push(restart);
    }
    if before.get(degraded).is_some() && after.get(degraded).is_none() {
        told.push(Transition {
            warning: false,
            reason: Reason::Succeeded.as_str().to_owned(),
            condition: degraded.to_owned(),
            note: "what was wrong with the gateway is over".to_owned(),
        });
    }
    told
}

/// A restart by the operator, which the status counts.
fn restart(old: &Value, new: &Value, after: &Statuses) -> Option<Transition> {
    let last = |status: &Value| status["restarts"].as_array().and_then(|restarts| restarts.last().cloned());
    let restarted = last(new).filter(|restarted| last(old).as_ref() != Some(restarted));
    restarted.map(|_| Transition {
        warning: true,
        reason: "GatewayRestarted".to_owned(),
        condition: "Restart".to_owned(),
        note: after.get(ConditionType::Ready.as_str()).map(|ready| ready.message.clone()).unwrap_or_default(),
    })
}

/// Conditions, as they are stored.
struct Statuses(Vec<Stored>);

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
}

impl Statuses {
    fn of(status: &Value) -> Self {
        Self(Vec::deserialize(&status["conditions"]).unwrap_or_default())
    }

    fn get(&self, type_: &str) -> Option<&Stored> {
        self.0.iter().find(|condition| condition.type_ == type_)
    }

    /// What is told of a condition after these.
    fn told(&self, condition: &Stored) -> Option<Transition> {
        let Stored { type_, status, reason, message } = condition;
        let is = |of: ConditionType| of.as_str() == type_;
        let summed_up = [
            ConditionType::Compiled,
            ConditionType::GatewayReady,
            ConditionType::PolicyEnforced,
            ConditionType::Reconciling,
            ConditionType::Stalled,
        ];
        let previous = self.get(type_);
        let same = previous.is_some_and(|previous| previous.status == *status && previous.reason == *reason);
        // A start goes as starts go: what is told is where it ends.
        let on_the_way = status == ConditionStatus::Unknown.as_str()
            || [Reason::Starting, Reason::Delivering].iter().any(|way| way.as_str() == reason);
        let well = (status == ConditionStatus::True.as_str())
            != (is(ConditionType::Degraded) || is(ConditionType::Drifted));
        // What becomes well for the first time is no news, but for the summary.
        let was_bad = previous.is_some_and(|previous| previous.status == ConditionStatus::False.as_str());
        let no_news = well && !was_bad && !is(ConditionType::Ready);
        if same || on_the_way || no_news || summed_up.iter().any(|summed| is(*summed)) {
            return None;
        }
        let mut note = message.clone();
        note.truncate(note.floor_char_boundary(NOTE_LIMIT));
        let suspended = reason == Reason::Suspended.as_str();
        Some(Transition {
            warning: !well && !suspended,
            reason: reason.clone(),
            condition: type_.clone(),
            note,
        })
    }
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<(ObjectReference, Transition)>,
    metrics: Metrics,
}

impl Events {
    /// Makes both ends. What is sent waits until [`publish`] runs.
    pub fn new(metrics: Metrics) -> (Self, Waiting) {
        let (sender, receiver) = mpsc::channel(WAITING_LIMIT);
        (Self { sender, metrics }, Waiting(receiver))
    }

    /// Tells of an object's new status. Never waits.
    pub fn tell<K: Resource<DynamicType = ()>>(
        &self,
        metadata: &kube::core::ObjectMeta,
        old: &Value,
        new: &Value,
    ) {
        // That its tenants serve each of them tells: a Harness would tell of every start of each.
        let is_harness = K::kind(&()) == Harness::kind(&());
        let is_told_by_tenants = |told: &Transition| is_harness && told.reason == Reason::Serving.as_str();
        for transition in transitions(old, new).into_iter().filter(|told| !is_told_by_tenants(told)) {
            self.send::<K>(metadata, transition);
        }
    }

    /// Tells on whoever it belongs to of an object that has been put back. Never waits.
    pub fn tell_of_restored<K: Resource<DynamicType = ()>>(
        &self,
        owner: &kube::core::ObjectMeta,
        object: &ChildId,
        meddling: Meddling,
    ) {
        self.send::<K>(owner, restored(object, meddling));
    }

    fn send<K: Resource<DynamicType = ()>>(&self, metadata: &kube::core::ObjectMeta, transition: Transition) {
        let reference = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            ..ObjectReference::default()
        };
        if self.sender.try_send((reference, transition)).is_err() {
            self.metrics.event_dropped();
        }
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Waiting(mpsc::Receiver<(ObjectReference, Transition)>);

/// Publishes what is sent, one after the other. Ends when nobody can send any more.
pub async fn publish(client: Client, instance: Option<String>, mut waiting: Waiting, metrics: Metrics) {
    while let Some((reference, transition)) = waiting.0.recv().await {
        // A recorder of its own for each: a longer-lived one takes two events with the same reason for one and keeps
        // the first one's note.
        let reporter = Reporter { controller: CONTROLLER.into(), instance: instance.clone() };
        let recorder = Recorder::new(client.clone(), reporter);
        let Transition { warning, reason, condition, note } = transition;
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason,
            note: Some(note),
            action: condition,
            secondary: None,
        };
        let published = timeout(PATIENCE, recorder.publish(&event, &reference)).await;
        let error = match published {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(said(&error)),
            Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        if let Some(error) = error {
            metrics.event_dropped();
            let (namespace, name) = (reference.namespace, reference.name);
            tracing::debug!(kind = reference.kind, namespace, name, error, "an event was not taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(conditions: &[(&str, &str, &str)]) -> Value {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(type_, status, reason)| json!({"type": type_, "status": status, "reason": reason, "message": "m"}))
            .collect();
        json!({"conditions": conditions})
    }

    fn told(old: &[(&str, &str, &str)], new: &[(&str, &str, &str)]) -> Vec<(bool, String)> {
        let told = transitions(&status(old), &status(new));
        told.into_iter().map(|it| (it.warning, format!("{}/{}", it.condition, it.reason))).collect()
    }

    #[test]
    fn a_start_is_told_once_when_it_has_come_to_its_end() {
        let starting = [("Ready", "False", "Starting"), ("GatewayReady", "False", "Starting")];
        let serving = [
            ("Ready", "True", "Serving"),
            ("GatewayReady", "True", "Serving"),
            ("SkillsReady", "True", "Succeeded"),
        ];
        assert_eq!(told(&[], &starting), []);
        assert_eq!(told(&starting, &serving), [(false, "Ready/Serving".to_owned())]);
        assert_eq!(told(&serving, &serving), []);
    }

    #[test]
    fn trouble_and_its_end_are_told() {
        let bad = [("Ready", "False", "CrashLoop"), ("Stalled", "True", "CrashLoop")];
        let good = [("Ready", "True", "Serving")];
        assert_eq!(told(&good, &bad), [(true, "Ready/CrashLoop".to_owned())]);
        assert_eq!(told(&bad, &good), [(false, "Ready/Serving".to_owned())]);
        let without = [("Ready", "True", "Serving"), ("SkillsReady", "False", "SkillPackUnavailable")];
        assert_eq!(told(&good, &without), [(true, "SkillsReady/SkillPackUnavailable".to_owned())]);
        assert_eq!(told(&good, &[("Ready", "False", "Suspended")]), [(false, "Ready/Suspended".to_owned())]);
    }

    #[test]
    fn what_two_conditions_say_is_told_once_and_so_is_its_end() {
        let good = [("Ready", "True", "Serving"), ("WatchdogHealthy", "True", "Succeeded")];
        let silent = [
            ("Ready", "True", "Serving"),
            ("WatchdogHealthy", "False", "WatchdogUnreachable"),
            ("Degraded", "True", "WatchdogUnreachable"),
        ];
        assert_eq!(told(&good, &silent), [(true, "WatchdogHealthy/WatchdogUnreachable".to_owned())]);
        assert_eq!(
            told(&silent, &good),
            [(false, "WatchdogHealthy/Succeeded".to_owned()), (false, "Degraded/Succeeded".to_owned())]
        );
        let invalid = [
            ("Ready", "False", "Invalid"),
            ("ConfigApplied", "False", "Invalid"),
            ("WatchdogHealthy", "True", "Succeeded"),
        ];
        assert_eq!(told(&good, &invalid), [(true, "Ready/Invalid".to_owned())]);
        let full = [good[0], good[1], ("Degraded", "True", "DiskFull"), ("Drifted", "True", "FileChanged")];
        assert_eq!(
            told(&good, &full),
            [(true, "Degraded/DiskFull".to_owned()), (true, "Drifted/FileChanged".to_owned())]
        );
    }

    #[test]
    fn a_restart_is_told_with_its_cause() {
        let down = [("Ready", "False", "GatewayDown")];
        let (mut old, mut new) = (status(&down), status(&down));
        old["restarts"] = json!(["2026-11-25T12:00:00Z"]);
        new["restarts"] = json!(["2026-11-25T12:00:00Z", "2026-11-25T12:10:00Z"]);
        let told = transitions(&old, &new).remove(0);
        assert_eq!((told.warning, told.reason.as_str(), told.note.as_str()), (true, "GatewayRestarted", "m"));
        assert_eq!(transitions(&new, &new), []);
        assert_eq!(transitions(&new, &status(&down)), [], "forgetting is no restart");
    }

    #[test]
    fn a_note_is_cut_where_a_character_ends() {
        let long = json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "Invalid", "message": "ä".repeat(NOTE_LIMIT)}
        ]});
        let note = transitions(&json!({}), &long).remove(0).note;
        assert_eq!(note, "ä".repeat(NOTE_LIMIT / 2));
    }
}
