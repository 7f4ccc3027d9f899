//! Judging stage, pure: what an attempt to run a command in a sandbox says about it.

use serde::Serialize;

/// How a sandbox is. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SandboxReason {
    /// A command ran in it.
    Ok,
    /// There is no connection: the Pod is not up, its name unknown, or the network closed.
    Unreachable,
    /// It takes a connection, and does not speak ssh.
    NoBanner,
    /// It does not prove that it has the host key that is known.
    HostKeyMismatch,
    /// It does not let the gateway's key in.
    AuthFailed,
    /// It lets the key in, and the command does not run or fails.
    CommandFailed,
}

impl SandboxReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Unreachable,
        Self::NoBanner,
        Self::HostKeyMismatch,
        Self::AuthFailed,
        Self::CommandFailed,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Unreachable => "Unreachable",
            Self::NoBanner => "NoBanner",
            Self::HostKeyMismatch => "HostKeyMismatch",
            Self::AuthFailed => "AuthFailed",
            Self::CommandFailed => "CommandFailed",
        }
    }
}

/// The steps of an attempt, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look up the name, and connect.
    Connect,
    /// Exchange banners and keys.
    Greet,
    /// Compare the host key.
    Identify,
    /// Show the gateway's key.
    Authenticate,
    /// Run the command.
    Command,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// At this step: refused, broken off, or out of time.
    Stopped(Step),
    /// With the command's exit code; `None` when a signal ended it, or when it was not said.
    Exited(Option<u32>),
}

impl Outcome {
    /// What it means.
    pub fn reason(self) -> SandboxReason {
        match self {
            Self::Exited(Some(0)) => SandboxReason::Ok,
            Self::Exited(_) | Self::Stopped(Step::Command) => SandboxReason::CommandFailed,
            Self::Stopped(Step::Connect) => SandboxReason::Unreachable,
            Self::Stopped(Step::Greet) => SandboxReason::NoBanner,
            Self::Stopped(Step::Identify) => SandboxReason::HostKeyMismatch,
            Self::Stopped(Step::Authenticate) => SandboxReason::AuthFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_reason_and_only_a_command_that_succeeded_is_well() {
        for (outcome, reason) in [
            (Outcome::Stopped(Step::Connect), "Unreachable"),
            (Outcome::Stopped(Step::Greet), "NoBanner"),
            (Outcome::Stopped(Step::Identify), "HostKeyMismatch"),
            (Outcome::Stopped(Step::Authenticate), "AuthFailed"),
            (Outcome::Stopped(Step::Command), "CommandFailed"),
            (Outcome::Exited(None), "CommandFailed"),
            (Outcome::Exited(Some(1)), "CommandFailed"),
            (Outcome::Exited(Some(0)), "Ok"),
        ] {
            assert_eq!(outcome.reason().as_str(), reason, "{outcome:?}");
            assert_eq!(serde_json::to_value(outcome.reason()).unwrap(), reason);
        }
    }
}
