//! Input stage, pure: the command line and its help.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kr8tiv_compiler::installation::namespace;

mod platform;

pub use platform::PlatformArguments;

/// The name under which kubectl finds the command as a plugin.
const PLUGIN: &str = "kubectl-kr8tiv";

/// Judges, compiles and compares Harnesses, Tenants and Agents in files, as the operator would.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kr8tiv",
    version,
    propagate_version = true,
    long_about = "Judges, compiles and compares Harnesses, Tenants and Agents in files, as the operator would.\n\n\
        No command changes anything in a cluster. Codes such as K8T0104 are explained in the project's docs/diagnostics.md \
        and docs/cli.md.",
    after_help = "Begin with:\n  kr8tiv validate -f examples/first-tenant.yaml"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. A command is a variant here, an arm in [`crate::run`], and a module of its own.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Say what is wrong with files, all of it at once.
    #[command(
        long_about = "Says what is wrong with files, all of it at once.\n\n\
            Each object is judged as the API server judges it (fields, types, values, rules), and then compiled as the \
            operator compiles it: tenants with their Harness and Agents, a Harness without tenants by itself. \
            Objects of other kinds are passed over.",
        after_help = "Examples:\n  \
            kr8tiv validate -f tenant.yaml -f harness.yaml\n  \
            kr8tiv validate -f manifests/ -o json\n  \
            kustomize build . | kr8tiv validate -f -\n\n\
            Exit codes: 0 valid (warnings allowed), 1 not valid, 2 usage, or a file can't be read."
    )]
    Validate(Validate),
    /// Write what the operator would make of a tenant.
    #[command(
        long_about = "Writes what the operator would make of a tenant: the files of the gateway and the objects of the \
            cluster, byte for byte.\n\n\
            In the folder are openclaw.json, workspace/AGENT/FILE, skill-pack-manifest.json, manifests.yaml with the \
            objects in the order in which they are applied, and artifact-metadata.json with ids, revisions and the hash \
            of every file. The folder is replaced as a whole.",
        after_help = "Examples:\n  \
            kr8tiv compile -f examples/first-tenant.yaml --tenant-id acme-0a1b2c3d --output bundle\n  \
            kr8tiv compile -f manifests/ --tenant team-a/acme --manifests | kubectl apply -f -\n\n\
            A tenant's id is made from its uid, which only the API server gives: a file that comes from\n\
            kubectl get -o yaml has it, another one needs spec.tenantId, --tenant-id or --uid.\n\n\
            Exit codes: 0 written, 1 not valid, 2 usage, or a file can't be read or written."
    )]
    Compile(Compile),
    /// Write a tenant's gateway for Docker Compose, on one machine without a cluster.
    #[command(
        long_about = "Writes a tenant's gateway for Docker Compose: the same containers with the same files, on one \
            machine without a cluster.\n\n\
            In the folder are docker-compose.tenant.yml, .env.example with the secrets that it needs, and all that \
            compile writes. What is there already is replaced file by file, so that a running gateway takes the change \
            as it would in a cluster.",
        after_help = "Examples:\n  \
            kr8tiv compose -f examples/first-tenant.yaml --tenant-id acme-0a1b2c3d --output acme\n  \
            cp acme/.env.example acme/.env   # and fill it in\n  \
            docker compose -f acme/docker-compose.tenant.yml up\n\n\
            Exit codes: 0 written, 1 not valid, 2 usage, or a file can't be read or written."
    )]
    Compose(Compose),
    /// Say what a change does to each tenant: what is reloaded, what restarts.
    #[command(
        long_about = "Says what a change does to each tenant: which paths, files and objects differ, and whether its \
            gateway reloads, restarts or notices nothing.\n\n\
            With --to, two sets of files are compared. Without it, the files are compared with the cluster: with the live \
            objects of the tenants that they concern, which are their own, and those of the Harnesses and Agents in them. \
            The cluster is only read, and needs the rights to list the objects of these tenants; Secrets are not read.",
        after_help = "Examples:\n  \
            kr8tiv diff -f tenant.yaml\n  \
            kr8tiv diff -f before/ --to after/\n  \
            git show main:harness.yaml | kr8tiv diff -f - --to harness.yaml -o json\n\n\
            Exit codes: 0 nothing differs, 1 something differs, 2 usage, files that are not valid, or no cluster."
    )]
    Diff(Diff),
    /// Turn harnesses of the replaced system into Harnesses and Tenants.
    #[command(
        long_about = "Turns harness files of the replaced system, in either of its two formats, into a Harness and a Tenant \
            each, and reports what became of every value in them.\n\n\
            The resources go to the standard output, the report to the standard error. Values of Secrets are in neither: the \
            report has the command that creates the Secret which the Tenant names. docs/import.md has every field.",
        after_help = "Examples:\n  \
            kr8tiv import -f harness.yaml > acme.yaml\n  \
            kr8tiv import -f old/ --model anthropic/claude-sonnet-4-6 --report report.json | kr8tiv validate -f -\n\n\
            Exit codes: 0 everything was carried over, some of it changed, 1 something could not be carried over, 2 usage, or \
            a file that can't be used."
    )]
    Import(Import),
    /// Print the JSON Schema of a kind, or of openclaw.json.
    #[command(
        long_about = "Prints the JSON Schema of a kind, for editors and other checks, or of openclaw.json.\n\n\
            Without a name: one schema for files that hold any of the kinds. With openclaw: that of openclaw.json, the \
            configuration of the gateway, which spec.gateway.config of a Tenant adds to.",
        after_help = "Examples:\n  \
            kr8tiv schema tenant > tenant.schema.json\n  \
            kr8tiv schema > kr8tiv.schema.json\n\n\
            In a file, for editors with yaml-language-server:\n  \
            # yaml-language-server: $schema=kr8tiv.schema.json"
    )]
    Schema(Schema),
    /// Print what a shell needs to complete this command.
    #[command(after_help = "Examples:\n  \
        source <(kr8tiv completion bash)\n  \
        kr8tiv completion zsh > \"${fpath[1]}/_kr8tiv\"")]
    Completion(Completion),
}

