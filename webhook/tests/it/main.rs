//! Reviews against a cluster that is known only by its objects: without an API server.

#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod cluster;
mod connections;
mod fresh;
mod given;
mod latency;
mod limits;
mod rules;
