//! Counting requests in the API server's audit log. I/O: reads the log file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use crate::Outcome;

/// The audit log of the cluster's API server.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// One answered request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    stage: String,
    /// The verb, such as `patch`.
    pub verb: String,
    /// The path with its query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// When it came.
    #[serde(default)]
    pub request_received_timestamp: String,
    /// When it was answered.
    pub stage_timestamp: String,
    /// Which program asked.
    #[serde(default)]
    pub user_agent: String,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
}

impl Request {
    /// The namespace of the object, empty for requests that concern none.
    pub fn namespace(&self) -> &str {
        self.object_ref.as_ref().map_or("", |object| &object.namespace)
    }

    /// The object's name, empty where the request is for none by name.
    pub fn name(&self) -> &str {
        self.object_ref.as_ref().map_or("", |object| &object.name)
    }

    /// The API group of the resource, empty for the core's.
    pub fn group(&self) -> &str {
        self.object_ref.as_ref().map_or("", |object| &object.api_group)
    }

    /// Whether it asks for a change.
    pub fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }

    /// Whether it made an object: also a server-side apply does, and then needs the right to create.
    pub fn has_created(&self) -> bool {
        self.response_status.as_ref().is_some_and(|status| status.code == 201)
    }

    /// Whether the user had no right to ask. What else is answered by "forbidden" (403), such as a new object in a
    /// namespace that is being deleted, is admission's doing.
    pub fn is_unauthorised(&self) -> bool {
        self.annotations.get("authorization.k8s.io/decision").is_some_and(|decision| decision == "forbid")
    }

    /// The resource with its subresource, such as `tenants/status`; the path where there is none.
    pub fn resource(&self) -> String {
        match &self.object_ref {
            None => self.uri.clone(),
            Some(object) if object.subresource.is_empty() => object.resource.clone(),
            Some(object) => format!("{}/{}", object.resource, object.subresource),
        }
    }
}

impl AuditLog {
    /// The log in this file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as it is now.
    pub fn mark(&self) -> Outcome<Mark> {
        Ok(Mark(self.path.metadata()?.len()))
    }

    /// The beginning of the log.
    pub fn start() -> Mark {
        Mark(0)
    }

    /// Everything that was written after the mark.
    pub fn text_since(&self, mark: Mark) -> Outcome<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The requests of a user that were answered after the mark, without watches and leases: the two that go on
    /// while nothing happens.
    pub fn requests_since(&self, mark: Mark, user: &str) -> Outcome<Vec<Request>> {
        let goes_on = |request: &Request| request.verb == "watch" || request.resource() == "leases";
        let mut requests = self.all_since(mark, user)?;
        requests.retain(|request| !goes_on(request));
        Ok(requests)
    }

    /// All requests of a user that were answered after the mark. A watch comes when it begins, and again when it ends.
    pub fn all_since(&self, mark: Mark, user: &str) -> Outcome<Vec<Request>> {
        let text = self.text_since(mark)?;
        // The last line may be half written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut requests = Vec::new();
        for line in complete.lines() {
            let request: Request = serde_json::from_str(line)?;
            let is_answer = match request.stage.as_str() {
                "ResponseStarted" => request.verb == "watch",
                stage => stage == "ResponseComplete" || stage == "Panic",
            };
            if is_answer && request.user.username == user {
                requests.push(request);
            }
        }
        Ok(requests)
    }
}

/// How many requests there are of each verb and resource.
pub fn by_verb_and_resource(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(format!("{} {}", request.verb, request.resource())).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stage: &str, user: &str, verb: &str, resource: &str, subresource: &str) -> String {
        format!(
            "{{\"stage\":\"{stage}\",\"verb\":\"{verb}\",\"requestURI\":\"/x\",\"user\":{{\"username\":\"{user}\"}},\
             \"objectRef\":{{\"resource\":\"{resource}\",\"subresource\":\"{subresource}\",\"namespace\":\"n\"}},\
             \"annotations\":{{\"authorization.k8s.io/decision\":\"forbid\"}},\
             \"stageTimestamp\":\"2026-01-01T00:00:00Z\"}}\n"
        )
    }

    #[test]
    fn watches_leases_other_users_and_half_lines_do_not_count() {
        let folder = std::env::temp_dir().join(format!("kr8tiv-audit-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("audit.log");
        let old = line("ResponseComplete", "op", "get", "secrets", "");
        std::fs::write(&path, &old).unwrap();
        let log = AuditLog::at(path.clone());
        let mark = log.mark().unwrap();
        let new = [
            line("ResponseComplete", "op", "patch", "tenants", "status"),
            line("ResponseStarted", "op", "patch", "tenants", "status"),
            line("ResponseComplete", "op", "watch", "tenants", ""),
            line("ResponseComplete", "op", "update", "leases", ""),
            line("ResponseComplete", "admin", "patch", "tenants", ""),
            "{\"stage\":".to_owned(),
        ];
        std::fs::write(&path, old + &new.concat()).unwrap();
        let requests = log.requests_since(mark, "op").unwrap();
        assert_eq!(by_verb_and_resource(&requests), BTreeMap::from([("patch tenants/status".to_owned(), 1)]));
        assert!(requests[0].is_unauthorised());
        assert_eq!(log.requests_since(AuditLog::start(), "op").unwrap().len(), 2);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
