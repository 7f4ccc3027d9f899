//! What the tests share: the cluster, a scripted model, and gateways that the first test to need them starts.

use std::error::Error;
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
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::faults::Patient;
use crate::gateway::Gateway;
use crate::{sandbox, skills};

/// A gateway starts in half a minute on two idle cores; the rest is for a busy machine.
pub const START: Duration = Duration::from_mins(5);

/// Name of the Harness of each tenant whose model is the test's own.
pub const HARNESS: &str = "scripted";
/// The key with which its gateway asks the model.
pub const MODEL_KEY: &str = "a-key-for-the-scripted-model";

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
    patient: OnceCell<Mutex<Patient>>,
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

    /// A tenant to whose gateway things happen, one after the other.
    pub async fn patient(&self) -> Outcome<MutexGuard<'_, Patient>> {
        let start = async || Ok::<_, Box<dyn Error + Send + Sync>>(Mutex::new(Patient::start(self).await?));
        Ok(self.patient.get_or_try_init(start).await?.lock().await)
    }

    /// The gateways that tests have started so far, but for those to which things happen.
    pub fn started(&self) -> impl Iterator<Item = &Gateway> {
        let all = [&self.first, &self.two_agents, &self.scripted, &self.skilled, &self.sandboxed];
        all.into_iter().filter_map(OnceCell::get)
    }

    /// Has those deleted, which no test asks for after the first fault: a node with two processors does not take the
    /// gateways of the faults beside them.
    pub async fn make_room(&self) -> Outcome {
        let delete = async || {
            for gateway in self.started() {
                gateway.scope.clone().discard().await?;
            }
            Ok(())
        };
        self.room.get_or_try_init(delete).await.copied()
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

    /// Applies a tenant whose model is the test's own, with more in its Harness and its Tenant.
    pub async fn apply_scripted(
        &self,
        scope: &Scope,
        name: &str,
        more: impl FnOnce(&mut Value, &mut Value),
    ) -> Outcome {
        scope.apply::<Secret>(&secret("keys", "house", MODEL_KEY)).await?;
        let (mut harness, mut object) = (harness(HARNESS), tenant(name, HARNESS));
        harness["spec"]["models"] = self.model.models();
        object["spec"]["modelCredentials"] =
            json!([{"provider": "house", "apiKeySecretRef": {"name": "keys", "key": "house"}}]);
        // The model is neither public nor on port 443.
        object["spec"]["network"] = json!({"egress": [{"cidr": format!("{NODE_ADDRESS}/32")}]});
        more(&mut harness, &mut object);
        scope.apply::<Harness>(&harness).await?;
        scope.apply::<Tenant>(&object).await?;
        Ok(())
    }

    async fn start_scripted(&self) -> Outcome<Gateway> {
        let scope = Scope::create(&self.cluster, "scripted").await?;
        let started = Instant::now();
        self.apply_scripted(&scope, "house", |_, _| {}).await?;
        scope.until_ready::<Tenant>("house", START).await?;
        figure_seconds("scripted-tenant.ready", started.elapsed());
        Ok(Gateway::new(scope, "house"))
    }
}
