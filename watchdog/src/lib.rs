//! The watchdog of a tenant: delivers the compiled bundle to the gateway beside it as regular files, watches the gateway,
//! and tells webhooks whether it is alive.
//!
//! Why it delivers: OpenClaw refuses symlinked workspace files and goes deaf on a ConfigMap mount after a swap
//! or two, while a regular file that is replaced by rename is seen every time.
//!
//! A *pass* reads the mounts ([`mount`]), puts together a coherent [`bundle`], decides what to do ([`plan`]),
//! does it ([`deliver`]) and reports ([`status`]). A *round* asks the gateway ([`gateway`]), judges the answers
//! ([`judge`]), reports ([`gateway_status`], [`metrics`]) and has webhooks told ([`webhook`]). Beside it, the places are probed where the
//! tools of agents run ([`sandbox`]). `names`, `manifest`,
//! `bundle`, `record`, `plan`, `settings`, `secret`, `judge` and what reports are pure; the other modules do I/O.
//! [`seed`], [`skills`] and [`run`] are the commands of a Pod's containers; [`probe`] asks `run` for its health.

pub mod bundle;
pub mod cli;
pub mod clock;
pub mod deliver;
pub mod dir;
pub mod environment;
pub mod exchange;
pub mod gateway;
pub mod gateway_status;
pub mod guard;
pub mod http;
pub mod incident_file;
pub mod install;
pub mod judge;
pub mod local;
pub mod manifest;
pub mod metrics;
pub mod mount;
pub mod names;
pub mod plan;
pub mod probe;
pub mod record;
pub mod run;
pub mod sandbox;
pub mod secret;
pub mod seed;
pub mod seen;
pub mod settings;
pub mod skills;
pub mod status;
pub mod supervise;
pub mod tell;
pub mod volume;
pub mod watch;
pub mod webhook;
