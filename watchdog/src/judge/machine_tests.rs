//! The state machine by tables and by properties. Time is a number here.

use proptest::prelude::*;

use super::*;
use crate::judge::reason::Rounds;

const UP: Result<Phase, Failure> = Ok(Phase::Started);
const STARTING: Result<Phase, Failure> = Ok(Phase::Starting);
const DRAINING: Result<Phase, Failure> = Ok(Phase::Draining);
const GONE: Result<Phase, Failure> = Err(Failure::Unreachable);
const FROZEN: Result<Phase, Failure> = Err(Failure::Frozen);

/// A machine that is given a round every ten seconds.
struct Case {
    machine: Machine,
    now: Duration,
}

impl Case {
    fn new() -> Self {
        Self { machine: Machine::new(Thresholds::default(), Duration::ZERO), now: Duration::ZERO }
    }

    fn round(&mut self, contact: Result<Phase, Failure>, symptoms: &[(Reason, bool)]) -> Vec<Event> {
        self.now += Duration::from_secs(10);
        let observation = Observation { contact, symptoms: symptoms.iter().copied().collect() };
        self.machine.step(self.now, &observation)
    }

    fn rounds(&mut self, contacts: &[Result<Phase, Failure>]) -> Vec<Event> {
        contacts.iter().flat_map(|contact| self.round(*contact, &[])).collect()
    }

    /// The state after each round.
    fn states(&mut self, contacts: &[Result<Phase, Failure>]) -> Vec<State> {
        let states = contacts.iter().map(|contact| {
            self.round(*contact, &[]);
            self.machine.state()
        });
        states.collect()
    }
}

#[test]
fn states_follow_the_gateway() {
    use State::{Alive, Down, Draining, Starting};
    for (what, contacts, expected) in [
        ("a start", vec![GONE, FROZEN, STARTING, UP, UP], vec![Starting, Starting, Starting, Alive, Alive]),
        ("two silent rounds are none", vec![UP, GONE, GONE, UP], vec![Alive, Alive, Alive, Alive]),
        ("a crash", vec![UP, GONE, GONE, GONE, GONE], vec![Alive, Alive, Alive, Down, Down]),
        ("a freeze", vec![UP, FROZEN, FROZEN, FROZEN], vec![Alive, Alive, Alive, Down]),
        (
            "one good answer is no recovery",
            vec![UP, GONE, GONE, GONE, UP, GONE, UP, UP],
            vec![Alive, Alive, Alive, Down, Down, Down, Down, Alive],
        ),
        (
            "a crash loop is one incident",
            vec![UP, GONE, GONE, GONE, STARTING, GONE, STARTING, UP, UP],
            vec![Alive, Alive, Alive, Down, Down, Down, Down, Down, Alive],
        ),
        ("a restart", vec![UP, STARTING, UP], vec![Alive, Starting, Alive]),
        (
            "a drain and a restart",
            vec![UP, DRAINING, DRAINING, GONE, GONE, GONE, STARTING, UP],
            vec![Alive, Draining, Draining, Draining, Draining, Starting, Starting, Alive],
        ),
    ] {
        assert_eq!(Case::new().states(&contacts), expected, "{what}");
    }
}

#[test]
fn an_incident_begins_with_the_first_failed_probe() {
    let mut case = Case::new();
    case.rounds(&[UP]);
    let events = case.rounds(&[GONE, FROZEN, GONE]);
    let incident = Incident { number: 1, since: Duration::from_secs(20), reason: Reason::GatewayUnreachable };
    let changed = Event::StateChanged { from: State::Alive, to: State::Down };
    assert_eq!(events, [changed, Event::IncidentOpened(incident)]);
    assert_eq!(case.machine.reasons(), [Reason::GatewayUnreachable]);
    let events = case.rounds(&[UP, UP]);
    let changed = Event::StateChanged { from: State::Down, to: State::Alive };
    assert_eq!(events, [changed, Event::IncidentClosed(incident)]);
    assert_eq!(case.machine.incident(), None);
}

#[test]
fn quick_failures_within_a_restart_in_place_are_no_incident() {
    let mut case = Case::new();
    case.rounds(&[UP]);
    for second in [11, 13, 15, 17, 19] {
        let observation = Observation { contact: GONE, symptoms: Symptoms::new() };
        assert!(case.machine.step(Duration::from_secs(second), &observation).is_empty(), "{second}");
    }
}

#[test]
fn a_start_and_a_drain_have_a_budget() {
    for (contact, reason, minutes) in [
        (STARTING, Reason::StartupTimedOut, 10),
        (GONE, Reason::GatewayUnreachable, 10),
        (FROZEN, Reason::GatewayFrozen, 10),
        (DRAINING, Reason::DrainTimedOut, 6),
    ] {
        let mut case = Case::new();
        while case.machine.state() != State::Down {
            case.round(contact, &[]);
            assert!(case.now < Duration::from_mins(minutes + 1), "{reason:?}");
        }
        assert!(case.now > Duration::from_mins(minutes), "{reason:?}");
        assert_eq!(case.machine.reasons(), [reason]);
    }
}

