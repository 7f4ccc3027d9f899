//! Labels and annotations that the operator puts on objects. Constants only.

/// Who applies the object; its value is always [`MANAGED_BY_VALUE`]. Every watch of children selects on it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "kr8tiv-operator";
/// The application an object belongs to; its value is [`NAME_VALUE`].
pub const NAME: &str = "app.kubernetes.io/name";
/// Value of [`NAME`].
pub const NAME_VALUE: &str = "openclaw";
/// The name of the Tenant, as the instance of the application.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// What the object is within the tenant: [`GATEWAY`], [`SANDBOX`] or `workspace`.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Value of [`COMPONENT`]: the gateway and what belongs to it.
pub const GATEWAY: &str = "gateway";
/// Value of [`COMPONENT`]: a sandbox and what belongs to it.
pub const SANDBOX: &str = "sandbox";

/// Label: the name of the Tenant that an object belongs to.
pub const TENANT: &str = "kr8tiv.ai/tenant";
/// Label: the tenant id (`<slug>-<8 hex>`), unique in the cluster.
pub const TENANT_ID: &str = "kr8tiv.ai/tenant-id";
/// Label: the OpenClaw id of the agent whose workspace an object holds.
pub const AGENT_ID: &str = "kr8tiv.ai/agent-id";
/// Label of a Pod: the sandbox that it is, by the name of its StatefulSet.
pub const SANDBOX_NAME: &str = "kr8tiv.ai/sandbox";
/// Label of a StatefulSet: how early its gateway gets new releases, from the Harness's `updates.channel`.
pub const UPDATE_CHANNEL: &str = "kr8tiv.ai/update-channel";
/// Annotation of a StatefulSet: when its gateway may be updated, `<cron schedule> <time zone> <duration>`, from the
/// Harness's `updates.window`.
pub const UPDATE_WINDOW: &str = "kr8tiv.ai/update-window";

/// Annotation that users put on a Tenant: any new value has the images that could not be pulled, of skill packs and of
/// channels' plugins, tried again, which restarts the gateway.
pub const RETRY_IMAGES: &str = "kr8tiv.ai/retry-images";

/// Annotation that users put on a Tenant: any new value has the gateway's token made anew, which restarts the gateway
/// once. The operator notes the value on the Secret with the token, and on the Pod.
pub const ROTATE_TOKEN: &str = "kr8tiv.ai/rotate-token";

/// Annotation that users put on a Tenant: any new value has the keys of its sandboxes made anew, which restarts the
/// sandboxes and not the gateway. The operator notes the value on the Secrets with the keys.
pub const ROTATE_SANDBOX_KEYS: &str = "kr8tiv.ai/rotate-sandbox-keys";
/// Annotation of a sandbox's Pod, and of the gateway's: which keys it should have. A new value on a sandbox's Pod is
/// another Pod; one on the gateway's makes kubelet refresh the mounted Secrets at once.
pub const SANDBOX_KEYS: &str = "kr8tiv.ai/sandbox-keys";

/// Annotation on every applied object: the hash of what was applied. Equal means nothing to do.
pub const APPLIED_HASH: &str = "kr8tiv.ai/applied-hash";
/// Annotation patched onto the running Pod: the bundle it should serve. The patch makes kubelet refresh the
/// mounted ConfigMaps at once (0.5 s instead of 65–84 s).
pub const BUNDLE_HASH: &str = "kr8tiv.ai/bundle-hash";
