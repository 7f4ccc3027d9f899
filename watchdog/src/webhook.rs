//! Alerting stage: tells the tenant's owner and the platform's management by HTTP POST.
//!
//! [`message`], [`queue`], [`retry`] and [`signature`] are pure; [`post`] and [`sender`] do I/O. URLs and keys are
//! [secrets](crate::secret::Secret): they are in no log, error, status or metric.

pub mod message;
pub mod post;
pub mod queue;
pub mod retry;
pub mod sender;
pub mod signature;
