//! I/O: the command `skills`. Copies one pack of skills to where the gateway reads it.
//!
//! Neither side is trusted. A pack is what somebody put into a ConfigMap or an image: its files are copied only if
//! all of them are regular, few, small and named harmlessly, and nothing outside of the wanted skills' folders is
//! even opened. The destination is written through open directories only ([`crate::dir`]).
//!
//! Whatever is wrong with the pack is a line in the report, and the command succeeds: a gateway without a pack is
//! better than none. What an earlier run copied goes then, for it may not be what is asked for now.

pub mod config_map;
pub mod folder;
pub mod limits;
pub mod names;
pub mod problem;
pub mod report;
pub mod skill_file;

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::cli::{Layout, Skills};
use crate::dir::Dir;
use crate::skills::config_map::ConfigMap;
use crate::skills::folder::Folder;
use crate::skills::limits::Budget;
use crate::skills::names::{SKILL_FILE, SkillName};
use crate::skills::problem::Problem;
use crate::skills::report::report;

/// What is wrong with the Pod rather than with the pack.
#[derive(Debug, thiserror::Error)]
pub enum SkillsError {
    /// There is no folder to copy to.
    #[error("open {path}: {source}", path = path.display())]
    Destination {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier copy is in the way and can't be removed: agents would have skills that nobody wants any more.
    #[error("remove the earlier copy below {path}: {source}", path = path.display())]
    Stale {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nobody would learn what became of the pack.
    #[error("write the report {path}: {source}", path = path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Copies a pack, and reports what kept it from being copied.
pub fn skills(options: &Skills) -> Result<(), SkillsError> {
    let path = || options.to.clone();
    let to = Dir::open(&options.to).map_err(|source| SkillsError::Destination { path: path(), source })?;
    let problem = copy(options, &to).err();
    match &problem {
        None => tracing::info!(pack = options.pack.as_str(), "pack copied"),
        Some(problem) => {
            tracing::error!(pack = options.pack.as_str(), %problem, "pack not copied");
            to.remove_all(options.pack.as_str())
                .map_err(|source| SkillsError::Stale { path: path(), source })?;
        }
    }
    let problem = problem.map(|problem| problem.to_string());
    // In place: kubelet mounted this very file.
    fs::write(&options.report, report(&options.pack, problem.as_deref()))
        .map_err(|source| SkillsError::Report { path: options.report.clone(), source })
}

/// Copies to a folder beside the pack's first: a pack is there completely or not at all.
fn copy(options: &Skills, to: &Dir) -> Result<(), Problem> {
    let pack = options.pack.as_str();
    let staged_name = format!(".{pack}.kr8tiv-tmp");
    let written = |source| Problem::Write { path: pack.to_owned(), source };
    to.remove_all(&staged_name).map_err(written)?;
    let staged = to.create_dir(&staged_name).map_err(written)?;
    let result = fill(options, &staged).and_then(|()| to.replace_dir(&staged_name, pack).map_err(written));
    if result.is_err() {
        // The first error is the one to report; the next run clears the leftover anyway.
        let _ = to.remove_all(&staged_name);
    }
    result
}

fn fill(options: &Skills, staged: &Dir) -> Result<(), Problem> {
    match options.layout {
        Layout::ConfigMap => {
            let map = ConfigMap::read(&options.from)?;
            if let Some(expected) = options.digest {
                map.must_be(expected)?;
            }
            each_skill(options, staged, |skill, into, budget| map.copy(skill, into, budget))
        }
        Layout::Folder => {
            let root = Folder::open(&options.from)?;
            each_skill(options, staged, |skill, into, budget| root.copy_skill(skill, into, budget))
        }
    }
}

fn each_skill(
    options: &Skills,
    staged: &Dir,
    copy: impl Fn(&SkillName, &Dir, &mut Budget) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut budget = Budget::default();
    for skill in &options.skill {
        budget.next_skill();
        let into = staged
            .create_dir(skill.as_str())
            .map_err(|source| Problem::Write { path: skill.as_str().to_owned(), source })?;
        copy(skill, &into, &mut budget)?;
        if !budget.has_skill_file() {
            return Err(Problem::Missing { path: format!("{}/{SKILL_FILE}", skill.as_str()) });
        }
    }
    Ok(())
}
