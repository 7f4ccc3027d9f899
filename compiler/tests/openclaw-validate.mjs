// Judges many configurations by OpenClaw's own command `config validate --json`, within one process: the command
// alone takes 20 to 40 ms, and a process of its own 2 to 3 s before it comes to it.
//
//   node openclaw-validate.mjs APP      APP is the folder of OpenClaw's package
//
// Standard input: one JSON string a line, the text of a configuration. Standard output: for each, in the same order,
// what the command prints, as one line. The environment is the command's (HOME, OPENCLAW_CONFIG_PATH, …); the file
// OPENCLAW_CONFIG_PATH is overwritten.
//
// The package has no public interface for this. The command is registered by a part of it that exports
// `registerConfigCli`, in a file whose name changes with every release: it is found by what it exports.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [app] = process.argv.slice(2);
const configPath = process.env.OPENCLAW_CONFIG_PATH;
if (!app || !configPath) throw new Error("usage: OPENCLAW_CONFIG_PATH=FILE node openclaw-validate.mjs APP");

const dist = path.join(app, "dist");
const exporting = readdirSync(dist).filter(
  (name) => /^config-cli.*\.m?js$/.test(name) && /export \{[^}]*\bregisterConfigCli\b/.test(readFileSync(path.join(dist, name), "utf8")),
);
if (exporting.length !== 1) throw new Error(`exactly one file of ${dist} should export registerConfigCli: ${exporting}`);
const { registerConfigCli } = await import(pathToFileURL(path.join(dist, exporting[0])));
const { Command } = createRequire(path.join(app, "package.json"))("commander");

/** What `openclaw config validate --json` prints for a configuration. */
async function validate(config) {
  writeFileSync(configPath, config);
  // A configuration can set environment variables: they must not reach the next one.
  const environment = { ...process.env };
  const write = process.stdout.write;
  let printed = "";
  process.stdout.write = (text) => {
    printed += text;
    return true;
  };
  try {
    const program = new Command();
    registerConfigCli(program);
    await program.parseAsync(["config", "validate", "--json"], { from: "user" });
  } catch (error) {
    // How the command ends with an exit code of 1, when it has printed what is wrong.
    if (error?.name !== "ExitError") throw error;
  } finally {
    process.stdout.write = write;
    for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
    Object.assign(process.env, environment);
  }
  return JSON.parse(printed);
}

// Not by node:readline, for which a text ends a line at U+2028 too.
const lines = readFileSync(process.stdin.fd, "utf8").split("\n").filter((line) => line !== "");
for (const line of lines) {
  const answer = await validate(JSON.parse(line));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
// Timers of the package must not keep the process.
process.exit(0);
