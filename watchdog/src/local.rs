//! I/O: what a round needs besides the gateway's answers: files and the room on the volume.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::bundle::Mounted;
use crate::cli::Paths;
use crate::deliver::CONFIG;
use crate::dir::{Dir, Found};
use crate::gateway::channels::Wanted;
use crate::mount;
use crate::names::MAX_FILE_BYTES;
use crate::volume::{self, Disk};

/// A look takes microseconds, unless the volume hangs.
const WITHIN: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug)]
pub struct Local {
    /// `watchdog.json`.
    pub settings: Mounted,
    /// What the delivered `openclaw.json` wants of channels; `None` when there is none.
    pub wanted: Option<Wanted>,
    /// The volume.
    pub disk: Option<Disk>,
}

/// Looks, on a thread of its own, and never on two: a volume that hangs must not collect threads.
#[derive(Debug)]
pub struct Looker {
    bundle: PathBuf,
    config_dir: PathBuf,
    state_dir: PathBuf,
    looking: Option<JoinHandle<Local>>,
}

impl Looker {
    /// Looks there.
    pub fn new(paths: &Paths) -> Self {
        let Paths { bundle, config_dir, state_dir } = paths.clone();
        Self { bundle, config_dir, state_dir, looking: None }
    }

    /// `None` while the file systems do not answer.
    pub async fn look(&mut self) -> Option<Local> {
        let mut looking = self.looking.take().unwrap_or_else(|| {
            let (bundle, config_dir, state_dir) =
                (self.bundle.clone(), self.config_dir.clone(), self.state_dir.clone());
            spawn_blocking(move || {
                let config = Dir::open(&config_dir).and_then(|dir| dir.read(CONFIG, MAX_FILE_BYTES));
                let wanted = match config {
                    Ok(Found::File(bytes)) => Some(Wanted::of(&bytes)),
                    _ => None,
                };
                let settings = mount::read_settings(&bundle);
                Local { settings, wanted, disk: volume::disk(&state_dir).ok() }
            })
        });
        if let Ok(local) = timeout(WITHIN, &mut looking).await {
            return local.ok();
        }
        self.looking = Some(looking);
        None
    }
}
