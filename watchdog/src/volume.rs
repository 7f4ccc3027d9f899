//! I/O: how full the volume is.

use std::io;
use std::path::Path;

use serde::Serialize;

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Bytes taken, with what only root could still take.
    pub used_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Inodes taken, the same way: without a free one there is no new file, whatever the bytes.
    pub used_inodes: u64,
    /// Inodes in all; 0 when the file system has no limit of them.
    pub total_inodes: u64,
}

impl Disk {
    /// Taken and in all, of what there is less left of: bytes or inodes.
    pub fn scarcest(&self) -> (u64, u64) {
        let Self { used_bytes, total_bytes, used_inodes, total_inodes } = *self;
        let inodes = u128::from(used_inodes) * u128::from(total_bytes);
        let bytes = u128::from(used_bytes) * u128::from(total_inodes);
        if inodes > bytes { (used_inodes, total_inodes) } else { (used_bytes, total_bytes) }
    }
}

/// The file system on which a path lies. It may hang with the volume.
pub fn disk(path: &Path) -> io::Result<Disk> {
    let status = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
    Ok(Disk {
        used_bytes: bytes(status.f_blocks.saturating_sub(status.f_bavail)),
        total_bytes: bytes(status.f_blocks),
        used_inodes: status.f_files.saturating_sub(status.f_favail),
        total_inodes: status.f_files,
    })
}
