//! Fourth stage: the files and objects are written. Pure.

pub(crate) mod channels;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod markdown;
pub(crate) mod object_names;
pub(crate) mod objects;
pub(crate) mod plugins;
mod pod;
pub use pod::WATCHDOG_PORT;
pub(crate) mod workspace;
