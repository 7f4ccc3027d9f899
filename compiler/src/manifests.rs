//! Output for people and other tools: objects as one file of YAML documents. Pure.

use serde::Serialize;

/// Why objects could not be written as YAML.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// An object has no form in JSON.
    #[error("an object can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An object has no form in YAML.
    #[error("an object can't be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// Writes objects as YAML documents, in their order. Every document is what the operator applies: its JSON is the body
/// of the operator's request. Keys are sorted, so that a change shows where it is.
pub fn yaml<T: Serialize>(objects: impl IntoIterator<Item = T>) -> Result<String, ManifestError> {
    let mut documents = Vec::new();
    for object in objects {
        documents.push(serde_saphyr::to_string(&serde_json::to_value(object)?)?);
    }
    Ok(documents.join("---\n"))
}