/// The files that a command reads.
#[derive(Clone, Debug, Args)]
pub struct InputArguments {
    /// A file, a folder with everything below it (*.yaml, *.yml, *.json), or - for the standard input; can be
    /// repeated.
    #[arg(short, long, required = true, value_name = "FILE|FOLDER|-", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<PathBuf>,
    /// The namespace of objects that name none [default: default; with a cluster, its context's].
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    pub namespace: Option<String>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people: lines of the files with the place underlined.
    #[default]
    Human,
    /// For programs: docs/cli.md describes the shape.
    Json,
}

/// Arguments of `validate`.
#[derive(Clone, Debug, Args)]
pub struct Validate {
    /// The files.
    #[command(flatten)]
    pub input: InputArguments,
    /// How the report is written.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Take warnings for errors.
    #[arg(long)]
    pub warnings_as_errors: bool,
    /// What the operator was installed with.
    #[command(flatten)]
    pub platform: PlatformArguments,
}

/// Which tenant, and what the API server knows of it that the files don't.
#[derive(Clone, Debug, Args)]
pub struct TenantArguments {
    /// The tenant, where the files hold several.
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub tenant: Option<String>,
    /// The tenant's id, where spec.tenantId does not say it.
    #[arg(long, value_name = "SLUG-01234567", conflicts_with = "uid")]
    pub tenant_id: Option<String>,
    /// The uid that the API server gave the Tenant, as in kubectl get -o jsonpath={.metadata.uid}.
    #[arg(long, value_name = "UID")]
    pub uid: Option<String>,
}

