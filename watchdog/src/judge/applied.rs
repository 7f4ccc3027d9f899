//! Judging stage, pure: whether the gateway runs with the configuration that was delivered, and when to write the file
//! again because its watcher missed it.

use std::time::Duration;

use crate::gateway::answers::Config;

/// A reload takes 1 to 2 s. What is not taken over after this was missed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause between two writes.
const MAX_PAUSE: Duration = Duration::from_mins(5);
/// After so many writes without success it is a problem, not a missed event.
const HOPEFUL_WRITES: u32 = 3;

/// What a look at the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Write the file again.
    pub write_again: bool,
    /// The gateway does not take it over, although it was written again.
    pub not_applied: bool,
}

/// Follows one gateway.
#[derive(Debug, Default)]
pub struct Applied {
    /// The revision that is not applied, and since when.
    missed: Option<Missed>,
}

#[derive(Debug)]
struct Missed {
    revision: String,
    next_write: Duration,
    pause: Duration,
    writes: u32,
}

impl Applied {
    /// Takes an answer of `config.get` into account.
    pub fn step(&mut self, now: Duration, config: &Config) -> Verdict {
        // An invalid one is not missed but refused: writing it again changes nothing.
        let Some(revision) = config.revision.as_ref().filter(|_| config.valid && !config.is_applied()) else {
            self.missed = None;
            return Verdict { write_again: false, not_applied: false };
        };
        let missed = match &mut self.missed {
            Some(missed) if missed.revision == *revision => missed,
            other => other.insert(Missed {
                revision: revision.clone(),
                next_write: now + PATIENCE,
                pause: PATIENCE,
                writes: 0,
            }),
        };
        let write_again = now >= missed.next_write;
        if write_again {
            missed.writes += 1;
            missed.pause = (missed.pause * 2).min(MAX_PAUSE);
            missed.next_write = now + missed.pause;
        }
        Verdict { write_again, not_applied: missed.writes > HOPEFUL_WRITES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(valid: bool, revision: Option<&str>, applied: &str) -> Config {
        Config {
            valid,
            revision: revision.map(str::to_owned),
            applied: Some(applied.to_owned()),
            issues: Vec::new(),
        }
    }

    fn writes(applied: &mut Applied, config: &Config, seconds: std::ops::Range<u64>) -> Vec<u64> {
        seconds
            .filter(|second| applied.step(Duration::from_secs(*second), config).write_again)
            .collect::<Vec<_>>()
    }

    #[test]
    fn a_missed_file_is_written_again_and_ever_less_often() {
        let mut applied = Applied::default();
        let missed = config(true, Some("new"), "old");
        assert_eq!(writes(&mut applied, &missed, 0..100), [5, 15, 35, 75]);
        assert!(applied.step(Duration::from_secs(101), &missed).not_applied);
        let taken = config(true, Some("new"), "new");
        let verdict = applied.step(Duration::from_secs(102), &taken);
        assert_eq!(verdict, Verdict { write_again: false, not_applied: false });
    }

    #[test]
    fn a_reload_in_time_a_refusal_and_a_next_revision_cause_no_write() {
        let mut applied = Applied::default();
        assert!(writes(&mut applied, &config(true, Some("a"), "o"), 0..5).is_empty());
        assert!(writes(&mut applied, &config(true, Some("b"), "o"), 5..10).is_empty(), "another one");
        assert!(writes(&mut applied, &config(false, None, "o"), 10..1000).is_empty());
        assert!(writes(&mut applied, &config(true, Some("b"), "o"), 1000..1005).is_empty());
    }
}
