//! Probing stage: asks the gateway in the same Pod, over loopback, what it knows about itself.
//!
//! Loopback, because only there does a client with the token alone keep its scopes. `answers` and `frames` are pure,
//! `http`, `rpc` and [`prober`] do I/O. Nothing here changes anything in the gateway: the only scope that is asked for
//! is `operator.read`.

pub mod answers;
pub mod channels;
mod frames;
mod http;
pub mod prober;
pub mod rpc;
