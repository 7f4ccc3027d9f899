//! I/O: watches the gateway. Asks it, has the answers judged, publishes what is known, and has webhooks told.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep_until, timeout};

use crate::bundle::Mounted;
use crate::cli::{Gateway, Paths};
use crate::clock::Clock;
use crate::environment::{self, GATEWAY_TOKEN};
use crate::gateway::channels::{Wanted, channels};
use crate::gateway::prober::{Prober, Round};
use crate::gateway_status::{ConfigStatus, GatewayStatus, Memory, channel_statuses};
use crate::http::Snapshot;
use crate::incident_file::{IncidentFile, Told};
use crate::judge::alerts::{Alert, Alerts, Announced};
use crate::judge::applied::{Applied, Verdict};
use crate::judge::machine::{Event, Machine, Thresholds};
use crate::judge::symptoms::{Surroundings, observe};
use crate::local::{Local, Looker};
use crate::metrics::{Levels, Metrics};
use crate::names::Digest;
use crate::secret::Redactor;
use crate::seen::Seen;
use crate::settings::Settings;
use crate::tell::Tellers;

/// For how long the start waits for what was told before it; longer takes a volume that hangs.
const WITHIN: Duration = Duration::from_secs(2);

/// Watches one gateway.
pub struct Supervisor {
    clock: Clock,
    options: Gateway,
    state_dir: PathBuf,
    looker: Looker,
    prober: Prober,
    machine: Machine,
    alerts: Alerts,
    /// What was told before the start, until it is known who is told now.
    told_before: Option<Told>,
    applied: Applied,
    settings: Settings,
    /// Whether there were settings that could be used.
    knows_receivers: bool,
    /// The `watchdog.json` that was last looked at.
    settings_seen: Option<Mounted>,
    /// What the `openclaw.json` that could be read last wants of channels.
    wanted: Wanted,
    redactor: Redactor,
    tellers: Tellers,
    metrics: Arc<Metrics>,
    seen: Seen,
    publish: watch::Sender<GatewayStatus>,
    deliveries: watch::Receiver<Snapshot>,
    write_config_again: Arc<Notify>,
}

impl Supervisor {
    /// `write_config_again` is told when the gateway has missed its configuration.
    pub fn new(
        clock: Clock,
        paths: &Paths,
        options: Gateway,
        metrics: Arc<Metrics>,
        publish: watch::Sender<GatewayStatus>,
        deliveries: watch::Receiver<Snapshot>,
        write_config_again: Arc<Notify>,
    ) -> Self {
        let settings = Settings::default();
        let thresholds = Thresholds {
            down_rounds: options.down_rounds,
            down_after: options.down_after,
            startup_budget: options.startup_budget,
            ..Thresholds::default()
        };
        let token = environment::secret(GATEWAY_TOKEN);
        if token.is_none() {
            tracing::warn!(
                "{GATEWAY_TOKEN} is not set: the gateway will not answer questions over its WebSocket"
            );
        }
        Self {
            state_dir: paths.state_dir.clone(),
            looker: Looker::new(paths),
            prober: Prober::new(options.gateway, token, options.probe_timeout),
            machine: Machine::new(thresholds, clock.now()),
            alerts: Alerts::default(),
            told_before: None,
            applied: Applied::default(),
            wanted: Wanted::default(),
            redactor: environment::redactor(&settings),
            settings,
            knows_receivers: false,
            settings_seen: None,
            tellers: Tellers::start(clock, &metrics),
            metrics,
            seen: Seen::default(),
            publish,
            deliveries,
            write_config_again,
            options,
            clock,
        }
    }

    /// Watches for ever.
    pub async fn run(mut self) -> Infallible {
        let mut file = IncidentFile::open(&self.state_dir);
        if let Ok(before) = timeout(WITHIN, file.read()).await {
            self.restore(before);
        }
        loop {
            let on_disk = self.deliveries.borrow_and_update().status.on_disk();
            let (round, local) = tokio::join!(self.prober.round(), self.looker.look());
            if let Some(local) = &local {
                self.take_settings(&local.settings);
            }
            let settled = self.take(&round, local.as_ref(), on_disk);
            let Gateway { probe_interval, probe_interval_unsettled, .. } = self.options;
            let pause = if settled { probe_interval } else { probe_interval_unsettled.min(probe_interval) };
            let mut next_round = self.clock.now() + pause;
            loop {
                // Until it is known who is told, there is nobody to tell, and what was told before must not be lost.
                let due = self.told_before.is_none().then(|| {
                    self.tell();
                    self.remember(&mut file);
                    let serving = self.machine.is_serving_now();
                    self.alerts.next_due(self.machine.incident(), serving, &self.settings.rules)
                });
                let due = due.flatten();
                let wake = due.map_or(next_round, |due| due.min(next_round));
                tokio::select! {
                    () = sleep_until(self.clock.instant(wake)) => {}
                    () = self.prober.idle() => {}
                    () = self.tellers.taken() => {}
                    before = file.read() => self.restore(before),
                    changed = self.deliveries.changed() => {
                        // Its sender outlives this loop; should it not, rounds go on by time.
                        if changed.is_err() {
                            sleep_until(self.clock.instant(wake)).await;
                        } else if self.deliveries.borrow_and_update().status.on_disk() != on_disk {
                            // The gateway has it within 2 s: what it says of it is to be known soon.
                            next_round = next_round.min(self.clock.now() + probe_interval_unsettled);
                        }
                    }
                }
                if self.clock.now() >= next_round {
                    break;
                }
            }
        }
    }

