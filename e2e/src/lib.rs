//! What the tests on real clusters share. Everything here does I/O: the API server, `kubectl`, processes, sockets.
//!
//! The tests run inside a cluster that `dev/cluster` brought up (`e2e/run` does both), because its API server is
//! reachable from there only.

pub mod api_proxy;
pub mod audit;
pub mod canary;
pub mod cluster;
pub mod conditions;
pub mod container;
pub mod http;
pub mod invariants;
pub mod kubectl;
pub mod manifests;
pub mod model_server;
pub mod operator_process;
pub mod pretend_node;
pub mod receiver;
pub mod scope;
pub mod search;
pub mod suite;
pub mod wait;
pub mod webhook_process;

use std::sync::{Mutex, PoisonError};

/// What a test or a helper comes to. The error is text for a person.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

static FIGURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Takes note of a measured figure.
pub fn figure(name: &str, value: impl std::fmt::Display, unit: &str) {
    FIGURES.lock().unwrap_or_else(PoisonError::into_inner).push(format!("figure: {name} {value} {unit}"));
}

/// Takes note of seconds, with one decimal.
pub fn figure_seconds(name: &str, elapsed: std::time::Duration) {
    figure(name, format_args!("{:.1}", elapsed.as_secs_f64()), "s");
}

/// Prints all figures, in the one form that scripts look for.
pub fn print_figures() {
    for figure in FIGURES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{figure}");
    }
}
