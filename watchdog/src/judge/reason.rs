//! Judging stage, pure: the states of a gateway, and why it is in one. Both lists are closed: alerts and scripts may
//! rely on them (docs/watchdog.md).

use serde::Serialize;

/// What a gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum State {
    /// It starts, or is expected to.
    Starting,
    /// It serves, and nothing is known to be wrong.
    Alive,
    /// It serves, and something is wrong; the reasons say what.
    Degraded,
    /// It finishes its running turns before it stops or restarts.
    Draining,
    /// It does not serve.
    Down,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Alive, Self::Degraded, Self::Draining, Self::Down];

    /// Whether people in chats can be answered.
    pub fn is_serving(self) -> bool {
        matches!(self, Self::Alive | Self::Degraded)
    }

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Alive => "Alive",
            Self::Degraded => "Degraded",
            Self::Draining => "Draining",
            Self::Down => "Down",
        }
    }
}

/// Why a gateway is not simply alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Reason {
    /// Nothing listens on its port.
    GatewayUnreachable,
    /// It takes connections and does not answer in time.
    GatewayFrozen,
    /// Something answers that is not an OpenClaw gateway as we know it.
    GatewayAnswerUnexpected,
    /// It did not start within the startup budget.
    StartupTimedOut,
    /// It drained longer than a gateway takes at most.
    DrainTimedOut,
    /// It starts.
    GatewayStarting,
    /// It finishes its running turns.
    GatewayDraining,
    /// It answers HTTP but not our questions over the WebSocket: a wrong token, another protocol.
    RpcUnavailable,
    /// It says itself that a part of it is not ready, other than a channel.
    NotReady,
    /// An account of a channel is not connected.
    ChannelDown,
    /// A channel of the configuration does not exist in the gateway: its plugin is missing.
    ChannelMissing,
    /// It refuses the delivered configuration and goes on with the last good one.
    ConfigRejected,
    /// It does not take over the delivered configuration, although the file was written again.
    ConfigNotApplied,
    /// The last call of a model ended in an error.
    ModelProviderFailing,
    /// The volume is nearly full.
    DiskFull,
    /// It takes nearly as much memory as its container may.
    MemoryHigh,
    /// Its event loop is blocked for long or most of the time.
    EventLoopDegraded,
}

/// How many rounds in a row it takes to believe in a reason, and to stop believing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// Until it counts.
    pub raise: u32,
    /// Until it does not any more.
    pub clear: u32,
}

impl Reason {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 17] = [
        Self::GatewayUnreachable,
        Self::GatewayFrozen,
        Self::GatewayAnswerUnexpected,
        Self::StartupTimedOut,
        Self::DrainTimedOut,
        Self::GatewayStarting,
        Self::GatewayDraining,
        Self::RpcUnavailable,
        Self::NotReady,
        Self::ChannelDown,
        Self::ChannelMissing,
        Self::ConfigRejected,
        Self::ConfigNotApplied,
        Self::ModelProviderFailing,
        Self::DiskFull,
        Self::MemoryHigh,
        Self::EventLoopDegraded,
    ];

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayUnreachable => "GatewayUnreachable",
            Self::GatewayFrozen => "GatewayFrozen",
            Self::GatewayAnswerUnexpected => "GatewayAnswerUnexpected",
            Self::StartupTimedOut => "StartupTimedOut",
            Self::DrainTimedOut => "DrainTimedOut",
            Self::GatewayStarting => "GatewayStarting",
            Self::GatewayDraining => "GatewayDraining",
            Self::RpcUnavailable => "RpcUnavailable",
            Self::NotReady => "NotReady",
            Self::ChannelDown => "ChannelDown",
            Self::ChannelMissing => "ChannelMissing",
            Self::ConfigRejected => "ConfigRejected",
            Self::ConfigNotApplied => "ConfigNotApplied",
            Self::ModelProviderFailing => "ModelProviderFailing",
            Self::DiskFull => "DiskFull",
            Self::MemoryHigh => "MemoryHigh",
            Self::EventLoopDegraded => "EventLoopDegraded",
        }
    }

    /// How sure one must be of it.
    pub const fn rounds(self) -> Rounds {
        match self {
            // What may be over in the next moment: a channel that reconnects, a plugin that reloads.
            Self::NotReady | Self::ChannelDown | Self::ChannelMissing => Rounds { raise: 2, clear: 2 },
            // A reload in which the listener is away closes the connection, too.
            Self::RpcUnavailable => Rounds { raise: 3, clear: 1 },
            // Levels that go up and down by nature: a turn, a garbage collection.
            Self::MemoryHigh | Self::EventLoopDegraded => Rounds { raise: 3, clear: 3 },
            // Statements of fact, or judged over a time already.
            Self::GatewayUnreachable
            | Self::GatewayFrozen
            | Self::GatewayAnswerUnexpected
            | Self::StartupTimedOut
            | Self::DrainTimedOut
            | Self::GatewayStarting
            | Self::GatewayDraining
            | Self::ConfigRejected
            | Self::ConfigNotApplied
            | Self::ModelProviderFailing
            | Self::DiskFull => Rounds { raise: 1, clear: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
