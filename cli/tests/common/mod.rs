//! Runs the command as a user does.

#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

/// Runs `kr8tiv` in a folder with a standard input.
pub fn kr8tiv(folder: &Path, arguments: &[&str], input: &str) -> Run {
    run(Path::new(env!("CARGO_BIN_EXE_kr8tiv")), folder, arguments, input)
}

/// Runs the program under another name.
pub fn run(program: &Path, folder: &Path, arguments: &[&str], input: &str) -> Run {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_remove("KR8TIV_GATEWAY_REPOSITORY")
        .env_remove("KR8TIV_WATCHDOG_IMAGE")
        .env_remove("KR8TIV_SANDBOX_IMAGE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
