//! Requests to where nobody should be led: metadata services, the node, the cluster, by webhooks of a Tenant and by the
//! Supermemory of a Harness, in every way in which an address can be written.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kr8tiv_crds::{Harness, Tenant};
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::NODE_ADDRESS;
use kr8tiv_e2e::conditions::condition;
use kr8tiv_e2e::manifests::secret;
use kr8tiv_e2e::scope::SOON;
use kr8tiv_supermemory::stub::{Fault, Stub};
use serde_json::json;
use tokio::net::TcpListener;

use super::policy;
use super::world::{World, acme, concierge};
use super::{Actor, Attack, attack, tried};
use crate::context::{CANARY, Context};
use crate::neighbour::Neighbour;

/// What the compiler warns of where it can tell.
const WARNING: &str = "spec.watchdog.ownerWebhook.url: the tenant's NetworkPolicy lets nobody reach ";

/// An attack, the URL, the address that it leads to.
type Webhook = (Attack, &'static str, &'static str);

#[rustfmt::skip]
fn webhooks() -> Vec<Webhook> {
    vec![
        (attack!("webhook-metadata", TenantAdmin, "has a webhook sent to the metadata service", Policy, "169.254.169.254 on port 80"),
            "http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        (attack!("webhook-metadata-tls", TenantAdmin, "the same over the port that is open", Policy, "169.254.169.254 on port 443"),
            "https://169.254.169.254/", "169.254.169.254"),
        (attack!("webhook-metadata-ipv6", TenantAdmin, "writes its address of IPv6", Policy, "[fd00:ec2::254]"),
            "https://[fd00:ec2::254]/", "fd00:ec2::254"),
        (attack!("webhook-decimal", TenantAdmin, "writes it as one number", Policy, "2852039166"),
            "https://2852039166/", "169.254.169.254"),
        (attack!("webhook-hexadecimal", TenantAdmin, "writes it as a hexadecimal number", Policy, "0xa9fea9fe"),
            "https://0xa9fea9fe/", "169.254.169.254"),
        // That it is an address, only a resolver sees: the policy refuses it without a warning.
        (attack!("webhook-octal", TenantAdmin, "writes it as octal numbers", Policy, ""),
            "https://0251.0376.0251.0376/", "169.254.169.254"),
        (attack!("webhook-mapped", TenantAdmin, "writes it as an address of IPv6 that stands for one of IPv4", Policy, "[::ffff:169.254.169.254]"),
            "https://[::ffff:169.254.169.254]/", "169.254.169.254"),
        (attack!("webhook-translated", TenantAdmin, "goes through NAT64", Policy, "[64:ff9b::a9fe:a9fe]"),
            "https://[64:ff9b::a9fe:a9fe]/", "64:ff9b::a9fe:a9fe"),
        (attack!("webhook-azure", TenantAdmin, "asks Azure's platform, at an address that looks public", Policy, "168.63.129.16"),
            "https://168.63.129.16/", "168.63.129.16"),
        (attack!("webhook-service", TenantAdmin, "asks a Service of another namespace", Policy, "kubernetes.default.svc on port 443"),
            "https://kubernetes.default.svc/", "198.19.0.1"),
    ]
}

#[rustfmt::skip]
fn memories() -> Vec<(Attack, &'static str)> {
    vec![
        (attack!("memory-metadata", TenantAdmin, "has the operator ask the metadata service", Address, "169.254.169.254"), "http://169.254.169.254"),
        (attack!("memory-metadata-ipv6", TenantAdmin, "writes its address of IPv6", Address, "[fd00:ec2::254]"), "http://[fd00:ec2::254]"),
        (attack!("memory-loopback", TenantAdmin, "has the operator ask itself", Address, "127.0.0.1"), "http://127.0.0.1:PORT"),
        (attack!("memory-localhost", TenantAdmin, "has it ask itself by name", Address, "localhost"), "http://localhost:PORT"),
        (attack!("memory-loopback-ipv6", TenantAdmin, "writes the loopback address of IPv6", Address, "[::1]"), "http://[::1]:PORT"),
        (attack!("memory-decimal", TenantAdmin, "writes it as one number", Address, "2130706433"), "http://2130706433:PORT"),
        (attack!("memory-hexadecimal", TenantAdmin, "writes it as a hexadecimal number", Address, "0x7f000001"), "http://0x7f000001:PORT"),
        (attack!("memory-octal", TenantAdmin, "writes it as octal numbers", Address, "0177.0.0.1"), "http://0177.0.0.1:PORT"),
        (attack!("memory-short", TenantAdmin, "leaves numbers out", Address, "127.1"), "http://127.1:PORT"),
        (attack!("memory-mapped", TenantAdmin, "writes it as an address of IPv6 that stands for one of IPv4", Address, "[::ffff:7f00:1]"), "http://[::ffff:7f00:1]:PORT"),
        (attack!("memory-translated", TenantAdmin, "goes through NAT64", Address, "[64:ff9b::a9fe:a9fe]"), "http://[64:ff9b::a9fe:a9fe]"),
        (attack!("memory-private", TenantAdmin, "asks a machine beside the node", Address, "198.18.255.1"), "http://198.18.255.1:PORT"),
    ]
}

