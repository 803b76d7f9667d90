// The client against a real node that is killed and restarted. MUSTER is the path of the binary,
// bin/muster by default. Without a binary the test is skipped.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { WebSocket } from "ws";
import { watch } from "../dist/index.js";

const muster = process.env.MUSTER ?? new URL("../../../bin/muster", import.meta.url).pathname;

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Repeats a request until the node answers: it may be down at the moment. */
async function retryFetch(url, options) {
  for (;;) {
    try {
      const answer = await fetch(url, options);
      const text = await answer.text();
      if (answer.ok) return text === "" ? undefined : JSON.parse(text);
      if (answer.status !== 429 && answer.status !== 503) throw new Error(answer.status + " " + text, { cause: "final" });
    } catch (error) {
      if (error.cause === "final") throw error;
    }
    await new Promise((r) => setTimeout(r, 30));
  }
}

test("a real node, killed again and again", { skip: !existsSync(muster) && "no " + muster, timeout: 120_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "muster-client-"));
  const url = "http://127.0.0.1:" + (await freePort());
  let node;
  const start = async () => {
    node = spawn(muster, ["serve", "--data", join(dir, "data"), "--listen", url.slice("http://".length)], { stdio: "ignore" });
    await retryFetch(url + "/readyz");
  };
  const kill = () => new Promise((resolve) => (node.once("exit", resolve), node.kill("SIGKILL")));
  const send = (messages) => retryFetch(url + "/v1/batch", { method: "POST", body: JSON.stringify({ batch: messages }) });
  try {
    await start();
    await send([{ type: "identify", userId: "u0", messageId: "first", traits: { plan: "pro" } }]);
    const headers = { "Content-Type": "application/json" };
    await retryFetch(url + "/v1/segments/Pro", { method: "PUT", headers, body: JSON.stringify({ predicate: 'plan = "pro"' }) });
    const members = new Set();
    const enough = new AbortController();
    const wrong = [];
    const watching = watch({ url, segment: "Pro", from: "snapshot", as: "crm", window: 5, retry: { first: 10, last: 100 }, signal: enough.signal, WebSocket }, (event) => {
      if (event.op === "members") for (const p of event.profiles) members.add(p);
      if (event.op === "enter" && members.has(event.profile)) wrong.push(event);
      if (event.op === "enter") members.add(event.profile);
      if (event.op === "exit" && !members.delete(event.profile)) wrong.push(event);
      if (event.op === "resync") wrong.push(event);
    });
    for (let round = 0; round < 3; round++) {
      const killing = new Promise((r) => setTimeout(r, 150)).then(kill).then(start);
      for (let i = 0; i < 100; i++) {
        const user = Math.floor(Math.random() * 40);
        await send([{ type: "identify", userId: "u" + user, messageId: round + "-" + i, traits: { plan: Math.random() < 0.5 ? "pro" : "free" } }]);
      }
      await killing;
    }
    const list = (await retryFetch(url + "/v1/segments/Pro/members")).members.sort();
    const agrees = () => JSON.stringify([...members].sort()) === JSON.stringify(list);
    for (let i = 0; i < 500 && !agrees(); i++) await new Promise((r) => setTimeout(r, 20));
    enough.abort();
    await watching;
    assert.deepEqual(wrong, []);
    assert.deepEqual([...members].sort(), list);
    assert.ok(list.length > 5);
  } finally {
    await kill();
    rmSync(dir, { recursive: true });
  }
});
