//! Counts the allocations of every workload and prints them as JSON: `allocations --tenants 1000 MANIFEST`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kr8tiv_bench_compiler::{Error, Fleet, Work, Workload};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Counts the allocations of every workload.
#[derive(Parser)]
struct Options {
    /// How many tenants share the harness.
    #[arg(long)]
    tenants: usize,
    /// A Harness, a Tenant and its Agents.
    manifest: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    workload: Workload,
    tenants: usize,
    /// Calls of the allocator, those that resize a block included.
    allocations: u64,
    /// What these calls asked for, added up.
    bytes: u64,
    /// The most bytes that were allocated at any one time.
    peak_bytes: usize,
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
    // In their order: the first compilation of the process has to be the first.
    let figures: Result<Vec<_>, _> =
        Workload::value_variants().iter().map(|workload| measure(&fleet, *workload)).collect();
    Ok(serde_json::to_string(&figures?)?)
}

fn measure(fleet: &Fleet, workload: Workload) -> Result<Figures, Error> {
    let work = Work::prepare(fleet, workload)?;
    // Blocks from before it are not counted, neither when they are freed.
    let profiler = dhat::Profiler::builder().testing().build();
    let done = work.measured();
    let stats = dhat::HeapStats::get();
    drop(profiler);
    done?;
    Ok(Figures {
        workload,
        tenants: work.tenants(),
        allocations: stats.total_blocks,
        bytes: stats.total_bytes,
        peak_bytes: stats.max_bytes,
    })
}
