// Calls the stub with the official SDK: every call that the Rust client makes, and every kind of refusal.
//
//   node calls.mjs FOLDER-OF-THE-SDK BASE-URL KEY calls|errors

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [folder, baseURL, apiKey, what] = process.argv.slice(2);
const { default: Supermemory } = createRequire(`${folder}/`)("supermemory");
const client = new Supermemory({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const search = (q) =>
  client.search({ q, containerTag: "tenant-a", searchMode: "hybrid", limit: 8, threshold: 0.45 });

if (what === "calls") {
  const found = await search("preferences of the people");
  assert.deepEqual(
    found.results.map((hit) => hit.memory ?? hit.chunk),
    ["likes tea", "lives in Bern"],
  );
  assert.equal(found.total, 2);
  assert.ok(found.results.every((hit) => hit.similarity > 0 && hit.id && hit.updatedAt));
  const document = {
    content: "Likes tea.",
    containerTag: "tenant-a",
    customId: "seed-1",
    metadata: { namespace: "kr8tiv", source: "memorySeed" },
  };
  const added = await client.documents.add(document);
  assert.deepEqual(added, { id: "seed-1", status: "queued" });
  const { profile } = await client.profile({ containerTag: "tenant-a" });
  assert.deepEqual(profile, { static: ["likes tea", "lives in Bern"], dynamic: [] });
} else {
  // The stub fails with these, one after the other.
  for (const [status, kind] of [
    [401, Supermemory.AuthenticationError],
    [402, Supermemory.APIError],
    [429, Supermemory.RateLimitError],
    [500, Supermemory.InternalServerError],
  ]) {
    await assert.rejects(search("q"), (error) => error instanceof kind && error.status === status);
  }
  const stranger = client.withOptions({ apiKey: "another" });
  await assert.rejects(stranger.profile({ containerTag: "tenant-a" }), Supermemory.AuthenticationError);
  await assert.rejects(search(""), Supermemory.BadRequestError);
}
