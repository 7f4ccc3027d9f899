//! What the conditions of the tests' objects must be.

use kr8tiv_e2e::conditions::Expected;

pub const COMPILED: Expected<'_> =
    ("Compiled", "True", "Succeeded", "the Tenant, its Harness and its Agents make a valid configuration");
pub const GATEWAY_UP: Expected<'_> = ("GatewayReady", "True", "Serving", "the gateway is up");
pub const NO_GATEWAY: Expected<'_> =
    ("GatewayReady", "False", "Starting", "the gateway has not been created");

const APPLIED: Expected<'_> =
    ("ConfigApplied", "True", "Succeeded", "the running gateway has the current configuration");
const ENFORCED: Expected<'_> = (
    "PolicyEnforced",
    "True",
    "Succeeded",
    "the gateway's configuration and the operator's files in it are as compiled",
);
const WATCHED: Expected<'_> = ("WatchdogHealthy", "True", "Succeeded", "the watchdog answers");

/// A tenant whose sandbox can be logged in to.
pub const SANDBOX_UP: Expected<'_> =
    ("SandboxReady", "True", "Succeeded", "the gateway can log in to the sandbox and run commands in it");
/// A tenant whose sandbox has not been there yet.
pub const SANDBOX_STARTING: Expected<'_> = ("SandboxReady", "Unknown", "Starting", "the sandbox is starting");

/// A tenant whose gateway serves.
pub const SERVING: [Expected<'_>; 7] = [
    ("Ready", "True", "Serving", "the gateway serves the current configuration"),
    COMPILED,
    GATEWAY_UP,
    APPLIED,
    ENFORCED,
    WATCHED,
    SANDBOX_UP,
];

const NOT_ALL_APPLIED: &str = "not all that is asked for is applied, see Ready";
const NONE_APPLIED: &str =
    "what is asked for is not applied, see Ready; the gateway goes on with the last good configuration";
const NOT_APPLIED: &str = "the gateway has not taken over the current configuration yet";
const STARTING_MESSAGE: &str = "the gateway is starting";
/// A tenant whose Pod waits for a node.
pub const STARTING: [Expected<'_>; 8] = [
    ("Ready", "False", "Starting", STARTING_MESSAGE),
    COMPILED,
    ("GatewayReady", "False", "Starting", STARTING_MESSAGE),
    ("Reconciling", "True", "Starting", STARTING_MESSAGE),
    ("ConfigApplied", "Unknown", "Starting", NOT_APPLIED),
    ("PolicyEnforced", "Unknown", "Starting", NOT_APPLIED),
    ("WatchdogHealthy", "Unknown", "Starting", "the watchdog has not answered yet"),
    SANDBOX_STARTING,
];

/// A tenant that does not compile, and whose gateway is as given.
pub fn not_compiled<'a>(
    reason: &'a str,
    message: &'a str,
    progress: &'a str,
    gateway: Expected<'a>,
) -> Vec<Expected<'a>> {
    let mut expected = vec![
        ("Ready", "False", reason, message),
        ("Compiled", "False", reason, message),
        gateway,
        (progress, "True", reason, message),
    ];
    expected.extend(known_of(gateway, reason, NONE_APPLIED));
    expected
}

/// What is known of a gateway that goes on with what it has.
fn known_of<'a>(gateway: Expected<'_>, reason: &'a str, message: &'static str) -> Vec<Expected<'a>> {
    if gateway != GATEWAY_UP {
        return Vec::new();
    }
    let not_applied = |condition| (condition, "False", reason, message);
    vec![not_applied("ConfigApplied"), not_applied("PolicyEnforced"), WATCHED, SANDBOX_UP]
}

/// A tenant that compiles and lacks a Secret.
pub fn no_secret<'a>(message: &'a str, gateway: Expected<'a>) -> Vec<Expected<'a>> {
    let reason = "SecretNotFound";
    let mut expected = vec![
        ("Ready", "False", reason, message),
        COMPILED,
        gateway,
        ("Reconciling", "True", reason, message),
    ];
    expected.extend(known_of(gateway, reason, NOT_ALL_APPLIED));
    expected
}
