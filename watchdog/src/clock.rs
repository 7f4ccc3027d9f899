//! I/O: the time since the watchdog's start, by which everything is judged, and what time of day that is.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Both clocks at the start. A clock of the day that is set later moves nothing: what happened keeps its time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    day: SystemTime,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self { start: Instant::now(), day: SystemTime::now() }
    }

    /// Since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A time since the start for those who wait for it.
    pub fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    /// A time since the start, in RFC 3339 and in whole seconds.
    pub fn rfc3339(&self, at: Duration) -> String {
        humantime::format_rfc3339_seconds(self.day + at).to_string()
    }
}
