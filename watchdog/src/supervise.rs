//! I/O: watches the gateway. Asks it, has the answers judged, publishes what is known, and has webhooks told.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

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
        let mut file = IncidentFile::open(&self.state_dir).await;
        if let Some(mut before) = file.stored().cloned() {
            let (now, Announced { incident, told, .. }) = (self.clock.now(), &mut before.announced);
            *told = now.min(*told);
            incident.since = now.min(incident.since);
            self.alerts.restore(before.announced);
            self.told_before = Some(before);
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

    fn take_settings(&mut self, mounted: &Mounted) {
        if self.settings_seen.as_ref() == Some(mounted) {
            return;
        }
        match mounted {
            Mounted::Bytes(bytes) => match Settings::parse(bytes) {
                Ok(settings) => {
                    self.tellers.configure(&settings);
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
        let receivers = self.tellers.believe_down();
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
