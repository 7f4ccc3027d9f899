//! The operator: makes the cluster hold what the compiler says a tenant consists of, and reports what is true.
//!
//! Data flow one way: [`watch`] fills [`stores`]; a pass over a tenant ([`tenant`]) observes them, plans, compares,
//! applies what differs and writes a status when it differs. A pass over what is in sync makes no request. Passes
//! over Agents ([`agent`]) and Harnesses ([`harness`]) only report what the tenants' passes came to.
//!
//! # What the operator must be allowed
//! The chart's roles are the list (`clusterrole.yaml` and `role.yaml` in `charts/kr8tiv-operator/templates`); the
//! end-to-end tests run with them alone.
//! Secrets are read by name, made and completed, never listed.
//!
//! Objects are made by server-side apply, for which the API server asks for `patch`, and for `create` when the
//! object does not exist. `blockOwnerDeletion` in an owner reference asks for `update` on `tenants/finalizers` where
//! the admission plugin `OwnerReferencesPermissionEnforcement` is on.

pub mod agent;
pub mod app;
pub mod backoff;
pub mod bounded;
pub mod child;
pub mod claims;
pub mod client;
pub mod compiler;
pub mod context;
pub mod controller;
pub mod delivery;
pub mod election;
pub mod events;
pub mod guard;
pub mod harness;
pub mod health;
pub mod http;
pub mod images;
pub mod index;
pub mod key;
pub mod last_words;
pub mod lease;
pub mod ledger;
pub mod memory;
pub mod metrics;
pub mod pod;
pub mod process;
pub mod queue;
pub mod readiness;
pub mod recovery;
pub mod reports;
pub mod requests;
pub mod results;
pub mod sandbox;
pub mod secrets;
pub mod settings;
pub mod statuses;
pub mod stores;
pub mod table;
pub mod tenant;
pub mod tokens;
pub mod watch;
pub mod watchdog;
pub mod watched;

/// Field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "kr8tiv-operator";
