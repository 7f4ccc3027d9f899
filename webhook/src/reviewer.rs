//! From a question to its verdict: gather, judge. Reads the API only before it refuses ([`crate::fresh`]).

use std::sync::Arc;

use kr8tiv_compiler::Platform;
use kr8tiv_operator::stores::Stores;
use kr8tiv_operator::watched::Watched;

use crate::judge::{self, Verdict};
use crate::metrics::Metrics;
use crate::neighbours::Neighbours;
use crate::review::Question;
use crate::{fresh, neighbours};

/// Judges.
#[derive(Clone)]
pub struct Reviewer {
    /// What is known of the cluster.
    pub stores: Arc<Stores>,
    /// What the operator was installed with, as far as it bears on a judgement.
    pub platform: Arc<Platform>,
    /// What is read anew; `None` to go by the stores alone.
    pub watched: Option<Watched>,
    /// Where is counted what could not be read.
    pub metrics: Metrics,
}

impl Reviewer {
    /// The verdict on a question.
    pub async fn verdict(&self, question: Result<Question, Verdict>) -> Verdict {
        let question = match question {
            Ok(question) => Arc::new(question),
            Err(verdict) => return verdict,
        };
        let known = Arc::new(neighbours::of(&self.stores, &question));
        let verdict = self.judge(&question, &known).await;
        let Some(watched) = self.watched.as_ref().filter(|_| verdict.refusal.is_some()) else {
            return verdict;
        };
        match fresh::of(watched, &question, &known).await {
            Ok(None) => verdict,
            Ok(Some(fresh)) => self.judge(&question, &Arc::new(fresh)).await,
            Err(error) => {
                self.metrics.unread();
                tracing::warn!(%error, "judged by what the watches have seen: it could not be read anew");
                verdict
            }
        }
    }

    /// Judges away from the tasks that answer others, and where a fault of the compiler ends nothing else.
    async fn judge(&self, question: &Arc<Question>, neighbours: &Arc<Neighbours>) -> Verdict {
        let (question, neighbours) = (Arc::clone(question), Arc::clone(neighbours));
        let platform = Arc::clone(&self.platform);
        let judging = move || judge::judge(&question, &neighbours, &platform);
        tokio::task::spawn_blocking(judging).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a review panicked");
            Verdict::warn(
                "not judged: the webhook has a fault that this object brings out; please report it".into(),
            )
        })
    }
}
