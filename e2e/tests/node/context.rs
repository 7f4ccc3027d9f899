//! What the tests share: the cluster, a scripted model, and gateways that the first test to need them starts.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::cluster::{Cluster, Mode, NODE_ADDRESS, repository_file};
use kr8tiv_e2e::kubectl::kubectl;
use kr8tiv_e2e::manifests::{harness, secret, tenant};
use kr8tiv_e2e::model_server::ModelServer;
use kr8tiv_e2e::scope::Scope;
use kr8tiv_e2e::{Outcome, figure_seconds};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::faults::Patient;
use crate::gateway::Gateway;
use crate::{sandbox, skills};

/// A gateway starts in half a minute on two idle cores; the rest is for a busy machine.
pub const START: Duration = Duration::from_mins(5);

/// What the tests share.
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// The model that the scripted tenant asks.
    pub model: ModelServer,
    first: OnceCell<Gateway>,
    two_agents: OnceCell<Gateway>,
    scripted: OnceCell<Gateway>,
    skilled: OnceCell<Gateway>,
    sandboxed: OnceCell<Gateway>,
    patient: OnceCell<Patient>,
    room: OnceCell<()>,
}

impl Context {
    /// Connects and starts the model.
    pub async fn create() -> Outcome<Self> {
        Ok(Self {
            cluster: Cluster::connect(&[Mode::Node]).await?,
            model: ModelServer::start().await?,
            first: OnceCell::new(),
            two_agents: OnceCell::new(),
            scripted: OnceCell::new(),
            skilled: OnceCell::new(),
            sandboxed: OnceCell::new(),
            patient: OnceCell::new(),
            room: OnceCell::new(),
        })
    }

    /// The tenant of examples/first-tenant.yaml.
    pub async fn first(&self) -> Outcome<&Gateway> {
        self.first.get_or_try_init(|| self.example("first-tenant", "acme")).await
    }

    /// The tenant of examples/two-agents.yaml.
    pub async fn two_agents(&self) -> Outcome<&Gateway> {
        self.two_agents.get_or_try_init(|| self.example("two-agents", "globex")).await
    }

    /// A tenant whose model is the test's own.
    pub async fn scripted(&self) -> Outcome<&Gateway> {
        self.scripted.get_or_try_init(|| self.start_scripted()).await
    }

    /// A tenant whose agents have skills.
    pub async fn skilled(&self) -> Outcome<&Gateway> {
        self.skilled.get_or_try_init(|| skills::start(self)).await
    }

    /// A tenant whose agent may run commands.
    pub async fn sandboxed(&self) -> Outcome<&Gateway> {
        self.sandboxed.get_or_try_init(|| sandbox::start(self)).await
    }

    /// A tenant to whose gateway things happen.
    pub async fn patient(&self) -> Outcome<&Patient> {
        self.patient.get_or_try_init(|| Patient::start(self)).await
    }

    /// Has the gateways deleted which no test asks for after the first fault: a node with two processors does not take those
    /// of the faults beside them.
    pub async fn make_room(&self) -> Outcome {
        let delete = async || {
            let gateways = [&self.first, &self.two_agents, &self.skilled, &self.sandboxed];
            for gateway in gateways.into_iter().filter_map(OnceCell::get) {
                gateway.scope.clone().discard().await?;
            }
            Ok(())
        };
        self.room.get_or_try_init(delete).await.copied()
    }

    /// The Harness of the scripted tenant.
    pub fn scripted_harness(&self) -> Value {
        let mut object = harness("scripted");
        object["spec"]["models"] = self.model.models();
        object
    }

    async fn example(&self, name: &str, tenant: &str) -> Outcome<Gateway> {
        let scope = Scope::create(&self.cluster, name).await?;
        let path = repository_file(&format!("examples/{name}.yaml"));
        let path = path.to_str().ok_or("a path that is no text")?;
        let started = Instant::now();
        kubectl(&["apply", "--server-side", "--validate=strict", "-n", &scope.namespace, "-f", path]).await?;
        scope.until_ready::<Tenant>(tenant, START).await?;
        figure_seconds(&format!("{name}.ready"), started.elapsed());
        Ok(Gateway::new(scope, tenant))
    }

    async fn start_scripted(&self) -> Outcome<Gateway> {
        let scope = Scope::create(&self.cluster, "scripted").await?;
        scope.apply::<Secret>(&secret("keys", "house", "a-key-for-the-scripted-model")).await?;
        scope.apply::<Harness>(&self.scripted_harness()).await?;
        let mut object = tenant("house", "scripted");
        object["spec"]["modelCredentials"] =
            json!([{"provider": "house", "apiKeySecretRef": {"name": "keys", "key": "house"}}]);
        // The model is neither public nor on port 443.
        object["spec"]["network"] = json!({"egress": [{"cidr": format!("{NODE_ADDRESS}/32")}]});
        let started = Instant::now();
        scope.apply::<Tenant>(&object).await?;
        scope.until_ready::<Tenant>("house", START).await?;
        figure_seconds("scripted-tenant.ready", started.elapsed());
        Ok(Gateway::new(scope, "house"))
    }
}
