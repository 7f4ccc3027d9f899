//! What the init container `plugins` says at its end: which channels' plugins could not be had. A format; no I/O.

use kr8tiv_crds::channels::ChannelName;
use serde::{Deserialize, Serialize};

/// Name of the init container that installs channel plugins. A Pod has it when a channel of its tenant needs one.
pub const PLUGINS_CONTAINER: &str = "plugins";

/// The termination message of the container [`PLUGINS_CONTAINER`], JSON of at most 4096 bytes: in the Pod's status
/// at `.status.initContainerStatuses[].state.terminated.message`. The container ends with 0 also when plugins are
/// missing: OpenClaw then runs without their channels.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PluginReport {
    /// The channels whose plugin is missing or can't be used, in the order of their names; empty when all is well.
    pub plugins: Vec<PluginProblem>,
}

/// A channel that the gateway runs without.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PluginProblem {
    /// The channel.
    pub channel: ChannelName,
    /// Why, in a few words without times or paths, such as `npm can't get @openclaw/discord@2026.9.6: EAI_AGAIN`.
    pub problem: String,
}

impl PluginReport {
    /// Reads a termination message. `Err` when the container was killed before it could say something.
    pub fn parse(message: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = PluginReport::parse(r#"{"plugins":[{"channel":"discord","problem":"no"}]}"#).unwrap();
        assert_eq!(report.plugins, [PluginProblem { channel: ChannelName::Discord, problem: "no".into() }]);
        assert!(PluginReport::parse("").is_err());
    }
}
