//! Judging stage, pure: what one round of probes saw, as far as it is judged.

use std::collections::BTreeMap;

use crate::judge::reason::Reason;

/// Why a question has no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// There was no connection, or it broke.
    Unreachable,
    /// There was no answer in time.
    Frozen,
    /// The answer is not what a gateway says.
    Unexpected,
}

impl Failure {
    /// The reason that it is, when nothing else is known.
    pub fn reason(self) -> Reason {
        match self {
            Self::Unreachable => Reason::GatewayUnreachable,
            Self::Frozen => Reason::GatewayFrozen,
            Self::Unexpected => Reason::GatewayAnswerUnexpected,
        }
    }

    /// For logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Frozen => "frozen",
            Self::Unexpected => "unexpected",
        }
    }
}

/// Where in its life a gateway is that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It starts.
    Starting,
    /// It serves.
    Started,
    /// It finishes what it does.
    Draining,
}

/// What is known to be wrong, and what is known not to be. A reason that is missing is unknown in this round, and stays
/// what it was.
pub type Symptoms = BTreeMap<Reason, bool>;

/// One round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Whether it answers at all, and what it says about its life.
    pub contact: Result<Phase, Failure>,
    /// What else was seen.
    pub symptoms: Symptoms,
}
