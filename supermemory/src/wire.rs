//! Bodies of requests and answers, as the SDK has them. Types, and reading of answers; pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::error::BadResponse;

/// What is looked up: `POST /v4/search`.
#[derive(Clone, Debug, PartialEq)]
pub struct Search<'a> {
    /// What to look for, in plain words.
    pub query: &'a str,
    /// The tag under which is looked.
    pub container_tag: &'a str,
    /// Hits at most.
    pub limit: u32,
    /// How similar a hit must be, from 0 to 1; what is outside is taken to the nearest of the two.
    pub threshold: f64,
}

/// Memories and pieces of documents, where the service would give memories only.
const HYBRID: &str = "hybrid";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchBody<'a> {
    q: &'a str,
    container_tag: &'a str,
    search_mode: &'static str,
    limit: u32,
    threshold: f64,
}

impl<'a> Search<'a> {
    pub(crate) fn body(&self) -> SearchBody<'a> {
        SearchBody {
            q: self.query,
            container_tag: self.container_tag,
            search_mode: HYBRID,
            limit: self.limit,
            threshold: clamped(self.threshold),
        }
    }
}

/// A threshold from 0 to 1. What is no number lets nothing through.
pub(crate) fn clamped(threshold: f64) -> f64 {
    if threshold.is_nan() { 1.0 } else { threshold.clamp(0.0, 1.0) }
}

/// What is stored: `POST /v3/documents`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    /// The text.
    pub content: &'a str,
    /// The tag under which it is stored.
    pub container_tag: &'a str,
    /// The name by which a second addition replaces the first: at most 100 letters, digits, `-`, `_` and `.`. Without
    /// one, each addition is a document of its own, so that a request is not sent again when its fate is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<&'a str>,
    /// What is said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<&'a str, &'a str>,
}

/// A document has been taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Added {
    /// The service's id of the document.
    pub id: String,
    /// How far it is: `queued` at first.
    pub status: String,
}

impl Added {
    pub(crate) fn read(answer: &Value) -> Result<Self, BadResponse> {
        let text = |name| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            id: text("id").ok_or(BadResponse::Lacks("id"))?,
            status: text("status").ok_or(BadResponse::Lacks("status"))?,
        })
    }
}

/// Whose profile is asked for: `POST /v4/profile`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileRequest<'a> {
    /// The tag.
    pub container_tag: &'a str,
}

/// What is known of a tag in general.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    /// What stays true.
    pub lasting: Vec<String>,
    /// What is true of late.
    pub recent: Vec<String>,
}

impl Profile {
    pub(crate) fn read(answer: &Value) -> Result<Self, BadResponse> {
        let profile = answer.get("profile").filter(|profile| profile.is_object());
        let profile = profile.ok_or(BadResponse::Lacks("profile"))?;
        let list = |name| {
            let entries = profile.get(name).and_then(Value::as_array).into_iter().flatten();
            entries.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Ok(Self { lasting: list("static"), recent: list("dynamic") })
    }
}
