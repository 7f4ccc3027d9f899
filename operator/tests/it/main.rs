//! The operator against an API server within the process: what it asks for, what it writes, and what it says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy exempts test functions only, not what they stand on"
)]

mod fake;
mod world;

mod command_line;
mod costs;
mod crashes;
mod dependants;
mod election;
mod events;
mod faults;
mod gateway;
mod health;
mod kinds;
mod memory;
mod memory_life;
mod minted;
mod objects;
mod reports;
mod restored;
mod sandbox;
mod sandbox_meanwhile;
mod sharing;
mod statuses;
mod tokens;
mod wrong_inputs;
