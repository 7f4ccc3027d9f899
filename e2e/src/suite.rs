//! Runs tests against one cluster: some side by side, some alone. I/O: the terminal.
//!
//! A test binary of its own instead of `#[test]` functions, because all tests share an operator process that must be
//! stopped at the end, and because figures are printed whether tests pass or not.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Handle;

use crate::{Outcome, figure_seconds, print_figures};

/// Tests side by side. They mostly wait, so more than there are processors.
const SIDE_BY_SIDE: usize = 6;

/// A list of tests over a shared context.
pub struct Suite<C> {
    handle: Handle,
    context: Arc<C>,
    trials: Vec<Trial>,
}

impl<C: Send + Sync + 'static> Suite<C> {
    /// An empty list.
    pub fn new(handle: Handle, context: Arc<C>) -> Self {
        Self { handle, context, trials: Vec::new() }
    }

    /// Adds a test.
    #[must_use]
    pub fn test(
        mut self,
        name: &'static str,
        body: impl AsyncFnOnce(&C) -> Outcome + Send + 'static,
    ) -> Self {
        let (handle, context) = (self.handle.clone(), Arc::clone(&self.context));
        self.trials.push(Trial::test(name, move || {
            let started = Instant::now();
            let outcome = handle.block_on(body(&context));
            figure_seconds(&format!("test.{name}"), started.elapsed());
            outcome.map_err(|error| Failed::from(error.to_string()))
        }));
        self
    }

    /// Runs the tests side by side; true when none failed.
    pub fn run_side_by_side(self, arguments: &Arguments) -> bool {
        self.run(arguments, SIDE_BY_SIDE)
    }

    /// Runs two tests at a time, in the order in which they were added; true when none failed.
    pub fn run_by_twos(self, arguments: &Arguments) -> bool {
        self.run(arguments, 2)
    }

    /// Runs the tests one after the other, in the order in which they were added; true when none failed.
    pub fn run_in_order(self, arguments: &Arguments) -> bool {
        self.run(arguments, 1)
    }

    fn run(self, arguments: &Arguments, threads: usize) -> bool {
        let mut arguments = arguments.clone();
        arguments.test_threads = Some(arguments.test_threads.unwrap_or(threads).min(threads));
        !libtest_mimic::run(&arguments, self.trials).has_failed()
    }
}

/// Prints the figures and gives the exit code of a test binary.
pub fn finish(passed: bool) -> ExitCode {
    print_figures();
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
