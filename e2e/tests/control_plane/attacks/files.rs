//! Files of others: what somebody reads with the command line, and what an agent puts in the way of `seed`. Both run as they
//! are: the command in this process, `seed` as a process of its own over real folders.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::ConfigMap;
use kr8tiv_cli::Exit;
use kr8tiv_crds::Tenant;
use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::cluster::variable;
use kr8tiv_e2e::operator_process::refusal_of;
use kr8tiv_e2e::scope::Scope;

use super::world::World;
use super::{Attack, attack, tried};
use crate::command_line::kr8tiv;
use crate::context::Context;
use crate::expect::STARTING;

#[rustfmt::skip]
fn texts() -> Vec<(Attack, fn() -> String)> {
    vec![
        (attack!("alias-bomb", Author, "lets nine anchors repeat each other ten times", Reader, "K8T0904"), || laughs(9)),
        (attack!("deep-file", Author, "nests 200,000 lists", Reader, "K8T0901"), || format!("a: {}", "[".repeat(200_000))),
        (attack!("deep-json", Author, "nests 200,000 objects of JSON", Reader, "K8T0904"), || "{\"a\":".repeat(200_000)),
        (attack!("wide-file", Author, "lists 1,500,000 values", Reader, "K8T0904"), || format!("a: [{}1]", "1,".repeat(1_500_000))),
        (attack!("alias-of-itself", Author, "lets an anchor repeat itself", Reader, "K8T0903"), || "a: &a [*a]\n".to_owned()),
    ]
}

fn laughs(levels: usize) -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..=levels {
        let all = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{all}]\n"));
    }
    text
}

/// What an agent does to the volume before `seed` runs, and what is outside of it.
type InTheWay = (Attack, fn(&Volume, &Path) -> Outcome);

#[rustfmt::skip]
fn ways() -> Vec<InTheWay> {
    vec![
        (attack!("link-for-a-file", Agent, "puts a link to a file elsewhere where AGENTS.md is written", Seed, ""),
            |volume, outside| Ok(symlink(outside.join("victim"), volume.workspace()?.join("AGENTS.md"))?)),
        (attack!("link-for-a-temporary-file", Agent, "puts it where the file is written first", Seed, ""),
            |volume, outside| Ok(symlink(outside.join("victim"), volume.workspace()?.join(".AGENTS.md.kr8tiv-tmp"))?)),
        (attack!("link-for-the-workspace", Agent, "makes the workspace a link to a folder elsewhere", Seed, ""),
            |volume, outside| Ok(symlink(outside, volume.state.join("workspace-main"))?)),
        (attack!("link-to-the-configuration", Agent, "makes the workspace a link to where openclaw.json is", Seed, ""),
            |volume, _| Ok(symlink(&volume.config, volume.state.join("workspace-main"))?)),
        (attack!("link-for-the-record", Agent, "makes the folder of seed's own record a link", Seed, ""),
            |volume, outside| Ok(symlink(outside, volume.state.join(".kr8tiv"))?)),
        (attack!("link-loop", Agent, "makes the workspace a link to itself", Seed, ""),
            |volume, _| Ok(symlink("workspace-main", volume.state.join("workspace-main"))?)),
        (attack!("folder-for-a-file", Agent, "puts 200 folders, each in the one before, where AGENTS.md is written", Seed, ""),
            |volume, _| Ok(fs::create_dir_all(volume.workspace()?.join("AGENTS.md").join(["d"; 200].join("/")))?)),
        (attack!("hard-link-for-a-file", Agent, "makes AGENTS.md a second name of a file elsewhere", Seed, ""),
            |volume, outside| Ok(fs::hard_link(outside.join("victim"), volume.workspace()?.join("AGENTS.md"))?)),
    ]
}

/// Settings with which the operator does not start. None of them is repeated.
#[rustfmt::skip]
fn settings() -> Vec<(Attack, &'static str)> {
    vec![
        (attack!("mirror-with-a-password", PlatformAdmin, "puts user and password into the URL of the plugins' mirror", Settings, "--plugin-registry"),
            "--plugin-registry=https://robot:hunter2@npm.example.com/"),
        (attack!("image-with-an-argument", PlatformAdmin, "puts more than an image into the name of one", Settings, "--watchdog-image"),
            "--watchdog-image=example.com/hunter2 --privileged"),
    ]
}

/// The table without what is done.
pub fn attacks() -> Vec<Attack> {
    let texts = texts().into_iter().map(|(attack, _)| attack);
    let ways = ways().into_iter().map(|(attack, _)| attack);
    texts.chain(ways).chain(settings().into_iter().map(|(attack, _)| attack)).collect()
}

