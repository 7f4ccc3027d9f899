//! Writes what a manifest compiles to as a folder that its Compose file runs from:
//! `bundle_folder MANIFEST FOLDER`. For tests.

#![allow(clippy::unwrap_used, reason = "a tool for tests ends here")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::PathBuf;

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [manifest, folder] = arguments.as_slice() else { panic!("usage: bundle_folder MANIFEST FOLDER") };
    let bundle = common::case(&fs::read_to_string(manifest).unwrap()).compile().unwrap();
    for (path, content) in kr8tiv_compiler::compose_file::render(&bundle).unwrap() {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // In place of the old file in one step, as a folder is written that a running watchdog reads.
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }
}
