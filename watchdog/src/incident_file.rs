//! I/O: what outlives the watchdog: who took a *down* and no *recovered* since, and of which incident. A small file beside
//! the record of deliveries.
//!
//! It lies on the volume, where an agent can change it. By that it can have a *down* or *recovered* told that is not true,
//! or a *down* left out, at the next start. Nothing of the file reaches a receiver but one of our reasons and a time that
//! is past.

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::deliver::RECORD_DIR;
use crate::dir::{Dir, Found};
use crate::judge::alerts::Announced;
use crate::judge::machine::Incident;
use crate::judge::reason::Reason;
use crate::settings::Receiver;

const FILE: &str = "incident.json";
const API_VERSION: &str = "kr8tiv.ai/incident/v1";
/// It has some two hundred bytes.
const LIMIT: u64 = 4096;

/// The last incident of which *down* was told, and who took that or an earlier one and no *recovered* since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The incident.
    pub announced: Announced,
    /// Who has a *recovered* to come.
    pub receivers: BTreeSet<Receiver>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    reason: String,
    since_seconds: u64,
    told_seconds: u64,
    over: bool,
    receivers: BTreeSet<String>,
}

/// What is in the file.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// It could not be read, so that whatever is true now has to be stored.
    Unknown,
    /// This; or there is no file.
    Known(Option<Told>),
}

/// The file.
#[derive(Debug)]
pub struct IncidentFile {
    folder: PathBuf,
    reading: Option<JoinHandle<Result<Option<Told>, String>>>,
    content: Content,
    storing: Option<JoinHandle<(Option<Told>, io::Result<()>)>>,
}

impl IncidentFile {
    /// Begins to read it, on a thread of its own: the volume may be slow.
    pub fn open(state_dir: &Path) -> Self {
        Self::reading(state_dir, read)
    }

    fn reading(
        state_dir: &Path,
        how: impl FnOnce(&Path) -> Result<Option<Told>, String> + Send + 'static,
    ) -> Self {
        let folder = state_dir.to_owned();
        let reading = spawn_blocking({
            let folder = folder.clone();
            move || how(&folder)
        });
        Self { folder, reading: Some(reading), content: Content::Unknown, storing: None }
    }

    /// Waits until it is read, and gives once what is stored. What can't be read is as if nobody had been told anything.
    pub async fn read(&mut self) -> Option<Told> {
        let Some(reading) = &mut self.reading else { return pending().await };
        let read = reading.await.unwrap_or_else(|died| Err(died.to_string()));
        self.reading = None;
        match read {
            Ok(stored) => {
                self.content = Content::Known(stored.clone());
                stored
            }
            Err(why) => {
                tracing::warn!(file = FILE, why, "who was told of an incident is not known any more");
                None
            }
        }
    }

    /// Stores what is true now, on a thread of its own and never on two: a volume that hangs must not collect threads, and
    /// what is not read yet must not be lost. Never waits, so what did not succeed is stored by a later call.
    pub fn store(&mut self, told: Option<Told>) {
        let is_storing = self.storing.as_ref().is_some_and(|storing| !storing.is_finished());
        if is_storing || self.reading.is_some() {
            return;
        }
        let ended = self.storing.take().and_then(FutureExt::now_or_never);
        if let Some(Ok((stored, outcome))) = ended {
            match outcome {
                Ok(()) => self.content = Content::Known(stored),
                Err(error) => tracing::debug!(file = FILE, %error, "not stored"),
            }
        }
        if matches!(&self.content, Content::Known(stored) if *stored == told) {
            return;
        }
        let folder = self.folder.clone();
        self.storing = Some(spawn_blocking(move || {
            let outcome = write(&folder, told.as_ref());
            (told, outcome)
        }));
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
    let Some(told) = told else { return folder.remove_all(FILE) };
    let Told { announced: Announced { incident, told, over }, receivers } = told;
    let document = Document {
        api_version: API_VERSION.to_owned(),
        reason: incident.reason.as_str().to_owned(),
        since_seconds: incident.since.as_secs(),
        told_seconds: told.as_secs(),
        over: *over,
        receivers: receivers.iter().map(|receiver| receiver.as_str().to_owned()).collect(),
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
    let incident = Incident {
        number: 0,
        since: Duration::from_secs(document.since_seconds),
        reason: reason.ok_or("it has an unknown reason")?,
    };
    let told = Duration::from_secs(document.told_seconds);
    let announced = Announced { incident, told, over: document.over };
    Ok(Told { announced, receivers: receivers.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let since = Duration::from_hours(500_000);
        let incident = Incident { number: 0, since, reason: Reason::GatewayFrozen };
        Told {
            announced: Announced { incident, told: since + Duration::from_mins(5), over: true },
            receivers: [Receiver::Owner].into(),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_what_an_agent_makes_of_it_is_refused() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read(state.path()), Ok(None));
        write(state.path(), Some(&told())).unwrap();
        assert_eq!(read(state.path()), Ok(Some(told())));
        write(state.path(), None).unwrap();
        assert_eq!(read(state.path()), Ok(None));
        write(state.path(), None).unwrap();
        let file = state.path().join(RECORD_DIR).join(FILE);
        for hostile in [
            "",
            "{}",
            r#"{"apiVersion":"kr8tiv.ai/incident/v1","reason":"canary","sinceSeconds":1,"toldSeconds":1,"over":false,
                "receivers":[]}"#,
        ] {
            std::fs::write(&file, hostile).unwrap();
            let why = read(state.path()).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
        for wanted in [None, Some(told())] {
            write(state.path(), None).unwrap();
            std::fs::create_dir(&file).unwrap();
            std::fs::write(file.join("of_an_agent"), "").unwrap();
            read(state.path()).unwrap_err();
            write(state.path(), wanted.as_ref()).unwrap();
            assert_eq!(read(state.path()), Ok(wanted));
        }
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_stored_anew_whatever_is_true() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join(RECORD_DIR);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(FILE), "{}").unwrap();
        let mut file = IncidentFile::open(state.path());
        assert_eq!(file.read().await, None);
        file.store(None);
        file.storing.take().unwrap().await.unwrap().1.unwrap();
        assert!(!folder.join(FILE).exists());

        let mut file = IncidentFile::open(state.path());
        assert_eq!(file.read().await, None);
        file.store(None);
        assert!(file.storing.is_none(), "it is known that there is none");
    }

    #[tokio::test]
    async fn what_is_not_read_yet_is_neither_lost_nor_forgotten() {
        let state = tempfile::tempdir().unwrap();
        write(state.path(), Some(&told())).unwrap();
        let (answer, volume) = std::sync::mpsc::channel();
        let mut file = IncidentFile::reading(state.path(), move |folder| {
            volume.recv().unwrap();
            read(folder)
        });
        assert_eq!(file.read().now_or_never(), None);
        file.store(None);
        assert!(file.storing.is_none(), "it is not read yet");

        answer.send(()).unwrap();
        assert_eq!(file.read().await, Some(told()));
        assert_eq!(file.read().now_or_never(), None, "once");
        file.store(Some(told()));
        assert!(file.storing.is_none(), "it is known that this is there");
        file.store(None);
        file.storing.take().unwrap().await.unwrap().1.unwrap();
        assert_eq!(read(state.path()), Ok(None));
    }
}