pub async fn by_command_line(_: &Context) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bomb.yaml");
    let file = path.to_str().ok_or("a path that is no text")?;
    for (attack, text) in texts() {
        let Attack { name, says, .. } = *tried(attack.name);
        fs::write(&path, text())?;
        for arguments in [&["validate", "-f", file][..], &["compile", "-f", file, "--manifests"]] {
            let (command, (exit, output, errors)) = (arguments[0], kr8tiv(arguments).await?);
            assert_ne!(exit, Exit::Success, "{name}: {command} takes it");
            let told = format!("{output}{errors}");
            assert!(told.contains(says), "{name}: {command} says {}", told.get(..2000).unwrap_or(&told));
            assert!(told.len() < 100_000, "{name}: {command} says {} bytes", told.len());
        }
    }
    Ok(())
}

pub async fn by_settings(_: &Context) -> Outcome {
    for (attack, setting) in settings() {
        let Attack { name, says, .. } = *tried(attack.name);
        let images =
            ["KR8TIV_WATCHDOG_IMAGE", "KR8TIV_SANDBOX_IMAGE"].map(|name| (name, "example.com/image:1"));
        let told = refusal_of(&[setting], &images).await?;
        assert!(told.contains(says), "{name}: {told}");
        assert!(!told.contains("hunter2"), "{name}: {told}");
    }
    Ok(())
}

/// The folders of a Pod.
struct Volume {
    bundle: PathBuf,
    config: PathBuf,
    state: PathBuf,
}

impl Volume {
    fn create(root: &Path, bundle: &BTreeMap<String, BTreeMap<String, String>>) -> Outcome<Self> {
        let at = |name: &str| root.join(name);
        let volume = Self { bundle: at("bundle"), config: at("config"), state: at("state") };
        for (folder, files) in bundle {
            fs::create_dir_all(volume.bundle.join(folder))?;
            for (name, text) in files {
                fs::write(volume.bundle.join(folder).join(name), text)?;
            }
        }
        fs::create_dir(&volume.config)?;
        fs::create_dir(&volume.state)?;
        Ok(volume)
    }

    /// The agent's workspace, which it has from an earlier start.
    fn workspace(&self) -> Outcome<PathBuf> {
        let path = self.state.join("workspace-main");
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn seed(&self) -> Outcome<(bool, String)> {
        let program = PathBuf::from(variable("KR8TIV_E2E_OPERATOR")?).with_file_name("kr8tiv-watchdog");
        let output = Command::new(program)
            .args(["seed", "--deadline", "30s", "--bundle"])
            .arg(&self.bundle)
            .arg("--config-dir")
            .arg(&self.config)
            .arg("--state-dir")
            .arg(&self.state)
            .output()?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// With a bundle as the operator has made it.
pub async fn by_seed(context: &Context) -> Outcome {
    let world = World::create(context, "attack-seed").await?;
    world.scope.until_exactly::<Tenant>("acme", &STARTING).await?;
    let bundle = BTreeMap::from([
        ("config".to_owned(), data(&world.scope, "acme-gateway-config").await?),
        ("workspaces/main".to_owned(), data(&world.scope, "acme-workspace.main").await?),
    ]);
    let expected = bundle["workspaces/main"].get("AGENTS.md").ok_or("no AGENTS.md")?;
    for (attack, put) in ways() {
        let name = tried(attack.name).name;
        let (root, outside) = (tempfile::tempdir()?, tempfile::tempdir()?);
        fs::write(outside.path().join("victim"), "untouched")?;
        let volume = Volume::create(root.path(), &bundle)?;
        put(&volume, outside.path())?;
        let (succeeded, log) = tokio::task::block_in_place(|| volume.seed())?;
        assert!(succeeded, "{name}: {log}");
        let agents = volume.state.join("workspace-main/AGENTS.md");
        assert!(fs::symlink_metadata(&agents)?.is_file(), "{name}: AGENTS.md is no regular file");
        assert!(fs::symlink_metadata(volume.state.join("workspace-main"))?.is_dir(), "{name}: a link");
        assert_eq!(&fs::read_to_string(&agents)?, expected, "{name}");
        let left: Vec<_> = fs::read_dir(outside.path())?.collect::<Result<_, _>>()?;
        assert_eq!(left.len(), 1, "{name}: {left:?} is outside of the volume");
        assert_eq!(fs::read_to_string(outside.path().join("victim"))?, "untouched", "{name}");
        let configured: Vec<_> = fs::read_dir(&volume.config)?.collect::<Result<_, _>>()?;
        let configured =
            configured.iter().filter(|entry| entry.file_name().to_string_lossy().ends_with(".md"));
        assert_eq!(configured.count(), 0, "{name}: beside openclaw.json");
    }
    world.discard().await
}

async fn data(scope: &Scope, name: &str) -> Outcome<BTreeMap<String, String>> {
    Ok(scope.api::<ConfigMap>().get(name).await?.data.unwrap_or_default())
}
