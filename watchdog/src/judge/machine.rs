//! Judging stage, pure: the state machine, from observations and the time to a state and events.
//!
//! An *incident* is a time without service. It opens when the gateway is called down, begins with the first probe that
//! failed, or with the start or drain that takes too long, and closes when the gateway serves again. While it is open the state stays `Down`: a gateway that crashes at
//! each start is one incident, not many.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::observation::{Failure, Observation, Phase, Symptoms};
use crate::judge::reason::{Reason, State};

/// When to believe what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// So many rounds in a row without an answer are a gateway that is down; at least 1.
    pub down_rounds: u32,
    /// And not before this long after the first of them.
    pub down_after: Duration,
    /// So many rounds in a row of service end an incident; at least 1.
    pub up_rounds: u32,
    /// A gateway that starts, or restarts after draining, has this long.
    pub startup_budget: Duration,
    /// A gateway that drains has this long.
    pub drain_budget: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            down_rounds: 3,
            // A restart in place, after some changes of the configuration, takes the listener away for up to 9 s.
            down_after: Duration::from_secs(15),
            // One good answer of a gateway that crashes again at once is no recovery.
            up_rounds: 2,
            // What kubelet gives it: 120 probes, 5 s apart. It may migrate its state after an upgrade.
            startup_budget: Duration::from_mins(10),
            // OpenClaw drains for 315 s at most and cleans up for 10 s; a minute in reserve.
            drain_budget: Duration::from_secs(385),
        }
    }
}

/// A time without service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// Counts up from 1 within a run of the watchdog; 0 for one of an earlier run.
    pub number: u64,
    /// When it began.
    pub since: Duration,
    /// Why the gateway was called down.
    pub reason: Reason,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The state.
    StateChanged {
        /// The old one.
        from: State,
        /// The new one.
        to: State,
    },
    /// The gateway does not serve any more.
    IncidentOpened(Incident),
    /// It serves again.
    IncidentClosed(Incident),
}

/// A row of rounds without an answer.
#[derive(Debug, Clone, Copy)]
struct Silence {
    since: Duration,
    rounds: u32,
}

/// How often in a row a reason was seen, or not seen, against what is believed.
#[derive(Debug, Clone, Copy, Default)]
struct Belief {
    active: bool,
    contrary: u32,
}

/// Judges one gateway.
#[derive(Debug)]
pub struct Machine {
    thresholds: Thresholds,
    state: State,
    since: Duration,
    silence: Option<Silence>,
    /// Rounds of service in a row.
    served: u32,
    beliefs: BTreeMap<Reason, Belief>,
    incident: Option<Incident>,
    incidents: u64,
}

