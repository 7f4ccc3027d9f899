//! Integration tests: real directories that change as kubelet changes ConfigMap mounts, and the real binary.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions only, not what they stand on")]

mod attacks;
mod delivery;
mod fake_gateway;
mod http;
mod memory;
mod process;
mod real_gateway;
mod real_skills;
mod receiver;
mod skills;
mod skills_attacks;
mod support;
mod watching;
mod webhooks;
