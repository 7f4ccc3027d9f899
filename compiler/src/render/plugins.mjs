// The init container `plugins`, run by the Node.js of the gateway's image: installs the channel plugins that are
// missing or not of the gateway's version, asks OpenClaw what it sees now, and leaves a report (`PluginReport`) as the
// container's termination message. Whatever happens it exits with 0: the gateway runs without a channel rather than
// not at all.
//
// Arguments: the version, then the channels. From the environment: what npm and OpenClaw read, and
// KR8TIV_TERMINATION_MESSAGE, the file of the report.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { promisify } from "node:util";

// An installation takes half a minute on two idle cores, most of it unpacking; busy ones need a multiple of it.
const INSTALL_MILLISECONDS = 600_000;
const LIST_MILLISECONDS = 120_000;
const TRUSTED = ["trusted-official", "bundled"];

const [version, ...channels] = process.argv.slice(1);
const scratch = mkdtempSync(join(tmpdir(), "plugins-"));

async function openclaw(args, environment, timeout) {
  const env = { ...process.env, ...environment };
  return promisify(execFile)(process.execPath, ["dist/index.js", "plugins", ...args], {
    env, timeout, killSignal: "SIGKILL", maxBuffer: 64 << 20,
  });
}

// What OpenClaw finds with the gateway's own configuration, by channel.
async function list() {
  const { stdout } = await openclaw(["list", "--json"], {}, LIST_MILLISECONDS);
  const { plugins } = JSON.parse(stdout);
  return Object.fromEntries(channels.map((id) => [id, plugins.find((plugin) => plugin.channelIds?.includes(id))]));
}

function fault(plugin) {
  if (!plugin) return "the plugin is not installed";
  if (plugin.version !== version) return `the plugin has version ${plugin.version}, and the gateway ${version}`;
  if (!TRUSTED.includes(plugin.trust?.reason)) return "the plugin does not come from where OpenClaw trusts it";
  if (plugin.dependencyStatus?.requiredInstalled === false) return "packages that the plugin needs are missing";
  if (plugin.status !== "loaded") return `OpenClaw lists the plugin as ${plugin.status}`;
}

// `undefined`, or why it failed. The gateway's configuration is read-only, and the installer writes to its own.
async function install(channel) {
  const configuration = join(scratch, "openclaw.json");
  writeFileSync(configuration, "{}\n");
  const spec = `@openclaw/${channel}@${version}`;
  const environment = {
    OPENCLAW_CONFIG_PATH: configuration,
    OPENCLAW_CONFIG_READONLY: "",
    NPM_CONFIG_CACHE: process.env.NPM_CONFIG_CACHE ?? join(scratch, "npm"),
  };
  try {
    // --force replaces another version.
    await openclaw(["install", `npm:${spec}`, "--accept-capabilities", "--force"], environment, INSTALL_MILLISECONDS);
  } catch (error) {
    if (error.killed) return `the installation of ${spec} took more than ${INSTALL_MILLISECONDS / 1000} s`;
    const said = error.stderr ?? String(error);
    const code = /npm error code (\S+)/.exec(said)?.[1];
    if (code) return `npm can't get ${spec}: ${code}`;
    return `${spec} can't be installed: ${said.trim().split("\n")[0].slice(0, 200)}`;
  }
}

// OpenClaw keeps the folder of a version that it replaced, 40 to 80 MB.
function removeReplaced(channel, plugin) {
  const [projects, rest] = plugin.rootDir.split(`${sep}projects${sep}`);
  if (!rest) return;
  const current = rest.split(sep)[0];
  const folder = join(projects, "projects");
  for (const name of readdirSync(folder)) {
    if (name.startsWith(`openclaw-${channel}-`) && name !== current) rmSync(join(folder, name), { recursive: true });
  }
}

async function problems() {
  const failures = {};
  let found = await list();
  const wanting = channels.filter((channel) => fault(found[channel]));
  for (const channel of wanting) failures[channel] = await install(channel);
  if (wanting.length > 0) found = await list();
  for (const channel of wanting) if (!fault(found[channel])) removeReplaced(channel, found[channel]);
  return channels
    .filter((channel) => fault(found[channel]))
    .map((channel) => ({ channel, problem: failures[channel] ?? fault(found[channel]) }));
}

let plugins;
try {
  plugins = await problems();
} catch (error) {
  const problem = `the check of the plugins failed: ${String(error.message).split("\n")[0].slice(0, 200)}`;
  plugins = channels.map((channel) => ({ channel, problem }));
}
const report = JSON.stringify({ plugins });
console.log(report);
try {
  rmSync(scratch, { recursive: true, force: true });
  writeFileSync(process.env.KR8TIV_TERMINATION_MESSAGE, report);
} catch (error) {
  console.error(String(error.message));
}
