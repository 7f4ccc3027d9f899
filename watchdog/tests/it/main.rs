//! Integration tests: real directories that change as kubelet changes ConfigMap mounts, and the real binary.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions only, not what they stand on")]

mod attacks;
mod delivery;
mod fake_gateway;
mod fake_sandbox;
mod http;
mod memory;
mod process;
mod real_gateway;
mod real_skills;
mod receiver;
mod sandboxes;
mod skills;
mod skills_attacks;
mod support;
mod watching;
mod webhooks;
mod webhooks_restart;
