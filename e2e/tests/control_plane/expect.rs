//! What the conditions of the tests' objects must be.

use kr8tiv_e2e::conditions::Expected;

pub const COMPILED: Expected<'_> =
    ("Compiled", "True", "Succeeded", "the Tenant, its Harness and its Agents make a valid configuration");
pub const GATEWAY_UP: Expected<'_> = ("GatewayReady", "True", "Serving", "the gateway is up");
pub const NO_GATEWAY: Expected<'_> =
    ("GatewayReady", "False", "Starting", "the gateway has not been created");

/// A tenant whose gateway serves.
pub const SERVING: [Expected<'_>; 3] =
    [("Ready", "True", "Serving", "the gateway serves the current configuration"), COMPILED, GATEWAY_UP];

const STARTING_MESSAGE: &str = "the gateway is starting";
/// A tenant whose Pod waits for a node.
pub const STARTING: [Expected<'_>; 4] = [
    ("Ready", "False", "Starting", STARTING_MESSAGE),
    COMPILED,
    ("GatewayReady", "False", "Starting", STARTING_MESSAGE),
    ("Reconciling", "True", "Starting", STARTING_MESSAGE),
];

/// A tenant that does not compile, and whose gateway is as given.
pub fn not_compiled<'a>(
    reason: &'a str,
    message: &'a str,
    progress: &'a str,
    gateway: Expected<'a>,
) -> [Expected<'a>; 4] {
    [
        ("Ready", "False", reason, message),
        ("Compiled", "False", reason, message),
        gateway,
        (progress, "True", reason, message),
    ]
}

/// A tenant that compiles and lacks a Secret.
pub fn no_secret<'a>(message: &'a str, gateway: Expected<'a>) -> [Expected<'a>; 4] {
    let reason = "SecretNotFound";
    [("Ready", "False", reason, message), COMPILED, gateway, ("Reconciling", "True", reason, message)]
}