/// A service that the operator may ask sends it on.
const REDIRECT: Attack = attack!(
    "memory-redirect",
    TenantAdmin,
    "sends the operator on from a server of its own",
    Address,
    "status 302"
);

/// The table without what is done.
pub fn attacks() -> Vec<Attack> {
    let webhooks = webhooks().into_iter().map(|(attack, ..)| attack);
    let memories = memories().into_iter().map(|(attack, _)| attack);
    webhooks.chain(memories).chain([REDIRECT]).collect()
}

pub async fn of_webhooks(context: &Context) -> Outcome {
    policy::check();
    let world = World::create(context, "attack-webhooks").await?;
    let neighbour = Neighbour::create(context, &world.scope).await?;
    context.until_ready(&world.scope, "acme").await?;
    for (attack, url, address) in webhooks() {
        let Attack { name, actor, says, .. } = *tried(attack.name);
        let told = acme(json!({"watchdog": {"ownerWebhook": {"url": url}}}));
        let generation = world.apply::<Tenant>(actor, &told).await?.metadata.generation;
        world
            .scope
            .until(&format!("{name} compiled"), SOON, async || {
                let tenant: Tenant = world.scope.api().get("acme").await?;
                let found = condition(&tenant, "Compiled").ok_or("no condition")?;
                let is_warned = says.is_empty() || found.message.contains(&format!("{WARNING}{says}"));
                let is_done = found.observed_generation == generation && found.status == "True" && is_warned;
                if is_done { Ok(()) } else { Err(found.message.clone().into()) }
            })
            .await?;
        let policy: NetworkPolicy = world.scope.api().get("acme-gateway").await?;
        let address: IpAddr = address.parse()?;
        for port in [80, 443, 8080] {
            assert!(!policy::lets(&policy, address, port), "{name}: {address} port {port} is let out");
        }
        assert!(policy::lets(&policy, "1.1.1.1".parse()?, 443), "{name}: nothing is let out");
    }
    neighbour.undisturbed().await?;
    world.discard().await
}

/// Counts who connects to a port of this machine, at whichever address.
struct Trap {
    port: u16,
    caught: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Outcome<Self> {
        let listener = TcpListener::bind("[::]:0").await?;
        let (port, caught) = (listener.local_addr()?.port(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&caught);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        // It does catch.
        drop(tokio::net::TcpStream::connect(("127.0.0.1", port)).await?);
        kr8tiv_e2e::wait::until("the trap to work", SOON, async || match caught.load(Ordering::SeqCst) {
            0 => Err("nobody is caught".into()),
            _ => Ok(()),
        })
        .await?;
        Ok(Self { port, caught })
    }
}

/// The operator restarts for the last row: this runs alone.
pub async fn of_memory(context: &Context) -> Outcome {
    let world = World::create(context, "attack-memory").await?;
    let scope = &world.scope;
    let neighbour = Neighbour::create(context, scope).await?;
    scope.apply::<Secret>(&secret("memory", "key", &format!("{CANARY}-memory"))).await?;
    let keyed = acme(json!({"supermemory": {"apiKeySecretRef": {"name": "memory", "key": "key"}}}));
    world.apply::<Tenant>(Actor::TenantAdmin, &keyed).await?;
    context.until_ready(scope, "acme").await?;
    let trap = Trap::set().await?;
    for (attack, url) in memories() {
        let url = url.replace("PORT", &trap.port.to_string());
        let expected = format!("the operator may not talk to the address of {};", attack.says);
        leads_to(&world, attack, &url, &expected).await?;
    }
    neighbour.undisturbed().await?;
    assert_eq!(trap.caught.load(Ordering::SeqCst), 1, "somebody besides this test was led here");

    let mut operator = context.operator.lock().await;
    operator.stop().await?;
    operator.talk_to(Some("private"));
    operator.resume().await?;
    let stub = Stub::new(&format!("{CANARY}-memory"));
    stub.set_fault(Some(Fault::Redirect));
    let listener = TcpListener::bind((NODE_ADDRESS, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(stub.clone().serve(listener));
    leads_to(&world, REDIRECT, &url, REDIRECT.says).await?;
    assert!(!stub.requests().is_empty(), "it was not asked");
    operator.stop().await?;
    operator.talk_to(None);
    operator.resume().await?;
    world.discard().await
}

async fn leads_to(world: &World, attack: Attack, url: &str, expected: &str) -> Outcome {
    tried(attack.name);
    let memory =
        json!({"enabled": true, "baseUrl": url, "queries": ["What do they like?"], "refreshInterval": "60s"});
    world.apply::<Harness>(attack.actor, &concierge(json!({"supermemory": memory}))).await?;
    world
        .scope
        .until(&format!("{}: {expected}", attack.name), SOON, async || {
            let tenant: Tenant = world.scope.api().get("acme").await?;
            let found = condition(&tenant, "MemoryHealthy").ok_or("no condition")?;
            let is_refused = found.status == "False" && found.message.contains(expected);
            if is_refused { Ok(()) } else { Err(format!("{}: {}", found.reason, found.message).into()) }
        })
        .await
}
