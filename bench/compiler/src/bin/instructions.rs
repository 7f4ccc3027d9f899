//! Does one workload, for callgrind to count its instructions, and prints what was done as JSON:
//! `instructions --workload shared --tenants 50 MANIFEST`.
//!
//! A program of its own, because the allocator of `allocations` has instructions of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kr8tiv_bench_compiler::{Error, Fleet, Work, Workload};
use serde_json::json;

/// Does one workload, for callgrind to count its instructions.
#[derive(Parser)]
struct Options {
    /// What to do.
    #[arg(long)]
    workload: Workload,
    /// How many tenants share the harness.
    #[arg(long)]
    tenants: usize,
    /// A Harness, a Tenant and its Agents.
    manifest: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<String, Error> {
    let fleet = Fleet::read(&options.manifest, options.tenants)?;
    let work = Work::prepare(&fleet, options.workload)?;
    work.measured()?;
    Ok(json!({"workload": options.workload, "tenants": work.tenants()}).to_string())
}
