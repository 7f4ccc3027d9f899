//! I/O: notices that a mount changed.
//!
//! inotify on directories, without looking at the events: any of them means "look again", and the pass
//! compares digests anyway. A ConfigMap mount changes by renaming a symlink in its directory.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc::{self, error::TrySendError};

/// How often to look where the kernel refuses inotify: its instances are limited per user and node (128 by
/// default), and every gateway of the node runs as the same user.
const POLL: Duration = Duration::from_secs(2);

/// Watches the mounts of a bundle.
#[derive(Debug)]
pub struct Watcher {
    bundle: PathBuf,
    events: Option<Events>,
}

#[derive(Debug)]
struct Events {
    inotify: Arc<OwnedFd>,
    /// Holds at most one message: any number of events is one change.
    changed: mpsc::Receiver<()>,
}

impl Watcher {
    /// Prepares the watch, or falls back to looking every two seconds.
    pub fn new(bundle: &Path) -> Self {
        let mut watcher = Self { bundle: bundle.to_owned(), events: None };
        match Events::new() {
            Ok(events) => watcher.events = Some(events),
            Err(error) => watcher.fall_back(&error),
        }
        watcher
    }

    /// Watches every directory that there is now. To be called before each reading of the mounts: what
    /// changes from then on wakes [`Self::changed`], so no change falls between reading and waiting.
    pub fn arm(&mut self) {
        let Some(Events { inotify, .. }) = &self.events else { return };
        let flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for directory in directories(&self.bundle) {
            // Adding a directory again changes nothing; one that vanished meanwhile announced that above it.
            match inotify::add_watch(inotify, &directory, flags) {
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => {
                    self.fall_back(&error.into());
                    return;
                }
            }
        }
    }

    /// Waits for a change since the last call; several at once are one.
    pub async fn changed(&mut self) {
        match &mut self.events {
            Some(events) => {
                if events.changed.recv().await.is_none() {
                    self.fall_back(&io::Error::other("the kernel ended the event queue"));
                }
            }
            None => tokio::time::sleep(POLL).await,
        }
    }

    fn fall_back(&mut self, error: &io::Error) {
        tracing::warn!(%error, every = ?POLL, "inotify is not available, looking at the mounts regularly instead");
        self.events = None;
    }
}

impl Events {
    /// Reads events on a thread of its own: registering a foreign descriptor with tokio needs `unsafe`.
    fn new() -> io::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC)?);
        let (sender, changed) = mpsc::channel(1);
        let queue = Arc::clone(&inotify);
        let forward = move || {
            let mut events = [0; 4096];
            loop {
                match rustix::io::read(&queue, &mut events[..]) {
                    Ok(_) => {}
                    Err(Errno::INTR) => continue,
                    Err(_) => return,
                }
                if matches!(sender.try_send(()), Err(TrySendError::Closed(()))) {
                    return;
                }
            }
        };
        thread::Builder::new().name("inotify".to_owned()).stack_size(64 * 1024).spawn(forward)?;
        Ok(Self { inotify, changed })
    }
}

/// The directories in which something of a bundle can appear, from the root down.
fn directories(bundle: &Path) -> Vec<PathBuf> {
    let workspaces = bundle.join("workspaces");
    let agents =
        fs::read_dir(&workspaces).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let agents: Vec<PathBuf> = agents.filter(|path| path.is_dir()).collect();
    [bundle.to_owned(), bundle.join("config"), workspaces].into_iter().chain(agents).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far more than any of these waits takes, and far less than for ever.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_change_between_arming_and_waiting_is_not_lost() {
        let bundle = tempfile::tempdir().unwrap();
        let agent = bundle.path().join("workspaces/a");
        fs::create_dir_all(&agent).unwrap();
        let mut watcher = Watcher::new(bundle.path());
        watcher.arm();
        fs::write(agent.join("file"), "x").unwrap();
        tokio::time::timeout(PATIENCE, watcher.changed()).await.unwrap();
        assert!(watcher.events.is_some(), "it was inotify that told");
    }

    #[tokio::test]
    async fn without_inotify_it_looks_regularly() {
        let bundle = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::new(bundle.path());
        // The reading thread ended: nobody sends any more.
        if let Some(events) = &mut watcher.events {
            events.changed = mpsc::channel(1).1;
        }
        tokio::time::timeout(PATIENCE, watcher.changed()).await.unwrap();
        assert!(watcher.events.is_none());
        watcher.arm();
        tokio::time::timeout(PATIENCE, watcher.changed()).await.unwrap();
    }
}
