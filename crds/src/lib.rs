//! The API of the kr8tiv operator: the types behind `kr8tiv.ai/v1alpha1`. No I/O, no logic beyond the schema.
//!
//! A [`Harness`] says how agents may behave, a [`Tenant`] is one trust boundary with one OpenClaw gateway, an
//! [`Agent`] lives in a tenant's gateway. The manifests in `crds/yaml/` are generated from these types; a test
//! holds the two together.

pub mod agent;
pub mod channels;
pub mod coordination;
pub mod definitions;
pub mod duration;
pub mod harness;
pub mod ingress;
pub mod memory;
pub mod meta;
pub mod network;
pub mod operation;
pub mod pod_template;
pub mod quantity;
pub mod reference;
pub mod sandbox;
pub mod sharing;
pub mod skills;
pub mod status;
pub mod tenant;
pub mod tools;
pub mod watchdog;

pub use agent::{Agent, AgentSpec, AgentStatus};
pub use harness::{Harness, HarnessSpec, HarnessStatus};
pub use quantity::Quantity;
pub use tenant::{Tenant, TenantSpec, TenantStatus};

/// API group of every kind in this crate.
pub const GROUP: &str = "kr8tiv.ai";
/// API version of every kind in this crate.
pub const VERSION: &str = "v1alpha1";
