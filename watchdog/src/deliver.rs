//! I/O: one pass, from what is mounted to what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, Pending};
use crate::cli::Paths;
use crate::dir::{Dir, Found};
use crate::mount;
use crate::names::{AgentId, Digest, MAX_FILE_BYTES, Target};
use crate::plan::{self, Action, Observed, Plan, Reason, Step};
use crate::record::Record;
use crate::status::{Outcome, Report, Restored};

pub(crate) const CONFIG: &str = "openclaw.json";
/// Where the record lies in the state directory.
pub const RECORD_DIR: &str = ".kr8tiv";
const RECORD: &str = "delivered.json";

/// What the operating system refused. The path is enough to act on; contents are not part of it.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path}: {source}", path = path.display())]
pub struct DeliveryError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DeliveryError {
    fn new(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { operation, path, source }
    }
}

/// Delivers bundles, pass by pass.
#[derive(Debug)]
pub struct Deliverer {
    paths: Paths,
    /// The `openclaw.json` that this process put in place: when it is another one, somebody changed it.
    config: Option<Digest>,
    /// The gateway's watcher missed the file.
    write_config_again: bool,
    /// Departed agents that were logged.
    departed: BTreeSet<AgentId>,
    /// How the last pass ended: the same end twice is not logged twice.
    last: Option<Outcome>,
}

/// The state directory as a pass found it.
struct Volume {
    root: Dir,
    record: Record,
    /// The record's bytes on disk, when there is a record that can be used.
    stored: Option<Vec<u8>>,
}

impl Deliverer {
    /// A deliverer that has not delivered anything.
    pub fn new(paths: Paths) -> Self {
        Self { paths, config: None, write_config_again: false, departed: BTreeSet::new(), last: None }
    }

    /// One pass: makes the disk equal to the mounted bundle if that is coherent, and touches nothing if not.
    pub fn pass(&mut self) -> Report {
        let mut restored = Restored::default();
        let outcome = match self.read_bundle() {
            Err(pending) => Outcome::Pending(pending),
            Ok(bundle) => match self.deliver(&bundle, &mut restored) {
                Ok(()) => Outcome::Delivered(bundle.hash),
                Err(errors) => Outcome::Failed { bundle_hash: Some(bundle.hash), error: summary(&errors) },
            },
        };
        self.log(&outcome);
        Report { outcome, restored }
    }

    /// In the next pass `openclaw.json` is written even if it is right.
    pub fn write_config_again(&mut self) {
        self.write_config_again = true;
    }

    fn read_bundle(&self) -> Result<Bundle, Pending> {
        let manifest = mount::read_manifest(&self.paths.bundle)?;
        let files = mount::read_files(&self.paths.bundle, &manifest);
        Bundle::assemble(&manifest, files)
    }

