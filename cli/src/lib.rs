//! `kr8tiv`, also `kubectl kr8tiv`: what the operator would make of files, without a cluster.
//!
//! Values flow one way: [`args`] → [`input`] → [`tenants`] (the compiler) → the command → [`report`]. Only the edges do
//! I/O: `input` reads files, `folder` writes a bundle, this module prints.

pub mod args;
pub mod bundle;
pub mod compile;
pub mod diff;
pub mod folder;
pub mod input;
pub mod overwrite;
pub mod problem;
pub mod report;
pub mod schema;
pub mod tenants;
pub mod validate;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::FromArgMatches;
use kr8tiv_compiler::Bundle;

use crate::args::{Cli, Command, Format, InputArguments, SchemaName};
use crate::compile::Compiled;
use crate::input::Input;
use crate::report::Counts;

/// How a command ended; the number is the process's exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// All is well.
    Success = 0,
    /// Problems or differences were found, and printed.
    Found = 1,
    /// The command could not do its work.
    Trouble = 2,
}

/// Where a command reads and writes.
pub struct Console<'a> {
    /// What `-f -` reads.
    pub input: &'a mut dyn Read,
    /// The command's product.
    pub output: &'a mut dyn Write,
    /// What there is to say besides.
    pub errors: &'a mut dyn Write,
    /// Whether `output` shows colours.
    pub output_has_colours: bool,
    /// Whether `errors` shows colours.
    pub errors_have_colours: bool,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// The files hold nothing to work on.
    #[error("there is no Harness, Tenant or Agent in {0}; give other files")]
    NothingGiven(String),
    /// It is not known which tenant to compile.
    #[error(transparent)]
    Tenant(#[from] compile::Error),
    /// The cluster could not be read.
    #[error(transparent)]
    Cluster(#[from] diff::cluster::Error),
    /// The bundle could not be written as files.
    #[error(transparent)]
    Manifests(#[from] kr8tiv_compiler::manifests::ManifestError),
    /// The folder could not be written.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The bundle has something that Compose has not.
    #[error(transparent)]
    Compose(#[from] kr8tiv_compiler::compose_file::ComposeFileError),
    /// A file in the folder could not be written.
    #[error(transparent)]
    Overwrite(#[from] overwrite::Error),
    /// The system gave no means to wait for a cluster.
    #[error("the cluster can't be asked: {0}")]
    Runtime(#[source] io::Error),
    /// The result could not be printed.
    #[error("the result can't be printed: {0}")]
    Print(#[from] io::Error),
}

/// The namespace of objects that name none, as everywhere in Kubernetes.
const DEFAULT_NAMESPACE: &str = "default";

/// Runs the command that the arguments name; the first is the program's own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
    let parsed = args::command(&program)
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let result = match parsed {
        Ok(cli) => run(&cli.command, &program, console),
        // Help and version are what was asked for.
        Err(error) if !error.use_stderr() => {
            let text = error.render();
            let text = if console.output_has_colours { text.ansi().to_string() } else { text.to_string() };
            console.output.write_all(text.as_bytes()).map_err(Error::Print).map(|()| Exit::Success)
        }
        Err(error) => {
            let text = error.render();
            let text = if console.errors_have_colours { text.ansi().to_string() } else { text.to_string() };
            console.errors.write_all(text.as_bytes()).map_err(Error::Print).map(|()| Exit::Trouble)
        }
    };
    match result {
        Ok(exit) => exit,
        // Whoever read the output has had enough.
        Err(Error::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Trouble,
        Err(error) => {
            // Nothing is left to be done when this can't be printed either.
            let _ = writeln!(console.errors, "error: {error}");
            Exit::Trouble
        }
    }
}

fn run(command: &Command, program: &str, console: &mut Console<'_>) -> Result<Exit, Error> {
    match command {
        Command::Validate(arguments) => run_validate(arguments, console),
        Command::Compile(arguments) => run_compile(arguments, console),
        Command::Compose(arguments) => run_compose(arguments, console),
        Command::Diff(arguments) => run_diff(arguments, console),
        Command::Schema(arguments) => run_schema(arguments, console),
        Command::Completion(arguments) => {
            let mut script = Vec::new();
            clap_complete::generate(arguments.shell, &mut args::command(program), "kr8tiv", &mut script);
            console.output.write_all(&script)?;
            Ok(Exit::Success)
        }
    }
}

/// Reads the files of a command; an error when there is nothing in them to work on.
pub fn read(arguments: &InputArguments, console: &mut Console<'_>) -> Result<Input, Error> {
    let InputArguments { filename, namespace } = arguments;
    let sources = input::read(filename, console.input)?;
    not_empty(input::judge(sources, namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)), filename)
}

fn not_empty(input: Input, paths: &[PathBuf]) -> Result<Input, Error> {
    if input.is_empty() && input.problems.is_empty() {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::NothingGiven(names.join(", ")));
    }
    Ok(input)
}

fn run_validate(arguments: &args::Validate, console: &mut Console<'_>) -> Result<Exit, Error> {
    let input = read(&arguments.input, console)?;
    let problems = validate::judge(&input, &arguments.platform.platform());
    let Counts { errors, warnings, .. } = Counts::of(&problems);
    let is_valid = errors == 0 && !(arguments.warnings_as_errors && warnings > 0);
    let text = match arguments.output {
        Format::Json => report::json(&input, &problems, is_valid),
        Format::Human => {
            let text = report::human(&input, &problems, console.output_has_colours);
            text + &report::summary(&input, &problems) + "\n"
        }
    };
    console.output.write_all(text.as_bytes())?;
    Ok(if is_valid { Exit::Success } else { Exit::Found })
}

fn run_compile(arguments: &args::Compile, console: &mut Console<'_>) -> Result<Exit, Error> {
    let args::Compile { input, tenant, output, manifests: _, force, platform } = arguments;
    let Some(bundle) = compiled(input, tenant, platform, console)? else { return Ok(Exit::Found) };
    if let Some(folder) = output {
        let files = bundle::files(&bundle)?;
        folder::write(folder, &files, *force)?;
        written(folder, files.len(), &bundle, console)?;
    } else {
        console.output.write_all(kr8tiv_compiler::manifests::yaml(&bundle.objects)?.as_bytes())?;
    }
    Ok(Exit::Success)
}

fn run_compose(arguments: &args::Compose, console: &mut Console<'_>) -> Result<Exit, Error> {
    let args::Compose { input, tenant, output, platform } = arguments;
    let Some(bundle) = compiled(input, tenant, platform, console)? else { return Ok(Exit::Found) };
    let mut files = bundle::files(&bundle)?;
    files.extend(kr8tiv_compiler::compose_file::render(&bundle)?);
    overwrite::write(output, &files)?;
    written(output, files.len(), &bundle, console)?;
    Ok(Exit::Success)
}

/// The bundle that a command is about; `None` when there is none, after what keeps it from being compiled was printed.
fn compiled(
    input: &InputArguments,
    tenant: &args::TenantArguments,
    platform: &args::PlatformArguments,
    console: &mut Console<'_>,
) -> Result<Option<Box<Bundle>>, Error> {
    let input = read(input, console)?;
    let (bundle, problems) = match compile::compile(&input, tenant, &platform.platform())? {
        Compiled::Bundle(bundle, warnings) => (Some(bundle), warnings),
        Compiled::Problems(problems) => (None, problems),
    };
    let text = report::human(&input, &problems, console.errors_have_colours);
    console.errors.write_all(text.as_bytes())?;
    if bundle.is_none() {
        writeln!(console.errors, "{}", report::summary(&input, &problems))?;
    }
    Ok(bundle)
}

fn written(folder: &Path, files: usize, bundle: &Bundle, console: &mut Console<'_>) -> Result<(), Error> {
    let Bundle { tenant_id, hash, .. } = bundle;
    writeln!(console.errors, "{}: {files} files of tenant {tenant_id}, bundle {hash}", folder.display())?;
    Ok(())
}

fn run_diff(arguments: &args::Diff, console: &mut Console<'_>) -> Result<Exit, Error> {
    if arguments.to.is_empty() {
        return run_diff_with_cluster(arguments, console);
    }
    let old = read(&arguments.input, console)?;
    let new = InputArguments { filename: arguments.to.clone(), namespace: arguments.input.namespace.clone() };
    let new = read(&new, console)?;
    match diff::between(&old, &new, &arguments.platform.platform()) {
        Ok(entries) => print_differences(&entries, arguments.output, console),
        Err((input, problems)) => print_trouble(input, &problems, console),
    }
}

fn run_diff_with_cluster(arguments: &args::Diff, console: &mut Console<'_>) -> Result<Exit, Error> {
    let files = input::read(&arguments.input.filename, console.input)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let found = runtime.block_on(async {
        let (client, namespace) = diff::cluster::connect(arguments.context.as_deref()).await?;
        let namespace = arguments.input.namespace.clone().unwrap_or(namespace);
        let given = not_empty(input::judge(files.clone(), &namespace), &arguments.input.filename)?;
        if given.problems.iter().any(|problem| problem.severity == problem::Severity::Error) {
            return Ok::<_, Error>(Err(given));
        }
        Ok(Ok(diff::cluster::read(&client, files, &namespace).await?))
    })?;
    let found = match found {
        Ok(found) => found,
        Err(given) => return print_trouble(&given, &given.problems, console),
    };
    match diff::with_cluster(&found, &arguments.platform) {
        Ok(entries) => print_differences(&entries, arguments.output, console),
        Err(problems) => print_trouble(&found.input, &problems, console),
    }
}

fn print_differences(
    entries: &[diff::Entry],
    format: Format,
    console: &mut Console<'_>,
) -> Result<Exit, Error> {
    let text = match format {
        Format::Human => diff::human(entries),
        Format::Json => diff::json(entries),
    };
    console.output.write_all(text.as_bytes())?;
    Ok(if diff::differs(entries) { Exit::Found } else { Exit::Success })
}

/// Problems that keep a command from doing its work.
fn print_trouble(
    input: &Input,
    problems: &[problem::Problem],
    console: &mut Console<'_>,
) -> Result<Exit, Error> {
    let text = report::human(input, problems, console.errors_have_colours);
    writeln!(console.errors, "{text}{}", report::summary(input, problems))?;
    Ok(Exit::Trouble)
}

fn run_schema(arguments: &args::Schema, console: &mut Console<'_>) -> Result<Exit, Error> {
    let schema = match arguments.kind {
        None => Some(schema::of_all()),
        Some(SchemaName::Harness) => schema::of_kind("Harness"),
        Some(SchemaName::Tenant) => schema::of_kind("Tenant"),
        Some(SchemaName::Agent) => schema::of_kind("Agent"),
        Some(SchemaName::Openclaw) => {
            let newest = kr8tiv_compiler::SUPPORTED_VERSIONS.first();
            let text =
                newest.and_then(|version| kr8tiv_compiler::openclaw_schema(version)).unwrap_or_default();
            writeln!(console.output, "{}", text.trim_end())?;
            return Ok(Exit::Success);
        }
    };
    // The definitions are compiled in, so that the kinds are there.
    writeln!(console.output, "{:#}", schema.unwrap_or_default())?;
    Ok(Exit::Success)
}
