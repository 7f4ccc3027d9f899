//! Input and output stage, pure: the API server's question as a question of ours, and our verdict as its answer.

use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::judge::{Refusal, Verdict};

/// Parts of Kubernetes that remove what is to be removed. Whoever stops them keeps a namespace from ending.
const COLLECTORS: [&str; 3] = [
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
    "system:kube-controller-manager",
];

/// An `AdmissionReview` of `admission.k8s.io/v1`, as it is asked.
#[derive(Debug, Deserialize)]
pub struct Review {
    /// The question.
    pub request: Request,
}

/// What the API server is about to do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Comes back in the answer.
    pub uid: String,
    /// The object's kind.
    pub kind: Kind,
    /// Of which part of the object; `None` for the object itself.
    pub sub_resource: Option<String>,
    /// What is done.
    pub operation: Operation,
    /// By whom.
    #[serde(default)]
    pub user_info: UserInfo,
    /// The object as it will be; null for a deletion.
    #[serde(default)]
    pub object: Value,
    /// The object as it is; null for a creation.
    #[serde(default)]
    pub old_object: Value,
}

/// Group, version and kind; the webhook is registered for one group and version.
#[derive(Debug, Deserialize)]
pub struct Kind {
    /// The kind.
    pub kind: String,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// A connection to it is made.
    Connect,
}

/// Who asks.
#[derive(Debug, Default, Deserialize)]
pub struct UserInfo {
    /// The user's name.
    #[serde(default)]
    pub username: String,
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
    /// As it is; `None` when it does not exist, or can't be read.
    pub old: Option<Box<K>>,
}

/// The question in a request, or the verdict where there is none: what does not change how an object is compiled always
/// passes.
pub fn read(request: &Request) -> Result<Question, Verdict> {
    let is_deletion = request.operation == Operation::Delete;
    let is_leaving = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
    let is_collected = COLLECTORS.contains(&request.user_info.username.as_str());
    if request.sub_resource.is_some() || is_leaving(&request.object) || is_leaving(&request.old_object) {
        return Err(Verdict::default());
    }
    match (request.operation, request.kind.kind.as_str()) {
        (Operation::Create | Operation::Update, _)
            if request.object["spec"] == request.old_object["spec"] =>
        {
            Err(Verdict::default())
        }
        (Operation::Create | Operation::Update, "Tenant") => change(request).map(Question::Tenant),
        (Operation::Create | Operation::Update, "Agent") => change(request).map(Question::Agent),
        (Operation::Create | Operation::Update, "Harness") => change(request).map(Question::Harness),
        (_, "Harness") if is_deletion && !is_collected => {
            object(&request.old_object).map(Question::HarnessGone).map_err(|_| Verdict::default())
        }
        _ => Err(Verdict::default()),
    }
}

fn change<K: DeserializeOwned>(request: &Request) -> Result<Change<K>, Verdict> {
    let new = object(&request.object).map_err(|error| {
        // The definition is newer than this program, or older: neither is the object's fault.
        let kind = &request.kind.kind;
        Verdict::warn(format!(
            "the {kind} was not judged, as this version of the webhook can't read it: {error}"
        ))
    })?;
    Ok(Change { new, old: object(&request.old_object).ok() })
}

fn object<K: DeserializeOwned>(object: &Value) -> Result<Box<K>, serde_json::Error> {
    K::deserialize(object).map(Box::new)
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

    fn request(kind: &str, operation: &str, object: &Value, old: &Value) -> Value {
        json!({
            "uid": "u", "kind": {"group": "kr8tiv.ai", "version": "v1alpha1", "kind": kind},
            "operation": operation, "userInfo": {"username": "jane"}, "object": object, "oldObject": old
        })
    }

    fn read_json(request: Value) -> Result<Question, Verdict> {
        read(&serde_json::from_value(request).unwrap())
    }

    fn tenant(spec: &Value) -> Value {
        json!({
            "apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Tenant",
            "metadata": {"name": "acme", "namespace": "a"}, "spec": spec
        })
    }

    fn harness(metadata: &Value) -> Value {
        let spec = json!({
            "identity": {"role": "r", "purpose": "p", "personality": "p"},
            "soul": {"coreTruths": ["t"], "vibe": "v"},
            "jobFunctions": {"responsibilities": ["r"], "successCriteria": ["s"]},
            "models": {"primary": "anthropic/claude-sonnet-4-6"}
        });
        json!({"apiVersion": "kr8tiv.ai/v1alpha1", "kind": "Harness", "metadata": metadata, "spec": spec})
    }

    #[test]
    fn what_does_not_change_how_an_object_is_compiled_passes() {
        let spec = json!({"displayName": "Acme", "harnessRef": {"name": "h"}});
        let (plain, mut finalized) = (tenant(&spec), tenant(&spec));
        finalized["metadata"]["finalizers"] = json!(["example.com/x"]);
        let mut leaving = tenant(&json!({"displayName": "Other", "harnessRef": {"name": "h"}}));
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-30T00:00:00Z");
        let mut status = request("Tenant", "UPDATE", &leaving, &plain);
        status["subResource"] = json!("status");
        let passing = [
            request("Tenant", "UPDATE", &finalized, &plain),
            request("Tenant", "UPDATE", &leaving, &plain),
            request("Tenant", "DELETE", &Value::Null, &plain),
            request("Widget", "CREATE", &leaving, &Value::Null),
            status,
        ];
        for request in passing {
            let verdict = read_json(request.clone()).unwrap_err();
            assert_eq!(verdict, Verdict::default(), "{request}");
        }
    }

    #[test]
    fn a_collected_harness_passes_and_a_deleted_one_is_looked_at() {
        let old = harness(&json!({"name": "h", "namespace": "a"}));
        let mut delete = request("Harness", "DELETE", &Value::Null, &old);
        assert!(matches!(read_json(delete.clone()), Ok(Question::HarnessGone(_))));
        for collector in COLLECTORS {
            delete["userInfo"]["username"] = json!(collector);
            assert_eq!(read_json(delete.clone()).unwrap_err(), Verdict::default());
        }
    }

    #[test]
    fn what_can_not_be_read_passes_with_a_warning() {
        let object = tenant(&json!({"displayName": "Acme", "harnessRef": 7}));
        let verdict = read_json(request("Tenant", "CREATE", &object, &Value::Null)).unwrap_err();
        assert_eq!((verdict.refusal, verdict.warnings.len()), (None, 1));
        assert!(verdict.warnings[0].contains("can't read it"), "{}", verdict.warnings[0]);
    }

    #[test]
    fn an_unreadable_stored_object_is_no_reason_to_refuse_its_successor() {
        let object = tenant(&json!({"displayName": "Acme", "harnessRef": {"name": "h"}}));
        let old = tenant(&json!({"displayName": "Acme", "harnessRef": 7}));
        let Ok(Question::Tenant(change)) = read_json(request("Tenant", "UPDATE", &object, &old)) else {
            panic!("it is judged");
        };
        assert!(change.old.is_none());
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
