//! Input and output stage, pure: the API server's question as a question of ours, and our verdict as its answer.
//!
//! What always passes is not asked about: the chart's ValidatingWebhookConfiguration says what that is, as it has to pass
//! when no webhook answers too.

use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::judge::{Refusal, Verdict};

/// An `AdmissionReview` of `admission.k8s.io/v1`, as far as it is read. It is read twice, so that no other form of the
/// objects is kept than the one that is judged: that of any JSON takes many times the room of its text.
#[derive(Deserialize)]
struct Review<R> {
    request: R,
}

/// What the API server is about to do.
#[derive(Deserialize)]
struct Request {
    uid: String,
    kind: Kind,
    operation: Operation,
}

/// The webhook is registered for one group and version.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "K: DeserializeOwned")]
struct Objects<K> {
    /// None for a deletion.
    object: Option<Box<K>>,
    /// None for a creation.
    old_object: Option<Box<K>>,
}

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// Comes back in the answer.
    pub uid: String,
    /// The object's kind.
    pub kind: String,
    /// The question, or the verdict where there is none.
    pub question: Result<Question, Verdict>,
}

/// What is to be judged.
#[derive(Debug)]
pub enum Question {
    /// A Tenant is created or changed.
    Tenant(Change<Tenant>),
    /// An Agent is created or changed.
    Agent(Change<Agent>),
    /// A Harness is created or changed.
    Harness(Change<Harness>),
    /// A Harness is deleted.
    HarnessGone(Box<Harness>),
}

/// An object as it will be and as it is.
#[derive(Debug)]
pub struct Change<K> {
    /// As it will be.
    pub new: Box<K>,
    /// As it is; `None` when it does not exist.
    pub old: Option<Box<K>>,
}

/// Reads a review.
pub fn read(review: &[u8]) -> Result<Asked, serde_json::Error> {
    let Review { request: Request { uid, kind: Kind { kind }, operation } } = serde_json::from_slice(review)?;
    let question = match (operation, kind.as_str()) {
        (Operation::Create | Operation::Update, "Tenant") => change(review, &kind).map(Question::Tenant),
        (Operation::Create | Operation::Update, "Agent") => change(review, &kind).map(Question::Agent),
        (Operation::Create | Operation::Update, "Harness") => change(review, &kind).map(Question::Harness),
        (Operation::Delete, "Harness") => {
            let old = objects(review).ok().and_then(|objects| objects.old_object);
            old.map(Question::HarnessGone).ok_or_else(Verdict::default)
        }
        (Operation::Create | Operation::Update | Operation::Delete | Operation::Connect, _) => {
            Err(Verdict::default())
        }
    };
    Ok(Asked { uid, kind, question })
}

fn change<K: DeserializeOwned>(review: &[u8], kind: &str) -> Result<Change<K>, Verdict> {
    let Objects { object, old_object } = objects(review).map_err(|error| {
        // The definition is newer than this program, or older: neither is the object's fault. What was stored can't be
        // taken for nothing: whatever was wrong in it would be new.
        Verdict::warn(format!(
            "the {kind} was not judged, as this version of the webhook can't read it or what it was before: {error}"
        ))
    })?;
    Ok(Change { new: object.ok_or_else(Verdict::default)?, old: old_object })
}

fn objects<K: DeserializeOwned>(review: &[u8]) -> Result<Objects<K>, serde_json::Error> {
    serde_json::from_slice(review).map(|Review { request }| request)
}

/// The answer to the request of this uid.
pub fn answer(uid: &str, verdict: &Verdict) -> Value {
    let mut response = json!({"uid": uid, "allowed": verdict.refusal.is_none()});
    if let Some(refusal) = &verdict.refusal {
        let (code, reason) = match refusal {
            Refusal::Invalid(_) => (422, "Invalid"),
            Refusal::InUse(_) => (403, "Forbidden"),
        };
        response["status"] = json!({"code": code, "reason": reason, "message": refusal.to_string()});
    }
    if !verdict.warnings.is_empty() {
        response["warnings"] = json!(verdict.warnings);
    }
    json!(Answer { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: &'static str,
    kind: &'static str,
    response: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: &str, operation: &str, object: &Value, old: &Value) -> Result<Question, Verdict> {
        let review = json!({"request": {
            "uid": "u", "kind": {"group": "kr8tiv.ai", "version": "v1alpha1", "kind": kind},
            "operation": operation, "object": object, "oldObject": old
        }});
        let asked = read(review.to_string().as_bytes()).unwrap();
        assert_eq!((asked.uid.as_str(), asked.kind.as_str()), ("u", kind));
        asked.question
    }

    fn tenant(harness: &Value) -> Value {
        json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant",
            "metadata": {"name": "acme", "namespace": "a"},
            "spec": {"displayName": "Acme", "harnessRef": harness}
        })
    }

    #[test]
    fn what_is_not_judged_passes() {
        let plain = tenant(&json!({"name": "h"}));
        let passing = [
            question("Tenant", "DELETE", &Value::Null, &plain),
            question("Widget", "CREATE", &plain, &Value::Null),
            question("Harness", "DELETE", &Value::Null, &tenant(&json!(7))),
        ];
        for question in passing {
            assert_eq!(question.unwrap_err(), Verdict::default());
        }
    }

    #[test]
    fn what_can_not_be_read_refuses_neither_itself_nor_its_successor() {
        let (readable, unreadable) = (tenant(&json!({"name": "h"})), tenant(&json!(7)));
        let passing = [
            question("Tenant", "CREATE", &unreadable, &Value::Null),
            question("Tenant", "UPDATE", &readable, &unreadable),
        ];
        for question in passing {
            let verdict = question.unwrap_err();
            assert_eq!((verdict.refusal, verdict.warnings.len()), (None, 1));
            assert!(verdict.warnings[0].contains("can't read it"), "{}", verdict.warnings[0]);
        }
        let Ok(Question::Tenant(change)) = question("Tenant", "UPDATE", &readable, &readable) else {
            panic!("it is judged");
        };
        assert!(change.old.is_some());
    }

    #[test]
    fn answers_are_what_the_api_server_wants() {
        let allowed = answer("u", &Verdict::warn("careful".into()));
        assert_eq!(allowed["response"], json!({"uid": "u", "allowed": true, "warnings": ["careful"]}));
        let refusal = Some(Refusal::InUse("in use".into()));
        let refused = answer("u", &Verdict { refusal, warnings: Vec::new() });
        let status = json!({"code": 403, "reason": "Forbidden", "message": "in use"});
        assert_eq!(refused["response"], json!({"uid": "u", "allowed": false, "status": status}));
        assert_eq!(refused["apiVersion"], "admission.k8s.io/v1");
    }
}
