//! Reporting stage, pure: what the gateway last said, and from when on that says nothing any more.

use crate::gateway::channels::Channel;
use crate::gateway::prober::Round;
use crate::gateway_status::{ConfigStatus, config_status, names};
use crate::judge::observation::Phase;
use crate::judge::reason::Reason;
use crate::names::Digest;
use crate::secret::Redactor;

/// An answer outlives fewer rounds in a row without one than this: until `RpcUnavailable` counts.
const MAX_SILENT: u32 = Reason::RpcUnavailable.rounds().raise;

/// The latest answers.
#[derive(Debug, Default)]
pub struct Seen {
    /// OpenClaw's release.
    pub version: Option<String>,
    not_ready: Latest<Vec<String>>,
    config: Latest<ConfigStatus>,
    channels: Latest<Vec<Channel>>,
    failing_models: Latest<Vec<String>>,
    memory_bytes: Latest<u64>,
}

/// The last answer to one question.
#[derive(Debug)]
struct Latest<T> {
    answer: Option<T>,
    /// Rounds in a row since then in which it was not answered.
    silent: u32,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { answer: None, silent: 0 }
    }
}

impl<T> Latest<T> {
    fn take(&mut self, answer: Option<T>) {
        if answer.is_some() {
            *self = Self { answer, silent: 0 };
            return;
        }
        self.silent = self.silent.saturating_add(1);
        if self.silent >= MAX_SILENT {
            self.answer = None;
        }
    }
}

impl Seen {
    /// The configuration.
    pub fn config(&self) -> Option<&ConfigStatus> {
        self.config.answer.as_ref()
    }

    /// Parts that are not ready, besides channels as far as these are known.
    pub fn not_ready(&self) -> &[String] {
        self.not_ready.answer.as_deref().unwrap_or_default()
    }

    /// The accounts of the channels.
    pub fn channels(&self) -> &[Channel] {
        self.channels.answer.as_deref().unwrap_or_default()
    }

    /// The models whose last call ended in an error.
    pub fn failing_models(&self) -> &[String] {
        self.failing_models.answer.as_deref().unwrap_or_default()
    }

    /// Memory of the gateway's main process.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.memory_bytes.answer
    }

    /// Takes a round into account. `accounts` are what it says of channels, `on_disk` is the bundle that was on disk
    /// before it, and `serving` whether the gateway is believed to serve after it.
    pub fn take(
        &mut self,
        round: &Round,
        accounts: Option<Vec<Channel>>,
        on_disk: Option<Digest>,
        serving: bool,
        redactor: &Redactor,
    ) {
        if let Some(version) = &round.version {
            self.version = names([version].into_iter(), redactor).pop();
        }
        if round.contact != Ok(Phase::Started) && !serving {
            // What it said before says nothing about how it is now.
            *self = Self { version: self.version.take(), ..Self::default() };
            return;
        }
        if let Some(rpc) = &round.rpc {
            let answers = rpc.as_ref().ok();
            let config = answers.and_then(|answers| answers.config.as_ref());
            self.config.take(config.map(|config| config_status(config, on_disk, redactor)));
            self.channels.take(accounts);
            let models = answers.and_then(|answers| answers.failing_models.as_ref());
            self.failing_models.take(models.map(|models| names(models.iter(), redactor)));
            self.memory_bytes.take(answers.and_then(|answers| answers.rss_bytes));
        }
        let not_ready = round.readiness.as_ref().ok().map(|readiness| {
            let is_channel = |name: &&String| self.channels().iter().any(|account| account.channel == **name);
            names(readiness.failing.iter().filter(|name| !is_channel(name)), redactor)
        });
        self.not_ready.take(not_ready);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::channels::AccountState;
    use crate::gateway::prober::Answers;
    use crate::gateway::rpc::RpcError;
    use crate::judge::observation::Failure;

    fn round(rpc: Option<Result<Answers, RpcError>>) -> Round {
        let readiness = json!({"ready": false, "failing": ["telegram", "agent-database:main"]});
        Round {
            contact: Ok(Phase::Started),
            version: Some("2026.9.6".into()),
            readiness: Ok(serde_json::from_value(readiness).unwrap()),
            rpc,
        }
    }

    fn answers() -> Answers {
        let config = json!({"valid": true, "configRevisionHash": "a", "appliedConfigHash": "a"});
        Answers {
            health: Some(serde_json::from_value(json!({})).unwrap()),
            config: Some(serde_json::from_value(config).unwrap()),
            channels: None,
            failing_models: Some(vec!["mock/m1".into()]),
            rss_bytes: Some(7),
        }
    }

    fn telegram() -> Vec<Channel> {
        let state = AccountState::Ready;
        vec![Channel { channel: "telegram".into(), account: "default".into(), state, problem: None }]
    }

    fn take(seen: &mut Seen, round: &Round, accounts: Option<Vec<Channel>>, serving: bool) {
        seen.take(round, accounts, None, serving, &Redactor::default());
    }

    /// How many of the answers over the WebSocket are known.
    fn known(seen: &Seen) -> [bool; 4] {
        let lists = [seen.channels().is_empty(), seen.failing_models().is_empty()].map(|empty| !empty);
        [seen.config().is_some(), lists[0], lists[1], seen.memory_bytes().is_some()]
    }

    #[test]
    fn what_is_not_said_any_more_is_forgotten_when_the_websocket_counts_as_unavailable() {
        let mut seen = Seen::default();
        take(&mut seen, &round(Some(Ok(answers()))), Some(telegram()), true);
        assert_eq!((known(&seen), seen.not_ready()), ([true; 4], &["agent-database:main".into()][..]));
        for _ in 1..MAX_SILENT {
            take(&mut seen, &round(Some(Err(RpcError::Closed))), None, true);
            // Not asked is not unanswered.
            take(&mut seen, &round(None), None, true);
            assert_eq!(known(&seen), [true; 4]);
        }
        take(&mut seen, &round(Some(Err(RpcError::Closed))), None, true);
        assert_eq!(known(&seen), [false; 4]);
        assert_eq!(
            seen.not_ready(),
            ["telegram", "agent-database:main"],
            "a channel can't be told from a part"
        );
    }

    #[test]
    fn each_answer_is_forgotten_for_itself_and_a_next_one_counts_from_the_start() {
        let mut seen = Seen::default();
        let without_config = || round(Some(Ok(Answers { config: None, ..answers() })));
        for _ in 0..2 {
            take(&mut seen, &round(Some(Ok(answers()))), Some(telegram()), true);
            for _ in 1..MAX_SILENT {
                take(&mut seen, &without_config(), Some(telegram()), true);
            }
            assert_eq!(known(&seen), [true; 4]);
        }
        take(&mut seen, &without_config(), Some(telegram()), true);
        assert_eq!(known(&seen), [false, true, true, true]);
    }

    #[test]
    fn of_a_gateway_that_does_not_serve_only_the_release_is_known() {
        let mut seen = Seen::default();
        take(&mut seen, &round(Some(Ok(answers()))), Some(telegram()), true);
        let silent = Round {
            contact: Err(Failure::Frozen),
            version: None,
            readiness: Err(Failure::Frozen),
            rpc: None,
        };
        take(&mut seen, &silent, None, true);
        assert_eq!(known(&seen), [true; 4], "it is not certain yet");
        take(&mut seen, &silent, None, false);
        assert_eq!((known(&seen), seen.not_ready().len()), ([false; 4], 0));
        assert_eq!(seen.version.as_deref(), Some("2026.9.6"));
    }
}
