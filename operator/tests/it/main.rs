//! The operator against an API server within the process: what it asks for, what it writes, and what it says.

mod fake;
mod world;

mod dependants;
mod faults;
mod gateway;
mod objects;
mod wrong_inputs;
