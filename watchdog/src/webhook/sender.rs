//! Alerting stage, I/O: the task of one receiver. It sends what waits, one after the other, and tries again.
//!
//! Each receiver has its own, so that one that does not answer holds nobody else up.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::metrics::{Metrics, Sent};
use crate::secret::Secret;
use crate::settings::Receiver;
use crate::webhook::message::{Kind, Message};
use crate::webhook::post::{PostError, Poster, Target};
use crate::webhook::queue::Queue;
use crate::webhook::retry::{Backoff, Failed};

/// A *down* or *recovered* that a receiver took.
#[derive(Debug)]
pub struct Taken {
    /// Who took it.
    pub receiver: Receiver,
    /// Where.
    pub url: Secret,
    /// Which of the two.
    pub kind: Kind,
}

/// What the task is given.
pub struct Sender {
    /// By which messages are old.
    pub clock: Clock,
    /// Whose it is.
    pub receiver: Receiver,
    /// Where the messages go; what waits when there is no target is dropped.
    pub target: watch::Receiver<Option<Target>>,
    /// What is to be sent. It has no bound of its own: what comes out is put into the bounded queue at once.
    pub messages: mpsc::UnboundedReceiver<Message>,
    /// Where it is said what the receiver took: at most two for each incident.
    pub taken: mpsc::UnboundedSender<Taken>,
    /// Shared by the receivers.
    pub poster: Arc<Poster>,
    /// Where the results are counted.
    pub metrics: Arc<Metrics>,
}

impl Sender {
    /// Sends until nobody gives it anything any more.
    pub async fn run(mut self) {
        let mut queue = Queue::default();
        let mut backoff = Backoff::default();
        let mut last_target = None;
        loop {
            // What came while a message was on its way, which takes seconds at most.
            while let Ok(message) = self.messages.try_recv() {
                self.push(&mut queue, message);
            }
            let target = self.target.borrow_and_update().clone();
            if target != last_target {
                backoff = Backoff::default();
                last_target.clone_from(&target);
            }
            let Some(target) = target else {
                self.count(Sent::Dropped, queue.clear());
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
            let next = backoff.next(&message);
            if self.clock.now() < next {
                if !self.wait(&mut queue, Some(self.clock.instant(next))).await {
                    return;
                }
                continue;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let result = self.poster.post(&target, &message, now).await;
            if result.is_ok() && message.kind != Kind::Alive {
                let taken = Taken { receiver: self.receiver, url: target.url, kind: message.kind };
                // Nobody listens any more when all is over.
                let _ = self.taken.send(taken);
            }
            if self.is_done(result, &message, &mut backoff) {
                queue.remove(&message.id);
            }
        }
    }

    /// Takes a result into account; returns whether the message is not to be tried again.
    fn is_done(&self, result: Result<(), PostError>, message: &Message, backoff: &mut Backoff) -> bool {
        let receiver = self.receiver.as_str();
        let kind = message.kind.as_str();
        let Err(error) = result else {
            tracing::debug!(receiver, kind, id = message.id, "webhook told");
            self.count(Sent::Delivered, 1);
            backoff.succeeded();
            return true;
        };
        self.count(Sent::Failed, 1);
        let failed = if error.is_worth_another_try() {
            backoff.failed(message, self.clock.now(), random())
        } else {
            Failed::GiveUp
        };
        match failed {
            // The first time is news; the rest would only fill the log.
            Failed::Again { first: true } => {
                tracing::warn!(receiver, kind, id = message.id, %error, "webhook not told, trying again");
            }
            Failed::Again { first: false } => {}
            Failed::GiveUp => {
                tracing::error!(receiver, kind, id = message.id, %error, "webhook not told, giving this message up");
                self.count(Sent::Dropped, 1);
            }
        }
        failed == Failed::GiveUp
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