    /// Takes over what was told before the start. What this watchdog has told itself, as the volume was slow, is newer.
    fn restore(&mut self, before: Option<Told>) {
        let Some(mut before) = before.filter(|_| self.alerts.announced().is_none()) else { return };
        let (now, Announced { incident, told, .. }) = (self.clock.now(), &mut before.announced);
        *told = now.min(*told);
        incident.since = now.min(incident.since);
        self.alerts.restore(before.announced);
        if self.knows_receivers {
            self.tellers.restore(&before.announced.incident, &before.receivers);
        } else {
            self.told_before = Some(before);
        }
    }

    fn take_settings(&mut self, mounted: &Mounted) {
        if self.settings_seen.as_ref() == Some(mounted) {
            return;
        }
        match mounted {
            Mounted::Bytes(bytes) => match Settings::parse(bytes) {
                Ok(settings) => {
                    self.tellers.configure(&settings);
                    self.knows_receivers = true;
                    if let Some(Told { announced, receivers }) = self.told_before.take() {
                        self.tellers.restore(&announced.incident, &receivers);
                    }
                    self.redactor = environment::redactor(&settings);
                    self.settings = settings;
                }
                Err(error) => {
                    tracing::error!(%error, "config/watchdog.json cannot be used, going on as before");
                }
            },
            Mounted::Missing if self.settings.webhooks.is_empty() => {
                tracing::info!("no config/watchdog.json: nobody is told anything");
            }
            Mounted::Missing => tracing::warn!("no config/watchdog.json any more, going on as before"),
            Mounted::Unreadable(why) => {
                tracing::error!(why, "config/watchdog.json cannot be read, going on as before");
            }
        }
        self.settings_seen = Some(mounted.clone());
    }

    /// Takes a round into account, and returns whether the next one has time.
    fn take(&mut self, round: &Round, local: Option<&Local>, on_disk: Option<Digest>) -> bool {
        let now = self.clock.now();
        self.metrics.count_round(round);
        let answers = round.rpc.as_ref().and_then(|answers| answers.as_ref().ok());
        if let Some(Err(error)) = &round.rpc {
            tracing::debug!(%error, "no answers over the WebSocket");
        }
        let config = answers.and_then(|answers| answers.config.as_ref());
        let verdict = config.map(|config| self.applied.step(now, config));
        if verdict.is_some_and(|Verdict { write_again, .. }| write_again) {
            self.metrics.count_config_write();
            self.write_config_again.notify_one();
        }
        if let Some(wanted) = local.and_then(|local| local.wanted.as_ref()) {
            self.wanted.clone_from(wanted);
        }
        let accounts = answers
            .and_then(|answers| answers.channels.as_ref())
            .map(|status| channels(status, &self.wanted));
        let disk = local.and_then(|local| local.disk);
        let surroundings = Surroundings {
            channels: accounts.as_deref(),
            disk,
            memory_limit: self.options.gateway_memory_limit,
            config_not_applied: verdict.map(|verdict| verdict.not_applied),
        };
        for event in self.machine.step(now, &observe(round, &surroundings)) {
            self.log(event);
        }
        let state = self.machine.state();
        self.seen.take(round, accounts, on_disk, state.is_serving(), &self.redactor);

        let reasons = self.machine.reasons();
        let seen = &self.seen;
        let applied = seen.config().map(|config| config.applied);
        let levels = Levels { memory_bytes: seen.memory_bytes(), disk, config_applied: applied };
        self.metrics.set(state, &reasons, self.machine.incidents(), &levels);
        self.publish.send_replace(GatewayStatus {
            state,
            reasons,
            since: self.clock.rfc3339(self.machine.since()),
            version: seen.version.clone(),
            config: seen.config().cloned(),
            channels: channel_statuses(seen.channels(), &self.redactor),
            not_ready: seen.not_ready().to_vec(),
            failing_models: seen.failing_models().to_vec(),
            disk,
            memory: seen
                .memory_bytes()
                .map(|used_bytes| Memory { used_bytes, limit_bytes: self.options.gateway_memory_limit }),
            last_probe: Some(now),
        });
        // What the gateway refuses, or does not tell, it refuses at the usual pace, too.
        let is_awaited = |config: &ConfigStatus| config.valid && !config.applied;
        self.machine.is_serving_now() && !self.seen.config().is_some_and(is_awaited)
    }

