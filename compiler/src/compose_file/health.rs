//! kubelet's three probes as the one health check that Compose has. Pure.
//!
//! kubelet asks from outside; Compose runs a program in the container. So who asks depends on the image.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::document::{Healthcheck, Text};
use super::problems::Problems;

/// What kubelet takes for a setting that is not there.
const PERIOD_SECONDS: i32 = 10;
const TIMEOUT_SECONDS: i32 = 1;
const FAILURES: i32 = 3;

/// The program of the watchdog's image, which has no other.
const WATCHDOG: &str = "/kr8tiv-watchdog";

/// The health check of the container found at `at`. Healthy is who is ready, or else alive; before the time that the
/// startup probe gives has passed, no answer counts against it.
pub(super) fn healthcheck(container: &Container, at: &str, problems: &mut Problems) -> Option<Healthcheck> {
    let Container { readiness_probe, liveness_probe, startup_probe, .. } = container;
    let probes = [
        ("readinessProbe", readiness_probe),
        ("livenessProbe", liveness_probe),
        ("startupProbe", startup_probe),
    ];
    let (field, probe) = probes.into_iter().find_map(|(field, probe)| Some((field, probe.as_ref()?)))?;
    let Some(test) = test(container, probe) else {
        problems.add(format!("{at}.{field}"), "no program of the image is known that could ask");
        return None;
    };
    let period = |probe: &Probe| probe.period_seconds.unwrap_or(PERIOD_SECONDS);
    let failures = |probe: &Probe| probe.failure_threshold.unwrap_or(FAILURES);
    let start = startup_probe.as_ref();
    Some(Healthcheck {
        test,
        interval: seconds(period(probe)),
        timeout: seconds(probe.timeout_seconds.unwrap_or(TIMEOUT_SECONDS)),
        retries: failures(probe),
        start_period: start.map(|start| seconds(period(start).saturating_mul(failures(start)))),
        start_interval: start.map(|start| seconds(period(start))),
    })
}

fn test(container: &Container, probe: &Probe) -> Option<Vec<Text>> {
    let HTTPGetAction { path, port, .. } = probe.http_get.as_ref()?;
    let path = path.as_deref().unwrap_or("/");
    let port = match port {
        IntOrString::Int(port) => *port,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    let address = format!("127.0.0.1:{port}");
    let script = format!(
        "fetch('http://{address}{path}').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"
    );
    let command = match container.name.as_str() {
        "gateway" => ["CMD", "node", "-e", &script].map(Text::literal).to_vec(),
        "watchdog" => {
            ["CMD", WATCHDOG, "probe", "--address", &address, "--path", path].map(Text::literal).to_vec()
        }
        _ => return None,
    };
    Some(command)
}

fn seconds(seconds: i32) -> String {
    format!("{seconds}s")
}
