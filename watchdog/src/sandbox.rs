//! Whether the places work where the tools of agents run: sshd in Pods of their own. OpenClaw itself does not say so: a
//! tool that fails there is an answer to the model, and the gateway stays ready.
//!
//! [`target`] is input and [`reason`] the judgement, both pure, as is [`known_hosts`]; [`ssh`] makes one attempt, and
//! [`watch`] makes them for ever. What is found never changes the gateway's state.

pub mod known_hosts;
pub mod reason;
pub mod ssh;
pub mod target;
pub mod watch;
