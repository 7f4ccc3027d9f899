//! Alerting stage, I/O: the task of one receiver. It sends what waits, one after the other, and tries again.
//!
//! Each receiver has its own, so that one that does not answer holds nobody else up.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::metrics::{Metrics, Sent};
use crate::settings::Receiver;
use crate::webhook::message::Message;
use crate::webhook::post::{PostError, Poster, Target};
use crate::webhook::queue::Queue;
use crate::webhook::retry::{self, GIVE_UP_AFTER};

/// What the task is given.
pub struct Sender {
    /// Whose it is.
    pub receiver: Receiver,
    /// Where the messages go; what waits when there is no target is dropped.
    pub target: watch::Receiver<Option<Target>>,
    /// What is to be sent. It has no bound of its own: what comes out is put into the bounded queue at once.
    pub messages: mpsc::UnboundedReceiver<Message>,
    /// Shared by the receivers.
    pub poster: Arc<Poster>,
    /// Where the results are counted.
    pub metrics: Arc<Metrics>,
}

/// The message that was tried without success.
#[derive(Debug)]
struct Failing {
    id: String,
    failures: u32,
    first: Instant,
    next: Instant,
}

impl Sender {
    /// Sends until nobody gives it anything any more.
    pub async fn run(mut self) {
        let mut queue = Queue::default();
        let mut failing: Option<Failing> = None;
        loop {
            // What came while a message was on its way, which takes seconds at most.
            while let Ok(message) = self.messages.try_recv() {
                self.push(&mut queue, message);
            }
            let target = self.target.borrow_and_update().clone();
            let Some(target) = target else {
                self.count(Sent::Dropped, queue.clear());
                failing = None;
                if !self.wait(&mut queue, None).await {
                    return;
                }
                continue;
            };
            let Some(message) = queue.first().cloned() else {
                if !self.wait(&mut queue, None).await {
                    return;
                }
                continue;
            };
            // Another message than the one that failed is tried at once: a down does not wait for an alive's pause.
            failing = failing.filter(|failing| failing.id == message.id);
            if let Some(Failing { next, .. }) = failing
                && Instant::now() < next
            {
                if !self.wait(&mut queue, Some(next)).await {
                    return;
                }
                continue;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let result = self.poster.post(&target, &message, now).await;
            failing = self.after(result, &message, failing, &mut queue);
        }
    }

    /// Takes a result into account; returns what is to be tried again.
    fn after(
        &self,
        result: Result<(), PostError>,
        message: &Message,
        failing: Option<Failing>,
        queue: &mut Queue,
    ) -> Option<Failing> {
        let receiver = self.receiver.as_str();
        let kind = message.kind.as_str();
        let now = Instant::now();
        let (failures, first) = failing.map_or((0, now), |failing| (failing.failures, failing.first));
        match result {
            Ok(()) => {
                tracing::debug!(receiver, kind, id = message.id, "webhook told");
                self.count(Sent::Delivered, 1);
                queue.remove(&message.id);
                None
            }
            Err(error) if error.is_worth_another_try() && now.duration_since(first) < GIVE_UP_AFTER => {
                // The first time is news; the rest would only fill the log.
                if failures == 0 {
                    tracing::warn!(receiver, kind, id = message.id, %error, "webhook not told, trying again");
                }
                self.count(Sent::Failed, 1);
                let failures = failures.saturating_add(1);
                Some(Failing {
                    id: message.id.clone(),
                    failures,
                    first,
                    next: now + retry::pause(failures, random()),
                })
            }
            Err(error) => {
                tracing::error!(receiver, kind, id = message.id, %error, "webhook not told, giving this message up");
                self.count(Sent::Failed, 1);
                self.count(Sent::Dropped, 1);
                queue.remove(&message.id);
                None
            }
        }
    }

    /// Waits for a message, another target, or a time. `false` when it is all over.
    async fn wait(&mut self, queue: &mut Queue, until: Option<Instant>) -> bool {
        let time = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time => true,
            changed = self.target.changed() => changed.is_ok(),
            message = self.messages.recv() => match message {
                Some(message) => {
                    self.push(queue, message);
                    true
                }
                None => false,
            },
        }
    }

    fn push(&self, queue: &mut Queue, message: Message) {
        self.count(Sent::Dropped, queue.push(message));
    }

    fn count(&self, sent: Sent, messages: usize) {
        self.metrics.count_messages(self.receiver, sent, messages);
    }
}

/// Without randomness the tries are not spread, and that is all.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = SystemRandom::new().fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
