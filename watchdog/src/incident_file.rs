//! I/O: what outlives the watchdog: of which incident *down* was told, and whom. A small file beside the record of
//! deliveries.
//!
//! It lies on the volume, where an agent can change it. By that it can have a *recovered* told or a *down* left out, once
//! and at the next start; no word of it reaches a receiver.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::deliver::RECORD_DIR;
use crate::dir::{Dir, Found};
use crate::judge::reason::Reason;
use crate::settings::Receiver;

const FILE: &str = "incident.json";
const API_VERSION: &str = "kr8tiv.ai/incident/v1";
/// It has some two hundred bytes.
const LIMIT: u64 = 4096;
/// For how long a volume is waited for that hangs.
const WITHIN: Duration = Duration::from_secs(2);

/// An incident of which *down* was told and *recovered* was not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Why the gateway was called down.
    pub reason: Reason,
    /// When it began, by the watchdog's clock.
    pub since: Duration,
    /// Who was told.
    pub receivers: BTreeSet<Receiver>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    reason: String,
    since_seconds: u64,
    receivers: BTreeSet<String>,
}

/// The file, as far as it is known what is in it.
#[derive(Debug)]
pub struct IncidentFile {
    folder: PathBuf,
    stored: Option<Told>,
    storing: Option<JoinHandle<(Option<Told>, io::Result<()>)>>,
}

impl IncidentFile {
    /// Reads it; what can't be read is as if nothing had been told.
    pub async fn open(state_dir: &Path) -> Self {
        let folder = state_dir.to_owned();
        let reading = spawn_blocking({
            let folder = folder.clone();
            move || read(&folder)
        });
        let stored = match timeout(WITHIN, reading).await {
            Ok(Ok(Ok(stored))) => stored,
            Ok(Ok(Err(why))) => {
                tracing::warn!(file = FILE, why, "who was told of an incident is not known any more");
                None
            }
            Ok(Err(_)) | Err(_) => None,
        };
        Self { folder, stored, storing: None }
    }

    /// What is stored.
    pub fn stored(&self) -> Option<&Told> {
        self.stored.as_ref()
    }

    /// Stores what is true now, on a thread of its own and never on two: a volume that hangs must not collect threads.
    /// Never waits, so what did not succeed is stored by a later call.
    pub fn store(&mut self, told: Option<Told>) {
        if self.storing.as_ref().is_some_and(|storing| !storing.is_finished()) {
            return;
        }
        let ended = self.storing.take().and_then(FutureExt::now_or_never);
        if let Some(Ok((stored, outcome))) = ended {
            match outcome {
                Ok(()) => self.stored = stored,
                Err(error) => tracing::debug!(file = FILE, %error, "not stored"),
            }
        }
        if told != self.stored {
            let folder = self.folder.clone();
            self.storing = Some(spawn_blocking(move || {
                let outcome = write(&folder, told.as_ref());
                (told, outcome)
            }));
        }
    }
}

fn read(state_dir: &Path) -> Result<Option<Told>, String> {
    let found = Dir::open(state_dir).and_then(|root| match root.subdir(RECORD_DIR)? {
        Some(folder) => folder.read(FILE, LIMIT),
        None => Ok(Found::Absent),
    });
    match found.map_err(|error| error.to_string())? {
        Found::Absent => Ok(None),
        Found::Other => Err("it is not a readable regular file".to_owned()),
        Found::File(bytes) => parse(&bytes).map(Some),
    }
}

fn write(state_dir: &Path, told: Option<&Told>) -> io::Result<()> {
    let folder = Dir::open(state_dir)?.ensure_subdir(RECORD_DIR)?;
    let Some(told) = told else { return folder.remove(FILE) };
    let document = Document {
        api_version: API_VERSION.to_owned(),
        reason: told.reason.as_str().to_owned(),
        since_seconds: told.since.as_secs(),
        receivers: told.receivers.iter().map(|receiver| receiver.as_str().to_owned()).collect(),
    };
    folder.write(FILE, &serde_json::to_vec(&document)?)
}

/// The error contains nothing of what was read.
fn parse(bytes: &[u8]) -> Result<Told, String> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| crate::manifest::without_content(&error))?;
    if document.api_version != API_VERSION {
        return Err(format!("apiVersion is not {API_VERSION}"));
    }
    let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == document.reason);
    let receivers =
        Receiver::ALL.into_iter().filter(|receiver| document.receivers.contains(receiver.as_str()));
    Ok(Told {
        reason: reason.ok_or("it has an unknown reason")?,
        since: Duration::from_secs(document.since_seconds),
        receivers: receivers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_what_an_agent_makes_of_it_is_refused() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read(state.path()), Ok(None));
        let told = Told {
            reason: Reason::GatewayFrozen,
            since: Duration::from_hours(500_000),
            receivers: [Receiver::Owner].into(),
        };
        write(state.path(), Some(&told)).unwrap();
        assert_eq!(read(state.path()), Ok(Some(told)));
        write(state.path(), None).unwrap();
        assert_eq!(read(state.path()), Ok(None));
        write(state.path(), None).unwrap();
        let file = state.path().join(RECORD_DIR).join(FILE);
        for hostile in [
            "",
            "{}",
            r#"{"apiVersion":"kr8tiv.ai/incident/v1","reason":"canary","sinceSeconds":1,"receivers":[]}"#,
        ] {
            std::fs::write(&file, hostile).unwrap();
            let why = read(state.path()).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }
}