    fn tell(&mut self) {
        let now = self.clock.now();
        let serving = self.machine.is_serving_now();
        let mut alerts = self.alerts.step(now, self.machine.incident(), serving, &self.settings.rules);
        // For a receiver that there was not when it was told.
        alerts.extend(self.alerts.open().map(Alert::Down));
        for alert in alerts {
            let version = self.seen.version.as_deref();
            self.tellers.tell(&alert, &self.settings, &self.machine, version, now);
        }
    }

    /// Has the next watchdog know who took *down*, and no *recovered* since.
    fn remember(&self, file: &mut IncidentFile) {
        let receivers = self.tellers.who_believes_down();
        let announced = self.alerts.announced().filter(|_| !receivers.is_empty());
        file.store(announced.map(|announced| Told { announced: *announced, receivers }));
    }

    fn log(&self, event: Event) {
        match event {
            Event::StateChanged { from, to } => {
                let reasons: Vec<_> = self.machine.reasons().iter().map(|reason| reason.as_str()).collect();
                let reasons = reasons.join(", ");
                let (from, to) = (from.as_str(), to.as_str());
                tracing::info!(from, to, reasons, "the gateway's state changed");
            }
            Event::IncidentOpened(incident) => {
                tracing::warn!(incident = incident.number, reason = incident.reason.as_str(), "incident");
            }
            Event::IncidentClosed(incident) => {
                tracing::info!(incident = incident.number, "incident over");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::time::Instant;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::judge::machine::Incident;
    use crate::judge::reason::Reason;
    use crate::settings::Receiver;
    use crate::status::Status;

    fn supervisor() -> Supervisor {
        let Command::Run(run) = Cli::parse_from(["kr8tiv-watchdog", "run"]).command else { unreachable!() };
        let clock = Clock::start();
        let status = GatewayStatus::unknown(clock.rfc3339(clock.now()));
        let snapshot = Snapshot { status: Status::default(), alive_until: Instant::now() };
        let (publish, deliveries) = (watch::channel(status).0, watch::channel(snapshot).1);
        Supervisor::new(clock, &run.paths, run.gateway, Arc::default(), publish, deliveries, Arc::default())
    }

    fn settings() -> Mounted {
        let webhook = r#"{"name": "owner", "url": "http://127.0.0.1:9/"}"#;
        let times = r#""heartbeatSeconds": 60, "downAlertSeconds": 300, "alertDedupeSeconds": 900"#;
        let head = r#""apiVersion": "kr8tiv.ai/watchdog/v1", "tenantId": "acme-0a1b2c3d""#;
        Mounted::Bytes(format!("{{{head}, {times}, \"webhooks\": [{webhook}]}}").into_bytes())
    }

    fn told(reason: Reason) -> Told {
        let since = Duration::from_secs(1);
        let announced =
            Announced { incident: Incident { number: 0, since, reason }, told: since, over: false };
        Told { announced, receivers: [Receiver::Owner].into() }
    }

    #[tokio::test]
    async fn what_was_told_before_counts_whenever_it_is_known() {
        let before = told(Reason::GatewayFrozen);
        for settings_are_first in [true, false] {
            let mut supervisor = supervisor();
            if settings_are_first {
                supervisor.take_settings(&settings());
            }
            supervisor.restore(Some(before.clone()));
            supervisor.take_settings(&settings());
            assert_eq!(supervisor.tellers.who_believes_down(), before.receivers);
            assert_eq!(supervisor.alerts.announced(), Some(&before.announced));
            assert_eq!(supervisor.told_before, None, "nothing is waited for any more");
        }
    }

    #[tokio::test]
    async fn what_was_told_since_the_start_is_newer_than_what_was_told_before() {
        let mut supervisor = supervisor();
        supervisor.take_settings(&settings());
        let since = told(Reason::GatewayUnreachable).announced;
        supervisor.alerts.restore(since);
        supervisor.restore(Some(told(Reason::GatewayFrozen)));
        assert_eq!(supervisor.alerts.announced(), Some(&since));
        assert!(supervisor.tellers.who_believes_down().is_empty());
    }
}
