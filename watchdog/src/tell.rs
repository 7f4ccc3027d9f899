//! Alerting stage, I/O: gives messages to the receivers' tasks, in the order owner, management.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::environment;
use crate::judge::alerts::Alert;
use crate::judge::machine::{Incident, Machine};
use crate::metrics::Metrics;
use crate::settings::{Receiver, Settings};
use crate::webhook::message::{Context, Kind, Message};
use crate::webhook::post::{Poster, Target};
use crate::webhook::sender::{Sender, Taken};

/// The tasks of both receivers.
#[derive(Debug)]
pub struct Tellers {
    clock: Clock,
    run: String,
    sequence: u64,
    receivers: BTreeMap<Receiver, Teller>,
    taken: mpsc::UnboundedReceiver<Taken>,
}

#[derive(Debug)]
struct Teller {
    /// Number of the incident of which *down* was put into its queue, and *recovered* was not yet.
    told: Option<u64>,
    /// Whether it took a *down*, and no *recovered* since.
    believes_down: bool,
    target: watch::Sender<Option<Target>>,
    messages: mpsc::UnboundedSender<Message>,
}

impl Tellers {
    /// Starts the tasks; they end with this value.
    pub fn start(clock: Clock, metrics: &Arc<Metrics>) -> Self {
        let poster = Arc::new(Poster::default());
        let (reports, taken) = mpsc::unbounded_channel();
        let start = |receiver| {
            let (target, targets) = watch::channel(None);
            let (messages, arriving) = mpsc::unbounded_channel();
            let sender = Sender {
                clock,
                receiver,
                target: targets,
                messages: arriving,
                taken: reports.clone(),
                poster: Arc::clone(&poster),
                metrics: Arc::clone(metrics),
            };
            tokio::spawn(sender.run());
            (receiver, Teller { told: None, believes_down: false, target, messages })
        };
        let receivers = Receiver::ALL.into_iter().map(start).collect();
        Self { clock, run: run(), sequence: 0, receivers, taken }
    }

    /// Takes over who is told.
    pub fn configure(&mut self, settings: &Settings) {
        for (receiver, teller) in &mut self.receivers {
            let webhook = settings.webhooks.iter().find(|webhook| webhook.receiver == *receiver);
            let target = webhook.and_then(|webhook| {
                environment::target(webhook)
                    .inspect_err(|problem| {
                        let receiver = receiver.as_str();
                        tracing::error!(receiver, problem, "this webhook is not told anything");
                    })
                    .ok()
            });
            teller.target.send_if_modified(|current| {
                let differs = *current != target;
                let url = |target: &Option<Target>| target.as_ref().map(|target| target.url.clone());
                if url(current) != url(&target) {
                    // Somebody else, who knows of no incident.
                    (teller.told, teller.believes_down) = (None, false);
                }
                *current = target;
                differs
            });
        }
    }

    /// Who took a *down*, and no *recovered* since.
    pub fn who_believes_down(&self) -> BTreeSet<Receiver> {
        let believing = self.receivers.iter().filter(|(_, teller)| teller.believes_down);
        believing.map(|(receiver, _)| *receiver).collect()
    }

    /// These took a *down*, and no *recovered*, before the watchdog's start.
    pub fn restore(&mut self, incident: &Incident, receivers: &BTreeSet<Receiver>) {
        for (receiver, teller) in &mut self.receivers {
            if receivers.contains(receiver) && teller.target.borrow().is_some() {
                (teller.told, teller.believes_down) = (Some(incident.number), true);
            }
        }
    }

    /// Waits until a receiver has taken a *down* or *recovered*, and takes that over.
    pub async fn taken(&mut self) {
        let Some(Taken { receiver, url, kind }) = self.taken.recv().await else {
            return std::future::pending().await;
        };
        if let Some(teller) = self.receivers.get_mut(&receiver)
            && teller.target.borrow().as_ref().is_some_and(|target| target.url == url)
        {
            teller.believes_down = kind == Kind::Down;
        }
    }

    /// Tells everybody whom it concerns: of an incident, whoever was not told *down* yet, and at its end whoever was. To
    /// tell *down* again reaches only who has become a receiver since.
    pub fn tell(
        &mut self,
        alert: &Alert,
        settings: &Settings,
        machine: &Machine,
        version: Option<&str>,
        now: Duration,
    ) {
        let mut concerned: Vec<&mut Teller> =
            self.receivers.values_mut().filter(|teller| teller.is_concerned(alert)).collect();
        if concerned.is_empty() {
            return;
        }
        self.sequence += 1;
        let incident = match alert {
            Alert::Alive => None,
            Alert::Down(incident) | Alert::Recovered(incident) => Some(incident),
        };
        let timestamp = self.clock.rfc3339(now);
        let since = incident.map(|incident| self.clock.rfc3339(incident.since));
        let reasons = machine.reasons();
        let context = Context {
            run: &self.run,
            sequence: self.sequence,
            tenant_id: &settings.tenant_id,
            state: machine.state(),
            reasons: &reasons,
            gateway_version: version,
            now,
            timestamp: &timestamp,
            incident_since: since.as_deref(),
            incident_seconds: incident.map(|incident| now.saturating_sub(incident.since).as_secs()),
            heartbeat_seconds: settings.rules.heartbeat.as_secs(),
        };
        let message = Message::new(alert, &context);
        for teller in &mut concerned {
            match alert {
                Alert::Alive => {}
                Alert::Down(incident) => teller.told = Some(incident.number),
                Alert::Recovered(_) => teller.told = None,
            }
            // A task ends with this value only.
            let _ = teller.messages.send(message.clone());
        }
    }
}

impl Teller {
    fn is_concerned(&self, alert: &Alert) -> bool {
        let concerned = match alert {
            Alert::Alive => true,
            Alert::Down(incident) => self.told != Some(incident.number),
            Alert::Recovered(incident) => self.told == Some(incident.number),
        };
        concerned && self.target.borrow().is_some()
    }
}

/// What tells this run of the watchdog from others. Without randomness the time does.
fn run() -> String {
    let mut bytes = [0_u8; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return format!("{:?}", std::time::SystemTime::now());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
