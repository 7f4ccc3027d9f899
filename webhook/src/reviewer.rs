//! From a request to its verdict: read, gather, judge. Reads the API only before it refuses ([`crate::fresh`]).

use std::sync::Arc;

use kr8tiv_compiler::Platform;
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::key::Key;
use kr8tiv_operator::stores::Stores;
use kube::Client;

use crate::fresh;
use crate::judge::{self, Verdict};
use crate::neighbours::{self, Neighbours};
use crate::review::{self, Change, Question, Request};

/// Judges requests.
#[derive(Clone)]
pub struct Reviewer {
    /// What is known of the cluster.
    pub stores: Arc<Stores>,
    /// What the operator was installed with, as far as it bears on a judgement.
    pub platform: Arc<Platform>,
    /// The way to the API server; `None` to go by the stores alone.
    pub client: Option<Client>,
}

impl Reviewer {
    /// The verdict on a request.
    pub async fn verdict(&self, request: &Request) -> Verdict {
        match review::read(request) {
            Err(verdict) => verdict,
            Ok(Question::Tenant(change)) => self.tenant(Arc::new(change)).await,
            Ok(Question::Agent(change)) => self.agent(Arc::new(change)).await,
            Ok(Question::Harness(change)) => self.harness(change).await,
            Ok(Question::HarnessGone(harness)) => self.harness_gone(&harness).await,
        }
    }

    async fn tenant(&self, change: Arc<Change<Tenant>>) -> Verdict {
        let judge = |neighbours: Neighbours| {
            let (change, platform) = (Arc::clone(&change), Arc::clone(&self.platform));
            guarded(move || judge::tenant(&change, &neighbours, &platform))
        };
        let neighbours = neighbours::of_tenant(&self.stores, &change.new);
        let verdict = judge(neighbours.clone()).await;
        let Some(client) = self.client.as_ref().filter(|_| verdict.refusal.is_some()) else { return verdict };
        match fresh::of_tenant(client, &change.new, neighbours).await {
            Ok(fresh) => judge(fresh).await,
            Err(error) => unread(verdict, &error),
        }
    }

    async fn agent(&self, change: Arc<Change<Agent>>) -> Verdict {
        let judge = |neighbours: Neighbours| {
            let (change, platform) = (Arc::clone(&change), Arc::clone(&self.platform));
            guarded(move || judge::agent(&change, &neighbours, &platform))
        };
        let neighbours = neighbours::of_agent(&self.stores, &change.new);
        let verdict = judge(neighbours.clone()).await;
        let Some(client) = self.client.as_ref().filter(|_| verdict.refusal.is_some()) else { return verdict };
        match fresh::of_agent(client, &change.new, neighbours).await {
            Ok(fresh) => judge(fresh).await,
            Err(error) => unread(verdict, &error),
        }
    }

    async fn harness(&self, change: Change<Harness>) -> Verdict {
        let users = neighbours::users(&self.stores, &change.new);
        let platform = Arc::clone(&self.platform);
        guarded(move || judge::harness(&change, &users, &platform)).await
    }

    async fn harness_gone(&self, harness: &Harness) -> Verdict {
        let key = Key::of(&harness.metadata);
        let users = neighbours::keys_of_users(&self.stores, harness);
        let verdict = judge::gone(&key, &users);
        let Some(client) = self.client.as_ref().filter(|_| verdict.refusal.is_some()) else { return verdict };
        match fresh::users(client, &key, &users).await {
            Ok(fresh) => judge::gone(&key, &fresh),
            Err(error) => unread(verdict, &error),
        }
    }
}

/// Judges away from the tasks that answer others, and where a fault of the compiler ends nothing else.
async fn guarded(judge: impl FnOnce() -> Verdict + Send + 'static) -> Verdict {
    tokio::task::spawn_blocking(judge).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a review panicked");
        Verdict::warn(
            "not judged: the webhook has a fault that this object brings out; please report it".into(),
        )
    })
}

fn unread(verdict: Verdict, error: &kube::Error) -> Verdict {
    tracing::warn!(%error, "judged by what the watches have seen: it could not be read anew");
    verdict
}
