//! Fourth stage: the files and objects are written. Pure.

pub(crate) mod channels;
pub(crate) mod config;
pub(crate) mod delivery;
mod ingress;
pub(crate) mod instructions;
pub(crate) mod markdown;
pub(crate) mod mission_control;
mod network;
pub(crate) mod object_names;
pub(crate) mod objects;
pub(crate) mod plugins;
mod pod;
mod pod_additions;
mod pod_parts;
pub(crate) mod raw_config;
pub(crate) mod retrieved;
pub(crate) mod sandbox;
pub(crate) mod sandbox_keys;
pub(crate) mod settings;
pub use pod::{DOWN_GRACE_SECONDS, FROZEN_SECONDS, WATCHDOG_PORT};
pub(crate) mod skill_manifest;
pub(crate) mod skills;
pub(crate) mod workspace;
