//! What is told when, by a clock that is a number.

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    heartbeat: Duration::from_mins(1),
    down_alert: Duration::from_mins(5),
    dedupe: Duration::from_mins(15),
};

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

fn incident(number: u64, since: u64) -> Incident {
    Incident { number, since: minutes(since), reason: Reason::GatewayUnreachable }
}

/// What is told, by minute, when each incident lasts from its minute to the other. A look each minute.
fn told(incidents: &[(Incident, u64)], until: u64, rules: &Rules) -> Vec<(u64, Alert)> {
    let mut alerts = Alerts::default();
    let mut told = Vec::new();
    for minute in 0..until {
        let open = incidents
            .iter()
            .map(|(incident, end)| (incident, minutes(*end)))
            .find(|(incident, end)| (incident.since..*end).contains(&minutes(minute)))
            .map(|(incident, _)| incident);
        let alerts = alerts.step(minutes(minute), open, open.is_none(), rules);
        told.extend(alerts.into_iter().map(|alert| (minute, alert)));
    }
    told
}

fn without_alive(told: &[(u64, Alert)]) -> Vec<(u64, Alert)> {
    told.iter().filter(|(_, alert)| *alert != Alert::Alive).copied().collect()
}

#[test]
fn alive_at_the_heartbeat_down_once_recovered_once() {
    let one = incident(1, 3);
    let told = told(&[(one, 12)], 15, &RULES);
    let expected = [
        (0, Alert::Alive),
        (1, Alert::Alive),
        (2, Alert::Alive),
        (8, Alert::Down(one)),
        (12, Alert::Recovered(one)),
        (13, Alert::Alive),
        (14, Alert::Alive),
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_incident_that_is_short_is_not_told() {
    assert!(without_alive(&told(&[(incident(1, 3), 8)], 60, &RULES)).is_empty());
}

#[test]
fn point_17_a_heartbeat_of_30_minutes_is_not_due_at_25() {
    let rules = Rules { heartbeat: minutes(30), ..RULES };
    let told: Vec<u64> = told(&[], 61, &rules).into_iter().map(|(minute, _)| minute).collect();
    assert_eq!(told, [0, 30, 60]);
    let mut alerts = Alerts::default();
    assert_eq!(alerts.step(Duration::ZERO, None, true, &rules), [Alert::Alive]);
    assert!(alerts.step(minutes(25), None, true, &rules).is_empty());
    assert_eq!(alerts.next_due(None, true, &rules), Some(minutes(30)));
}

#[test]
fn point_19_the_same_down_is_told_once_in_a_window_and_what_is_suppressed_never() {
    let (one, two) = (incident(1, 0), incident(2, 10));
    // Told at 5, so the window ends at 20. The second one is over before.
    let suppressed = without_alive(&told(&[(one, 8), (two, 19)], 60, &RULES));
    assert_eq!(suppressed, [(5, Alert::Down(one)), (8, Alert::Recovered(one))]);
    // Another reason is another alert.
    let frozen = Incident { reason: Reason::GatewayFrozen, ..two };
    let other = without_alive(&told(&[(one, 8), (frozen, 19)], 60, &RULES));
    assert_eq!(other[2..], [(15, Alert::Down(frozen)), (19, Alert::Recovered(frozen))]);
}

#[test]
fn point_19_what_is_suppressed_does_not_prolong_the_window() {
    // As the replaced system had it, the incidents at 10 and 16 would have kept the window open for ever.
    let incidents =
        [(incident(1, 0), 8), (incident(2, 10), 16), (incident(3, 16), 19), (incident(4, 22), 30)];
    let told = without_alive(&told(&incidents, 60, &RULES));
    let last = incidents[3].0;
    assert_eq!(told[2..], [(27, Alert::Down(last)), (30, Alert::Recovered(last))]);
}

#[test]
fn point_19_an_incident_that_lasts_longer_than_the_window_is_told() {
    let (one, two) = (incident(1, 0), incident(2, 10));
    let told = without_alive(&told(&[(one, 8), (two, 50)], 60, &RULES));
    assert_eq!(told[2..], [(20, Alert::Down(two)), (50, Alert::Recovered(two))]);
}

#[test]
fn late_looks_do_not_cause_a_burst_of_alives() {
    let mut alerts = Alerts::default();
    alerts.step(Duration::ZERO, None, true, &RULES);
    assert_eq!(alerts.step(minutes(100), None, true, &RULES), [Alert::Alive]);
    assert!(alerts.step(minutes(100) + Duration::from_secs(1), None, true, &RULES).is_empty());
}

#[test]
fn another_heartbeat_counts_at_once() {
    let rarely = Rules { heartbeat: minutes(60), ..RULES };
    let mut alerts = Alerts::default();
    assert_eq!(alerts.step(Duration::ZERO, None, true, &rarely), [Alert::Alive]);
    assert_eq!(alerts.next_due(None, true, &RULES), Some(minutes(1)));
    assert_eq!(alerts.step(minutes(1), None, true, &RULES), [Alert::Alive]);
    assert_eq!(alerts.next_due(None, true, &rarely), Some(minutes(61)));
    assert!(alerts.step(minutes(60), None, true, &rarely).is_empty());
}

proptest! {
    #[test]
    fn no_storm_no_missed_down_and_one_recovered_for_each(
        lengths in prop::collection::vec((1_u64..40, 1_u64..40), 1..12),
    ) {
        let mut incidents = Vec::new();
        let mut minute = 0;
        for (number, (service, outage)) in (1..).zip(lengths) {
            minute += service;
            incidents.push((incident(number, minute), minute + outage));
            minute += outage;
        }
        let all = told(&incidents, minute + 5, &RULES);
        let alive = all.iter().filter(|(_, alert)| *alert == Alert::Alive).count();
        prop_assert!(u64::try_from(alive).unwrap() <= minute + 5);
        let told = without_alive(&all);
        let mut last_down = None;
        for pair in told.chunks(2) {
            let [(down_at, Alert::Down(down)), (up_at, Alert::Recovered(up))] = pair else {
                return Err(TestCaseError::fail(format!("{told:?}")));
            };
            prop_assert_eq!(down, up);
            prop_assert!(down_at < up_at);
            prop_assert!(last_down.is_none_or(|last| down_at - last >= 15));
            last_down = Some(*down_at);
        }
        for (incident, end) in &incidents {
            let long = minutes(*end) > incident.since + minutes(20);
            let is_told = told.iter().any(|(_, alert)| *alert == Alert::Down(*incident));
            prop_assert!(is_told || !long, "{:?} is missed in {:?}", incident, told);
        }
    }
}

#[test]
fn an_incident_of_before_the_start_is_not_told_again_and_is_over_when_the_gateway_serves() {
    let before = incident(0, 1);
    let mut alerts = Alerts::default();
    alerts.restore(Announced { incident: before, told: minutes(6), over: false });
    assert_eq!(alerts.step(minutes(10), None, false, &RULES), [], "it starts");
    let goes_on = incident(1, 11);
    assert_eq!(
        alerts.step(minutes(40), Some(&goes_on), false, &RULES),
        [],
        "the same one, for whoever is told"
    );
    let over = alerts.step(minutes(41), None, true, &RULES);
    assert_eq!(over, [Alert::Recovered(before)]);
    assert_eq!(alerts.open(), None);
}

#[test]
fn an_incident_that_was_over_before_the_start_is_not_the_one_that_begins() {
    let before = incident(0, 1);
    let restored = || {
        let mut alerts = Alerts::default();
        alerts.restore(Announced { incident: before, told: minutes(6), over: true });
        alerts
    };
    let mut alerts = restored();
    assert_eq!(alerts.step(minutes(10), None, false, &RULES), [], "it starts");
    assert_eq!(alerts.open(), None, "nobody is told *down* of it any more");
    let next = incident(1, 11);
    assert_eq!(alerts.step(minutes(20), Some(&next), false, &RULES), [], "the window of 15 minutes");
    assert_eq!(alerts.next_due(Some(&next), false, &RULES), Some(minutes(21)));
    assert_eq!(alerts.step(minutes(21), Some(&next), false, &RULES), [Alert::Down(next)]);
    assert_eq!(alerts.step(minutes(30), None, true, &RULES), [Alert::Recovered(next)]);

    let mut alerts = restored();
    assert_eq!(alerts.step(minutes(10), None, true, &RULES), [Alert::Recovered(before)]);
    assert_eq!(alerts.step(minutes(11), None, true, &RULES), [Alert::Alive]);
}

#[test]
fn the_window_of_a_down_before_the_start_begins_when_it_was_told() {
    let mut alerts = Alerts::default();
    alerts.restore(Announced { incident: incident(0, 0), told: minutes(5), over: false });
    alerts.step(minutes(8), None, true, &RULES);
    let next = incident(1, 9);
    assert_eq!(alerts.step(minutes(19), Some(&next), false, &RULES), []);
    assert_eq!(alerts.step(minutes(20), Some(&next), false, &RULES), [Alert::Down(next)]);
}
