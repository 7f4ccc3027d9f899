//! Judging stage, pure: what a tenant's gateway is to be called after a round of probes.
//!
//! [`symptoms`] turns the answers of a round into an [`Observation`](observation::Observation), [`machine`] decides by
//! thresholds and hysteresis, [`alerts`] decides who is to be told, and [`applied`] whether the gateway has read its
//! configuration. There is no clock in here: time is a parameter.

pub mod alerts;
pub mod applied;
pub mod machine;
pub mod observation;
pub mod reason;
pub mod symptoms;
