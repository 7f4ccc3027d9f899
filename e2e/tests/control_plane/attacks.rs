//! Attacks, as data: who does what, and where it must be refused. Each table is run by the module that it is in, on the real
//! API server where Kubernetes has a part in it; nobody else's objects may change meanwhile.

mod addresses;
mod compiled;
mod deep;
mod files;
mod leftovers;
mod owned;
mod policy;
mod refused;
mod texts;
mod world;

pub use addresses::{of_memory, of_webhooks};
pub use compiled::by_compiler;
pub use deep::by_reader;
pub use files::{by_command_line, by_seed, by_settings};
pub use leftovers::{deleted, rotated};
pub use owned::by_guard;
pub use refused::by_api_server;
pub use texts::as_texts;

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Who attacks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Actor {
    /// May edit everything in one namespace (the cluster role `edit`).
    TenantAdmin,
    /// The same of another namespace than the one that is attacked.
    Neighbour,
    /// Whoever holds the identity of a gateway's Pod.
    Gateway,
    /// An agent that has been talked into it: it writes the gateway's volume.
    Agent,
    /// Writes files that somebody else reads with the command line.
    Author,
    /// Installs the operator.
    PlatformAdmin,
}

/// Where an attack ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// The API server, by the schema of the resource type.
    Schema,
    /// The API server, by a rule of the resource type.
    Rule,
    /// The API server, by RBAC.
    Rbac,
    /// The API server, by Pod Security.
    PodSecurity,
    /// The compiler: the Tenant says what is wrong, and its gateway goes on with what it has.
    Compiler,
    /// The operator: it leaves alone what is not its own.
    Guard,
    /// The compiler, which makes text of it.
    Text,
    /// The tenant's NetworkPolicy.
    Policy,
    /// The operator's own rule of addresses.
    Address,
    /// The reader of a watch or of a file, which bounds what it reads.
    Reader,
    /// The watchdog's `seed`.
    Seed,
    /// The operator's settings.
    Settings,
}

/// One attack, as a reader looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name.
    pub name: &'static str,
    /// Who.
    pub actor: Actor,
    /// Does what.
    pub action: &'static str,
    /// Where it must be refused.
    pub refused: Place,
    /// What is said, with the field where there is one. Nothing where nobody is told.
    pub says: &'static str,
}

/// All tables.
static ALL: LazyLock<Vec<Attack>> = LazyLock::new(|| {
    let tables = [
        refused::attacks(),
        compiled::attacks(),
        owned::attacks(),
        texts::attacks(),
        addresses::attacks(),
        files::attacks(),
        deep::attacks(),
        leftovers::attacks(),
    ];
    tables.concat()
});

/// The names of those that have been tried.
static TRIED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The attack of this name, which is being tried.
fn tried(name: &str) -> &'static Attack {
    let attack = ALL.iter().find(|attack| attack.name == name);
    let attack = attack.unwrap_or_else(|| panic!("no table has the attack {name}"));
    TRIED.lock().unwrap_or_else(PoisonError::into_inner).insert(attack.name);
    attack
}

/// No two are of one name, each place is among them, and in a run that leaves nothing out all of them have been tried.
pub fn listed(whole: bool) {
    for Attack { name, actor, action, refused, .. } in ALL.iter() {
        println!("attack: {name} | {actor:?} | {action} | {refused:?}");
    }
    kr8tiv_e2e::figure("attacks", ALL.len(), "attacks");
    let names: BTreeSet<&str> = ALL.iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), ALL.len(), "two attacks of one name");
    let places: BTreeSet<Place> = ALL.iter().map(|attack| attack.refused).collect();
    assert_eq!(places.len(), 12, "{places:?}");
    if whole {
        let tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<_> = names.difference(&tried).collect();
        assert!(left.is_empty(), "in a table, and not tried: {left:?}");
    }
}

/// A row of a table.
macro_rules! attack {
    ($name:literal, $actor:ident, $action:literal, $place:ident, $says:literal) => {
        $crate::attacks::Attack {
            name: $name,
            actor: $crate::attacks::Actor::$actor,
            action: $action,
            refused: $crate::attacks::Place::$place,
            says: $says,
        }
    };
}
use attack;
