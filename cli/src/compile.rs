//! `compile`: one tenant of the files becomes a bundle. Pure.

use kr8tiv_compiler::{Bundle, Platform};
use kr8tiv_crds::Tenant;

use crate::args::TenantArguments;
use crate::input::{Input, Read};
use crate::problem::{Problem, Severity};
use crate::tenants::{self, Parts};

/// What came of it.
#[derive(Debug)]
pub enum Compiled {
    /// The bundle, and its warnings.
    Bundle(Box<Bundle>, Vec<Problem>),
    /// The problems that keep it from being compiled.
    Problems(Vec<Problem>),
}

/// Why it is not known which tenant to compile, or as what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files hold no tenant of the name, or none at all.
    #[error("there is no Tenant {wanted}among the files; {}", known(.tenants))]
    NoTenant {
        /// The name that was asked for, and a space; or nothing.
        wanted: String,
        /// The tenants that there are.
        tenants: Vec<String>,
    },
    /// The files hold several tenants.
    #[error("the files hold several Tenants; name one with --tenant: {}", .tenants.join(", "))]
    SeveralTenants {
        /// The tenants that there are.
        tenants: Vec<String>,
    },
    /// The tenant has another id.
    #[error("Tenant {tenant} has the id {id} already; leave out --tenant-id")]
    OtherId {
        /// The tenant.
        tenant: String,
        /// Its id.
        id: String,
    },
    /// The tenant has another uid.
    #[error("Tenant {tenant} has the uid {uid} already; leave out --uid")]
    OtherUid {
        /// The tenant.
        tenant: String,
        /// Its uid.
        uid: String,
    },
}

fn known(tenants: &[String]) -> String {
    if tenants.is_empty() {
        "add its file with -f".into()
    } else {
        format!("there are: {}", tenants.join(", "))
    }
}

/// Compiles the tenant that the arguments name.
pub fn compile(input: &Input, arguments: &TenantArguments, platform: &Platform) -> Result<Compiled, Error> {
    let read = match chosen(input, arguments.tenant.as_deref()) {
        // It may be in what could not be read.
        Err(Error::NoTenant { .. }) if input.is_incomplete => {
            return Ok(Compiled::Problems(input.problems.clone()));
        }
        chosen => chosen?,
    };
    let Some(parts) = Parts::of(input, read) else { return Ok(Compiled::Problems(input.problems.clone())) };
    let tenant = identified(parts.tenant, arguments)?;
    let parts = Parts { tenant: &tenant, ..parts };
    let own = problems_of(input, read, &parts);
    let has_errors = own.iter().any(|problem| problem.severity == Severity::Error);
    Ok(match parts.compile(platform) {
        Ok(bundle) if !has_errors => {
            let warnings = tenants::problems(input, &tenant, &bundle.warnings);
            Compiled::Bundle(Box::new(bundle), own.into_iter().chain(warnings).collect())
        }
        Ok(_) => Compiled::Problems(own),
        Err(diagnostics) => {
            let found = tenants::problems(input, &tenant, &diagnostics);
            Compiled::Problems(own.into_iter().chain(found.into_iter().map(with_flags)).collect())
        }
    })
}

fn chosen<'a>(input: &'a Input, name: Option<&str>) -> Result<&'a Read<Tenant>, Error> {
    let tenants = &input.objects.tenants;
    let names =
        || tenants.iter().map(|tenant| format!("{}/{}", tenant.id.namespace, tenant.id.name)).collect();
    let is_wanted = |tenant: &&Read<Tenant>| match name {
        None => true,
        Some(name) => match name.split_once('/') {
            Some((namespace, name)) => tenant.id.namespace == namespace && tenant.id.name == name,
            None => tenant.id.name == name,
        },
    };
    let found: Vec<_> = tenants.iter().filter(is_wanted).collect();
    match found.as_slice() {
        [tenant] => Ok(tenant),
        [] => Err(Error::NoTenant {
            wanted: name.map(|name| format!("{name} ")).unwrap_or_default(),
            tenants: names(),
        }),
        _ => Err(Error::SeveralTenants { tenants: names() }),
    }
}

/// The tenant with what the API server would know of it.
fn identified(tenant: &Tenant, arguments: &TenantArguments) -> Result<Tenant, Error> {
    let mut tenant = tenant.clone();
    let name = tenant.metadata.name.clone().unwrap_or_default();
    if let Some(id) = &arguments.tenant_id {
        if let Some(own) = kr8tiv_compiler::tenant_id(&tenant).filter(|own| own != id) {
            return Err(Error::OtherId { tenant: name, id: own });
        }
        tenant.spec.tenant_id = Some(id.clone());
    }
    if let Some(uid) = &arguments.uid {
        if let Some(own) = tenant.metadata.uid.clone().filter(|own| own != uid) {
            return Err(Error::OtherUid { tenant: name, uid: own });
        }
        tenant.metadata.uid = Some(uid.clone());
    }
    Ok(tenant)
}

/// The problems that the files themselves have, as far as they are this tenant's: its own, its Harness's, its Agents',
/// and those of no object.
fn problems_of(input: &Input, read: &Read<Tenant>, parts: &Parts<'_>) -> Vec<Problem> {
    let harness = tenants::harness_of(input, parts.tenant).map(|harness| &harness.id);
    let is_its = |problem: &&Problem| {
        problem.object.as_ref().is_none_or(|id| {
            let is_agent = id.kind == "Agent"
                && parts.agents.iter().any(|agent| {
                    agent.metadata.name.as_ref() == Some(&id.name) && id.namespace == read.id.namespace
                });
            *id == read.id || Some(id) == harness || is_agent
        })
    };
    input.problems.iter().filter(is_its).cloned().collect()
}

/// What can be done on the command line as well.
fn with_flags(mut problem: Problem) -> Problem {
    if problem.code == kr8tiv_compiler::Code::TenantIdUnknown.as_str() {
        problem.fix.push_str("; or give --tenant-id, or --uid with the uid that it has in the cluster");
    }
    problem
}
