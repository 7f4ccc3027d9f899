//! What is measured, one piece of work at a time. Pure.

use std::hint::black_box;

use clap::ValueEnum;
use kr8tiv_compiler::{Bundle, Difference, Inputs, compile};
use kr8tiv_crds::{Agent, Harness, Tenant};
use serde::Serialize;

use crate::{Error, Fleet};

/// A piece of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// One tenant, the first that the process compiles: with everything that is set up only once.
    First,
    /// One tenant, compiled before.
    Again,
    /// All tenants that share the harness.
    Shared,
    /// All tenants, after an edit of the harness that they share.
    Edited,
    /// What differs between the bundles of one tenant before and after that edit.
    Difference,
}

/// Work that is prepared up to the part that counts.
#[derive(Debug)]
pub struct Work<'a> {
    fleet: &'a Fleet,
    part: Part<'a>,
}

#[derive(Debug)]
enum Part<'a> {
    Compile { harness: &'a Harness, tenants: Vec<(&'a Tenant, Vec<&'a Agent>)> },
    Compare { old: Box<Bundle>, new: Box<Bundle> },
}

impl<'a> Work<'a> {
    /// Prepares a workload. All but [`Workload::First`] compile the first tenant once before, outside of what counts.
    pub fn prepare(fleet: &'a Fleet, workload: Workload) -> Result<Self, Error> {
        let all: Vec<(&Tenant, Vec<&Agent>)> =
            fleet.tenants.iter().map(|(tenant, agents)| (tenant, agents.iter().collect())).collect();
        let one: Vec<_> = all.iter().take(1).cloned().collect();
        if workload != Workload::First {
            for (tenant, agents) in &one {
                bundle(fleet, &fleet.harness, tenant, agents)?;
            }
        }
        let part = match workload {
            Workload::First | Workload::Again => Part::Compile { harness: &fleet.harness, tenants: one },
            Workload::Shared => Part::Compile { harness: &fleet.harness, tenants: all },
            Workload::Edited => Part::Compile { harness: &fleet.edited, tenants: all },
            Workload::Difference => {
                let (tenant, agents) = one.first().ok_or(Error::Missing("Tenant"))?;
                let old = bundle(fleet, &fleet.harness, tenant, agents)?;
                let new = bundle(fleet, &fleet.edited, tenant, agents)?;
                if Difference::between(Some(&old), &new).config.is_empty() {
                    return Err(Error::SameBundle);
                }
                Part::Compare { old: Box::new(old), new: Box::new(new) }
            }
        };
        Ok(Self { fleet, part })
    }

    /// How many tenants the work is about.
    pub fn tenants(&self) -> usize {
        match &self.part {
            Part::Compile { tenants, .. } => tenants.len(),
            Part::Compare { .. } => 1,
        }
    }

    /// The part that counts. Each bundle is dropped before the next tenant's turn, as the operator does.
    ///
    /// `bench/run` knows this function by its name, so it must stay one in the binary, and nothing else may call it.
    #[inline(never)]
    pub fn measured(&self) -> Result<(), Error> {
        match &self.part {
            Part::Compile { harness, tenants } => {
                for (tenant, agents) in tenants {
                    black_box(bundle(self.fleet, harness, tenant, agents)?);
                }
            }
            Part::Compare { old, new } => {
                black_box(Difference::between(Some(old), new));
            }
        }
        Ok(())
    }
}

fn bundle(fleet: &Fleet, harness: &Harness, tenant: &Tenant, agents: &[&Agent]) -> Result<Bundle, Error> {
    let Fleet { platform, surroundings, .. } = fleet;
    compile(&Inputs { tenant, harness: Some(harness), agents, platform, surroundings })
        .map_err(Error::Diagnostics)
}
