//! Judging stage, pure: when the webhooks are told something, and what.
//!
//! - *alive* at the heartbeat, while the gateway serves.
//! - *down* once in an incident, when it has lasted long enough.
//! - *recovered* once, when the gateway serves again after a *down* was told, by this watchdog or by the one before it.
//!
//! One watchdog is one tenant, and it speaks of the gateway as a whole: of what an alert is told apart by (tenant,
//! agent, status, reason), status and reason are left. After a *down* the next one with the same reason waits until
//! the dedupe window is over. An incident that ends before is suppressed: nothing is told of it. One that lasts is told
//! then, so no lasting incident is missed. Only what was told begins a window: what is suppressed never prolongs it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::machine::Incident;
use crate::judge::reason::Reason;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// The gateway serves.
    Alive,
    /// It does not, for long enough.
    Down(Incident),
    /// It does again.
    Recovered(Incident),
}

/// How often, how soon, how seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Between two *alive*.
    pub heartbeat: Duration,
    /// How long an incident lasts before *down*.
    pub down_alert: Duration,
    /// For how long a *down* with the same reason is not told again.
    pub dedupe: Duration,
}

/// An incident of which *down* was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The incident.
    pub incident: Incident,
    /// When *down* was told.
    pub told: Duration,
    /// Whether the gateway has served since.
    pub over: bool,
}

/// Decides what is told.
#[derive(Debug, Default)]
pub struct Alerts {
    /// When *alive* was last due, or service began again. The next one is due a heartbeat later, by the rules of then.
    alive_since: Option<Duration>,
    /// When *down* was last told, by its reason.
    told: BTreeMap<Reason, Duration>,
    /// The last incident of which *down* was told.
    announced: Option<Announced>,
    /// Whether its *recovered* is to be told yet.
    owed: bool,
}

impl Alerts {
    /// Of this incident *down* was told before the watchdog's start, and *recovered* was not taken by everybody.
    pub fn restore(&mut self, announced: Announced) {
        self.told.insert(announced.incident.reason, announced.told);
        self.announced = Some(announced);
        self.owed = true;
    }

    /// What is to be told now. `incident` is the open one; `serving` is whether the gateway serves and answered when it
    /// was last asked.
    pub fn step(
        &mut self,
        now: Duration,
        incident: Option<&Incident>,
        serving: bool,
        rules: &Rules,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        if let Some(announced) = &mut self.announced
            && self.owed
            && serving
            && incident.is_none()
        {
            announced.over = true;
            self.owed = false;
            self.alive_since = Some(now);
            alerts.push(Alert::Recovered(announced.incident));
        }
        if let Some(incident) = incident
            && self.open().is_none()
            && now >= self.down_due(incident, rules)
        {
            self.told.insert(incident.reason, now);
            self.announced = Some(Announced { incident: *incident, told: now, over: false });
            self.owed = true;
            alerts.push(Alert::Down(*incident));
        }
        let due = self.alive_due(rules);
        if serving && due.is_none_or(|due| now >= due) {
            // From the due time, so that the interval does not grow by the pause between two rounds; but never sooner
            // than half a heartbeat after this one.
            self.alive_since = Some(due.unwrap_or(now).max(now.saturating_sub(rules.heartbeat / 2)));
            alerts.push(Alert::Alive);
        }
        alerts
    }

    /// When there is something to tell if nothing changes.
    pub fn next_due(&self, incident: Option<&Incident>, serving: bool, rules: &Rules) -> Option<Duration> {
        let down = incident.filter(|_| self.open().is_none()).map(|incident| self.down_due(incident, rules));
        let alive = self.alive_due(rules).filter(|_| serving);
        down.into_iter().chain(alive).min()
    }

    /// The last incident of which *down* was told.
    pub fn announced(&self) -> Option<&Announced> {
        self.announced.as_ref()
    }

    /// The incident of which *down* was told, while it lasts.
    pub fn open(&self) -> Option<Incident> {
        self.announced.filter(|announced| !announced.over).map(|announced| announced.incident)
    }

    fn alive_due(&self, rules: &Rules) -> Option<Duration> {
        self.alive_since.map(|since| since + rules.heartbeat)
    }

    fn down_due(&self, incident: &Incident, rules: &Rules) -> Duration {
        let old_enough = incident.since + rules.down_alert;
        let window_over = self.told.get(&incident.reason).map(|told| *told + rules.dedupe);
        window_over.map_or(old_enough, |over| old_enough.max(over))
    }
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