impl Machine {
    /// A gateway of which nothing is known yet: it is expected to start.
    pub fn new(thresholds: Thresholds, now: Duration) -> Self {
        Self {
            thresholds,
            state: State::Starting,
            since: now,
            silence: None,
            served: 0,
            beliefs: BTreeMap::new(),
            incident: None,
            incidents: 0,
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it is in this state.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// The open incident.
    pub fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }

    /// How many incidents there were.
    pub fn incidents(&self) -> u64 {
        self.incidents
    }

    /// Whether it serves and answered when it was last asked.
    pub fn is_serving_now(&self) -> bool {
        self.state.is_serving() && self.silence.is_none()
    }

    /// Why it is in this state, in the order of [`Reason::ALL`].
    pub fn reasons(&self) -> Vec<Reason> {
        match self.state {
            State::Starting => vec![Reason::GatewayStarting],
            State::Draining => vec![Reason::GatewayDraining],
            // Why it was called down, not what the last probe saw: that changes with every restart of a crash loop.
            State::Down => self.incident.iter().map(|incident| incident.reason).collect(),
            State::Alive | State::Degraded => self.active().collect(),
        }
    }

    /// Takes a round into account. `now` never goes backwards.
    pub fn step(&mut self, now: Duration, observation: &Observation) -> Vec<Event> {
        let Observation { contact, symptoms } = observation;
        let mut events = Vec::new();
        match contact {
            Err(failure) => self.unanswered(now, *failure, &mut events),
            Ok(phase) => {
                self.silence = None;
                match phase {
                    Phase::Starting => self.starting(now, &mut events),
                    Phase::Draining => self.draining(now, &mut events),
                    Phase::Started => self.started(now, symptoms, &mut events),
                }
            }
        }
        events
    }

    fn unanswered(&mut self, now: Duration, failure: Failure, events: &mut Vec<Event>) {
        self.served = 0;
        let silence = self.silence.get_or_insert(Silence { since: now, rounds: 0 });
        silence.rounds = silence.rounds.saturating_add(1);
        let Silence { since, rounds } = *silence;
        let Thresholds { down_rounds, down_after, .. } = self.thresholds;
        let certain = rounds >= down_rounds && now.saturating_sub(since) >= down_after;
        match self.state {
            State::Alive | State::Degraded if certain => self.open(now, since, failure.reason(), events),
            // It has ended as it should, and comes back or has the time of a start to do so.
            State::Draining if certain => self.become_state(State::Starting, now, events),
            State::Starting if certain => self.overdue(now, failure.reason(), events),
            _ => {}
        }
    }

    fn starting(&mut self, now: Duration, events: &mut Vec<Event>) {
        self.served = 0;
        match self.state {
            State::Down => {}
            State::Starting => self.overdue(now, Reason::StartupTimedOut, events),
            State::Alive | State::Degraded | State::Draining => {
                self.become_state(State::Starting, now, events);
            }
        }
    }

    fn draining(&mut self, now: Duration, events: &mut Vec<Event>) {
        self.served = 0;
        match self.state {
            State::Down => {}
            State::Draining => {
                if now.saturating_sub(self.since) > self.thresholds.drain_budget {
                    self.open(now, self.since, Reason::DrainTimedOut, events);
                }
            }
            State::Starting | State::Alive | State::Degraded => {
                self.become_state(State::Draining, now, events);
            }
        }
    }

    fn started(&mut self, now: Duration, symptoms: &Symptoms, events: &mut Vec<Event>) {
        self.served = self.served.saturating_add(1);
        if self.state == State::Down && self.served < self.thresholds.up_rounds {
            return;
        }
        for (reason, seen) in symptoms {
            believe(self.beliefs.entry(*reason).or_default(), *reason, *seen);
        }
        let state = if self.active().next().is_none() { State::Alive } else { State::Degraded };
        self.become_state(state, now, events);
        if let Some(incident) = self.incident.take() {
            events.push(Event::IncidentClosed(incident));
        }
    }

    /// A start that takes too long.
    fn overdue(&mut self, now: Duration, reason: Reason, events: &mut Vec<Event>) {
        if now.saturating_sub(self.since) > self.thresholds.startup_budget {
            self.open(now, self.since, reason, events);
        }
    }

    fn open(&mut self, now: Duration, since: Duration, reason: Reason, events: &mut Vec<Event>) {
        self.incidents += 1;
        let incident = Incident { number: self.incidents, since, reason };
        self.incident = Some(incident);
        self.become_state(State::Down, now, events);
        events.push(Event::IncidentOpened(incident));
    }

    fn become_state(&mut self, to: State, now: Duration, events: &mut Vec<Event>) {
        let from = self.state;
        if from == to {
            return;
        }
        if !to.is_serving() {
            // What was wrong with the old process says nothing about the next one.
            self.beliefs.clear();
        }
        self.state = to;
        self.since = now;
        events.push(Event::StateChanged { from, to });
    }

    fn active(&self) -> impl Iterator<Item = Reason> + '_ {
        self.beliefs.iter().filter(|(_, belief)| belief.active).map(|(reason, _)| *reason)
    }
}

fn believe(belief: &mut Belief, reason: Reason, seen: bool) {
    if belief.active == seen {
        belief.contrary = 0;
        return;
    }
    belief.contrary += 1;
    let needed = if seen { reason.rounds().raise } else { reason.rounds().clear };
    if belief.contrary >= needed {
        *belief = Belief { active: seen, contrary: 0 };
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
