//! The real `kubectl`, for what users do with it. I/O: processes.

use std::process::{Command, Output};

use crate::Outcome;

/// Runs `kubectl` and gives what it printed; a failure carries what it complained about.
pub async fn kubectl(arguments: &[&str]) -> Outcome<String> {
    let output = output(arguments).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("kubectl {} ended with {}: {}{text}", arguments.join(" "), output.status, complaint).into())
}

/// Runs `kubectl`, whatever comes of it.
pub async fn output(arguments: &[&str]) -> Outcome<Output> {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = move || Command::new("kubectl").args(arguments).output();
    Ok(tokio::task::spawn_blocking(run).await??)
}
