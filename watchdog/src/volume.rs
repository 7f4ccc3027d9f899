//! I/O: how full the volume is.

use std::io;
use std::path::Path;

use serde::Serialize;

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Taken, with what only root could still take.
    pub used_bytes: u64,
    /// In all.
    pub total_bytes: u64,
}

/// The file system on which a path lies. It may hang with the volume.
pub fn disk(path: &Path) -> io::Result<Disk> {
    let status = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
    let used_bytes = bytes(status.f_blocks.saturating_sub(status.f_bavail));
    Ok(Disk { used_bytes, total_bytes: bytes(status.f_blocks) })
}
