//! The watchdog of a tenant: delivers the compiled bundle to the gateway beside it as regular files.
//!
//! Why it exists: OpenClaw refuses symlinked workspace files and goes deaf on a ConfigMap mount after a swap
//! or two, while a regular file that is replaced by rename is seen every time.
//!
//! A *pass* reads the mounts ([`mount`]), puts together a coherent [`bundle`], decides what to do ([`plan`]),
//! does it ([`deliver`]) and reports ([`status`]). `names`, `manifest`, `bundle`, `record`, `plan` and
//! `status` are pure; the other modules do I/O. [`seed`], [`skills`] and [`run`] are the commands of a Pod's
//! containers; [`probe`] asks `run` for its health.

pub mod bundle;
pub mod cli;
pub mod deliver;
pub mod dir;
pub mod http;
pub mod install;
pub mod manifest;
pub mod mount;
pub mod names;
pub mod plan;
pub mod probe;
pub mod record;
pub mod run;
pub mod seed;
pub mod skills;
pub mod status;
pub mod watch;