    /// Workspaces first: the gateway reloads at the moment `openclaw.json` changes, and must find in place
    /// what a new agent is told to be. For the same reason a workspace that failed holds `openclaw.json` back.
    fn deliver(&mut self, bundle: &Bundle, restored: &mut Restored) -> Result<(), Vec<DeliveryError>> {
        let mut volume = self.open_volume().map_err(|error| vec![error])?;
        let mut errors = self.deliver_workspaces(&mut volume, bundle, restored);
        let workspaces_are_right = errors.is_empty();
        errors.extend(self.store_record(&volume).err());
        if workspaces_are_right {
            errors.extend(self.deliver_config(bundle, restored).err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn open_volume(&self) -> Result<Volume, DeliveryError> {
        let state = &self.paths.state_dir;
        let root = Dir::open(state).map_err(DeliveryError::new("open", state))?;
        let path = state.join(RECORD_DIR).join(RECORD);
        let found =
            match root.subdir(RECORD_DIR).map_err(DeliveryError::new("open", state.join(RECORD_DIR)))? {
                Some(dir) => dir.read(RECORD, MAX_FILE_BYTES).map_err(DeliveryError::new("read", &path))?,
                None => Found::Absent,
            };
        let parsed = match found {
            Found::Absent => None,
            Found::Other => Some(Err("it is not a readable regular file".to_owned())),
            Found::File(bytes) => Some(Record::parse(&bytes).map(|record| (record, bytes))),
        };
        let (record, stored) = match parsed {
            Some(Ok((record, bytes))) => (record, Some(bytes)),
            None => (Record::default(), None),
            Some(Err(why)) => {
                tracing::warn!(path = %path.display(), why, "the record of deliveries is corrupt and starts anew; \
                     agent-owned files that exist are left alone");
                (Record::default(), None)
            }
        };
        Ok(Volume { root, record, stored })
    }

    fn deliver_workspaces(
        &mut self,
        volume: &mut Volume,
        bundle: &Bundle,
        restored: &mut Restored,
    ) -> Vec<DeliveryError> {
        let mut errors = Vec::new();
        let mut workspaces = BTreeMap::new();
        for agent in &bundle.agents {
            let name = agent.workspace_dir();
            match volume.root.ensure_subdir(&name) {
                Ok(dir) => {
                    workspaces.insert(agent, dir);
                }
                Err(error) => {
                    errors.push(DeliveryError::new("create", self.paths.state_dir.join(name))(error));
                }
            }
        }
        let mut observed = BTreeMap::new();
        for target in plan::to_observe(bundle, &volume.record) {
            let Some(dir) = workspaces.get(&target.agent) else { continue };
            match observe(dir, target.file.as_str()) {
                Ok(state) => {
                    observed.insert(target.clone(), state);
                }
                Err(error) => errors.push(DeliveryError::new("read", self.path_of(target))(error)),
            }
        }
        let Plan { steps, departed } = plan::plan(bundle, &volume.record, &observed);
        for step in steps {
            // What could not be looked at is not decided about; its error is reported already.
            let (Some(dir), true) = (workspaces.get(&step.target.agent), observed.contains_key(&step.target))
            else {
                continue;
            };
            match take(&step, dir, bundle) {
                Ok(()) => {
                    volume.record.set(&step.target, step.entry);
                    if step.action == Action::Write(Reason::Drifted) {
                        restored.files.push(step.target.clone());
                    }
                }
                Err((operation, error)) => {
                    errors.push(DeliveryError::new(operation, self.path_of(&step.target))(error));
                    if step.action == Action::Write(Reason::Drifted) {
                        restored.refused.push(step.target);
                    }
                }
            }
        }
        for agent in departed.difference(&self.departed) {
            tracing::info!(agent = agent.as_str(), "agent left the bundle; its workspace stays as it is");
        }
        self.departed = departed;
        errors
    }

    fn store_record(&self, volume: &Volume) -> Result<(), DeliveryError> {
        let bytes = volume.record.to_bytes();
        if volume.stored.as_ref() == Some(&bytes) {
            return Ok(());
        }
        let path = self.paths.state_dir.join(RECORD_DIR);
        let dir = volume.root.ensure_subdir(RECORD_DIR).map_err(DeliveryError::new("create", &path))?;
        dir.write(RECORD, &bytes).map_err(DeliveryError::new("write", path.join(RECORD)))
    }

    fn deliver_config(&mut self, bundle: &Bundle, restored: &mut Restored) -> Result<(), DeliveryError> {
        let path = self.paths.config_dir.join(CONFIG);
        let dir =
            Dir::open(&self.paths.config_dir).map_err(DeliveryError::new("open", &self.paths.config_dir))?;
        let observed = observe(&dir, CONFIG).map_err(DeliveryError::new("read", &path))?;
        if observed != Observed::File(bundle.config_sha256) {
            dir.write(CONFIG, &bundle.config).map_err(DeliveryError::new("write", &path))?;
            let drifted = self.config == Some(bundle.config_sha256);
            restored.config |= drifted;
            log_write(&path, if drifted { Reason::Drifted } else { Reason::Changed });
        } else if self.write_config_again {
            dir.write(CONFIG, &bundle.config).map_err(DeliveryError::new("write", &path))?;
            tracing::warn!(file = %path.display(), "written again: the gateway has not taken it over");
        }
        self.write_config_again = false;
        self.config = Some(bundle.config_sha256);
        Ok(())
    }

    fn path_of(&self, target: &Target) -> PathBuf {
        self.paths.state_dir.join(target.relative_path())
    }

    fn log(&mut self, outcome: &Outcome) {
        if self.last.as_ref() == Some(outcome) {
            return;
        }
        match outcome {
            Outcome::Delivered(hash) => tracing::info!(bundle_hash = %hash, "bundle delivered"),
            Outcome::Pending(Pending { bundle_hash, reasons }) => {
                let hash = bundle_hash.map(|hash| hash.to_string());
                tracing::info!(
                    bundle_hash = hash,
                    reasons = reasons.join("; "),
                    "bundle is not complete yet"
                );
            }
            Outcome::Failed { error, .. } => tracing::error!(error, "bundle not delivered, trying again"),
        }
        self.last = Some(outcome.clone());
    }
}

fn observe(dir: &Dir, name: &str) -> io::Result<Observed> {
    Ok(match dir.read(name, MAX_FILE_BYTES)? {
        Found::Absent => Observed::Absent,
        Found::File(bytes) => Observed::File(Digest::of(&bytes)),
        Found::Other => Observed::Other,
    })
}

fn take(step: &Step, dir: &Dir, bundle: &Bundle) -> Result<(), (&'static str, io::Error)> {
    let Step { target, action, entry: _ } = step;
    let name = target.file.as_str();
    match action {
        Action::Write(reason) => {
            let Some(file) = bundle.files.get(target) else { return Ok(()) };
            dir.write(name, &file.bytes).map_err(|error| ("write", error))?;
            log_write(&target.relative_path(), *reason);
        }
        Action::Remove => {
            dir.remove(name).map_err(|error| ("remove", error))?;
            tracing::info!(file = %target, "removed: it left the bundle");
        }
        Action::LeaveChanged => {
            tracing::warn!(file = %target, "left the bundle but was changed since its delivery, so it stays");
        }
        Action::RecordOnly => {}
    }
    Ok(())
}

fn log_write(path: &Path, reason: Reason) {
    let file = path.display();
    match reason {
        Reason::Changed => tracing::info!(%file, "written"),
        Reason::Seed => tracing::info!(%file, "seeded; from now on it is the agent's"),
        Reason::Drifted => tracing::warn!(%file, "put back: it was changed or deleted"),
    }
}

/// One line for any number of errors: the first says what to look at, as they mostly have one cause.
fn summary(errors: &[DeliveryError]) -> String {
    match errors {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}