/// Arguments of `compile`.
#[derive(Clone, Debug, Args)]
pub struct Compile {
    /// The files.
    #[command(flatten)]
    pub input: InputArguments,
    /// The tenant.
    #[command(flatten)]
    pub tenant: TenantArguments,
    /// The folder to write; one that holds a bundle is replaced.
    #[arg(short, long, value_name = "FOLDER", required_unless_present = "manifests", value_hint = clap::ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Print the objects instead, for kubectl apply -f -.
    #[arg(long, conflicts_with = "output")]
    pub manifests: bool,
    /// Replace the folder whatever it holds.
    #[arg(long, requires = "output")]
    pub force: bool,
    /// What the operator was installed with.
    #[command(flatten)]
    pub platform: PlatformArguments,
}

/// Arguments of `compose`.
#[derive(Clone, Debug, Args)]
pub struct Compose {
    /// The files.
    #[command(flatten)]
    pub input: InputArguments,
    /// The tenant.
    #[command(flatten)]
    pub tenant: TenantArguments,
    /// The folder to write into; it may be in use.
    #[arg(short, long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub output: PathBuf,
    /// What the operator was installed with.
    #[command(flatten)]
    pub platform: PlatformArguments,
}

/// Arguments of `diff`.
#[derive(Clone, Debug, Args)]
pub struct Diff {
    /// The files: the old ones with --to, else the new ones.
    #[command(flatten)]
    pub input: InputArguments,
    /// The new files; can be repeated. Without it, the files of -f are compared with the cluster.
    #[arg(long, num_args = 1.., value_name = "FILE|FOLDER|-", value_hint = clap::ValueHint::AnyPath)]
    pub to: Vec<PathBuf>,
    /// The context of the kubeconfig; without it, the current one.
    #[arg(long, value_name = "CONTEXT", conflicts_with = "to")]
    pub context: Option<String>,
    /// How the differences are written.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// What the operator was installed with. With a cluster: what the tenant's Pod shows, unless it is given.
    #[command(flatten)]
    pub platform: PlatformArguments,
}

/// Arguments of `import`.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// A file, a folder with everything below it (*.yaml, *.yml, *.json), or - for the standard input; can be
    /// repeated.
    #[arg(short, long, required = true, value_name = "FILE|FOLDER|-", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<PathBuf>,
    /// The namespace to write into the resources; none when not given.
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    pub namespace: Option<String>,
    /// The model that answers, instead of the files' own.
    #[arg(long, value_name = "PROVIDER/MODEL", value_parser = crate::import::model)]
    pub model: Option<String>,
    /// How the report on the standard error is written.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Write the report as JSON into a file as well.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub report: Option<PathBuf>,
}

/// Which schema.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SchemaName {
    /// The Harness.
    Harness,
    /// The Tenant.
    Tenant,
    /// The Agent.
    Agent,
    /// openclaw.json, as the OpenClaw release that is compiled for prints it.
    Openclaw,
}

/// Arguments of `schema`.
#[derive(Clone, Debug, Args)]
pub struct Schema {
    /// The kind, or openclaw; without it, all kinds in one.
    #[arg(value_enum)]
    pub kind: Option<SchemaName>,
}

/// Arguments of `completion`.
#[derive(Clone, Debug, Args)]
pub struct Completion {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The command line, with the words that the user wrote to come here: kubectl runs `kubectl-kr8tiv` for
/// `kubectl kr8tiv`.
pub fn command(program: &str) -> clap::Command {
    let command = Cli::command();
    let file = program.rsplit(['/', '\\']).next().unwrap_or_default();
    if file.strip_suffix(".exe").unwrap_or(file) != PLUGIN {
        return command;
    }
    let renamed = |command: clap::Command| {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        command.after_help(after.replace("kr8tiv ", "kubectl kr8tiv "))
    };
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = renamed(command.bin_name("kubectl kr8tiv").display_name("kubectl-kr8tiv"));
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, renamed))
}