#[test]
fn a_reason_needs_as_many_rounds_as_it_says() {
    for reason in Reason::ALL {
        let Rounds { raise, clear } = reason.rounds();
        let mut case = Case::new();
        case.rounds(&[UP]);
        for round in 1..=raise {
            case.round(UP, &[(reason, true)]);
            let expected = if round < raise { State::Alive } else { State::Degraded };
            assert_eq!(case.machine.state(), expected, "{reason:?} {round}");
        }
        case.round(UP, &[]);
        assert_eq!(case.machine.reasons(), [reason], "what is unknown stays as it was");
        for round in 1..=clear {
            case.round(UP, &[(reason, false)]);
            let expected = if round < clear { State::Degraded } else { State::Alive };
            assert_eq!(case.machine.state(), expected, "{reason:?} {round}");
        }
    }
}

#[test]
fn what_goes_back_and_forth_does_not_flap() {
    for reason in Reason::ALL.into_iter().filter(|reason| reason.rounds().raise > 1) {
        let mut case = Case::new();
        case.rounds(&[UP]);
        for round in 0..100 {
            assert!(case.round(UP, &[(reason, round % 2 == 0)]).is_empty(), "{reason:?}");
        }
    }
}

#[test]
fn a_new_process_begins_without_the_reasons_of_the_old_one() {
    let mut case = Case::new();
    case.round(UP, &[(Reason::ConfigRejected, true), (Reason::DiskFull, true)]);
    assert_eq!(case.machine.reasons(), [Reason::ConfigRejected, Reason::DiskFull]);
    case.rounds(&[STARTING]);
    assert_eq!(case.machine.reasons(), [Reason::GatewayStarting]);
    case.rounds(&[UP]);
    assert_eq!(case.machine.state(), State::Alive);
}

#[test]
fn point_17_silence_of_people_is_not_silence_of_the_gateway() {
    // Nobody wrote, and no agent's own heartbeat of 30 minutes was due: 25 minutes in which only probes were answered.
    let mut case = Case::new();
    for _ in 0..150 {
        case.round(UP, &[]);
    }
    assert_eq!((case.machine.state(), case.machine.since()), (State::Alive, Duration::from_secs(10)));
}

fn contact() -> impl Strategy<Value = Result<Phase, Failure>> {
    prop_oneof![
        4 => Just(UP), 1 => Just(STARTING), 1 => Just(DRAINING), 3 => Just(GONE), 2 => Just(FROZEN),
        1 => Just(Err(Failure::Unexpected)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn incidents_open_and_close_in_turn(
        rounds in prop::collection::vec((contact(), 1_u64..60, prop::bool::ANY), 1..300),
    ) {
        let mut machine = Machine::new(Thresholds::default(), Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut open = None;
        let mut state = machine.state();
        let (mut silent, mut served) = (0, 0);
        for (contact, seconds, wrong) in rounds {
            now += Duration::from_secs(seconds);
            let symptoms = Symptoms::from([(Reason::ChannelDown, wrong)]);
            let events = machine.step(now, &Observation { contact, symptoms });
            silent = if contact.is_err() { silent + 1 } else { 0 };
            served = if contact == UP { served + 1 } else { 0 };
            prop_assert!(events.len() <= 2);
            for event in events {
                match event {
                    Event::StateChanged { from, to } => {
                        prop_assert_eq!(from, state);
                        prop_assert_ne!(from, to);
                        state = to;
                    }
                    Event::IncidentOpened(incident) => {
                        prop_assert!(open.replace(incident).is_none());
                        prop_assert!(incident.since <= now);
                    }
                    Event::IncidentClosed(incident) => prop_assert_eq!(open.take(), Some(incident)),
                }
            }
            prop_assert_eq!(state, machine.state());
            prop_assert_eq!(machine.incident().copied(), open);
            prop_assert_eq!(state == State::Down, open.is_some());
            prop_assert_eq!(machine.reasons().is_empty(), state == State::Alive);
            // No service without an answer, and none is denied that lasts.
            if served >= 2 {
                prop_assert!(state.is_serving());
            }
            if silent >= 4 {
                prop_assert!(silent < 20 || !state.is_serving());
            }
        }
    }

    /// However it got there: a gateway that stays away is down in the end, and one that serves is up.
    #[test]
    fn no_down_is_missed(before in prop::collection::vec(contact(), 0..60)) {
        for (lasting, expected) in [(GONE, true), (FROZEN, true), (STARTING, true), (DRAINING, true), (UP, false)] {
            let mut case = Case::new();
            case.rounds(&before);
            // Drained, then started, then silent: each of its budgets once.
            case.rounds(&[lasting; 130]);
            prop_assert_eq!(case.machine.state() == State::Down, expected, "{:?}", lasting);
        }
    }
}
