//! I/O: the time by which everything is judged: that since 1970, as it was known at the watchdog's start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Both clocks at the start. A clock of the day that is set later moves nothing: what happened keeps its time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    day: Duration,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        // A clock that is set before 1970 counts from then.
        Self { start: Instant::now(), day: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Now.
    pub fn now(&self) -> Duration {
        self.day + self.start.elapsed()
    }

    /// A time for those who wait for it; one before the start is the start.
    pub fn instant(&self, at: Duration) -> Instant {
        self.start + at.saturating_sub(self.day)
    }

    /// A time in RFC 3339 and in whole seconds.
    pub fn rfc3339(&self, at: Duration) -> String {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + at).to_string()
    }
}
