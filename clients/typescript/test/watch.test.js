// The client against a server that streams a log of changes and breaks connections.
import assert from "node:assert/strict";
import test from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { StreamError, watch } from "../dist/index.js";

/** A server with a log of changes; a cursor is a position in the log. */
function serve(options = {}) {
  const log = [];
  const followers = new Set();
  const acks = [];
  const server = new WebSocketServer({ port: 0, handleProtocols: () => "muster.v1" });
  server.on("connection", (socket) => {
    const f = { at: 0, credit: 0, id: undefined };
    const pump = () => {
      while (f.id && f.credit > 0 && f.at < log.length) {
        f.credit--;
        f.at++;
        socket.send(JSON.stringify({ ...log[f.at - 1], id: f.id, cursor: String(f.at) }));
        if (options.cutEvery && f.at % options.cutEvery === 0) return socket.terminate();
      }
    };
    followers.add(pump);
    socket.on("close", () => followers.delete(pump));
    socket.send(JSON.stringify({ op: "hello", heartbeat_ms: 50, version: "t" }));
    socket.on("message", (text) => {
      const c = JSON.parse(text);
      if (c.op === "subscribe") {
        if (options.refuse) return socket.send(JSON.stringify({ op: "error", id: c.id, code: options.refuse, message: "no", temporary: false }));
        if (options.close) return socket.close(options.close, "why");
        f.id = c.id;
        f.credit = c.credit;
        if (c.from === "snapshot") {
          f.at = log.length;
          socket.send(JSON.stringify({ op: "members", id: c.id, profiles: ["a", "b"], more: false, cursor: String(f.at) }));
        } else if (options.lost && c.from !== "now") {
          options.lost = false;
          return socket.send(JSON.stringify({ op: "resync", id: c.id, reason: "horizon" }));
        } else {
          f.at = c.from === "now" ? (options.begin ?? log.length) : Number(c.from);
        }
      } else if (c.op === "credit") {
        assert.ok(c.n > 0);
        f.credit += c.n;
      } else if (c.op === "ack") {
        acks.push(c.cursor);
      }
      pump();
    });
  });
  return {
    url: () => `http://127.0.0.1:${server.address().port}/`,
    acks,
    add(...profiles) {
      for (const profile of profiles) log.push({ op: "enter", profile, segment: "VIP", at: "2026-01-01T00:00:00Z", cause: "event" });
      for (const pump of followers) pump();
    },
    close: () => {
      for (const c of server.clients) c.terminate();
      server.close();
    },
  };
}

const retry = { first: 1, last: 5 };

test("everything once and in order, through broken connections", async () => {
  const server = serve({ cutEvery: 7, begin: 0 });
  const all = Array.from({ length: 300 }, (_, i) => "u" + i);
  server.add(...all);
  const got = [];
  const enough = new AbortController();
  await watch({ url: server.url(), segment: "VIP", window: 10, retry, signal: enough.signal, WebSocket }, async (event) => {
    if (event.op !== "enter") return;
    await new Promise((r) => setImmediate(r)); // a slow handler
    got.push(event.profile);
    if (got.length === all.length) enough.abort();
  });
  server.close();
  assert.deepEqual(got, all);
});

test("after a resync the stream starts again with the members", async () => {
  const server = serve({ lost: true });
  const ops = [];
  const enough = new AbortController();
  await watch({ url: server.url(), segment: "VIP", from: "5", retry, signal: enough.signal, WebSocket }, (event) => {
    ops.push(event.op);
    if (event.op === "members") enough.abort();
  });
  server.close();
  assert.deepEqual(ops, ["resync", "members"]);
});

test("refusals are permanent, and an error of the handler ends the watch", async () => {
  const refusing = serve({ refuse: "no_segment" });
  await assert.rejects(watch({ url: refusing.url(), segment: "x", retry, WebSocket }, () => {}), (e) => e instanceof StreamError && e.code === "no_segment");
  refusing.close();
  const closing = serve({ close: 4403 });
  await assert.rejects(watch({ url: closing.url(), segment: "x", retry, WebSocket }, () => {}), (e) => e instanceof StreamError && e.code === 4403);
  closing.close();
  const server = serve({ begin: 0 });
  server.add("a");
  await assert.rejects(watch({ url: server.url(), segment: "x", retry, WebSocket }, () => { throw new Error("mine"); }), /mine/);
  server.close();
});

test("a durable subscriber acknowledges handled events", async () => {
  const server = serve({ begin: 0 });
  server.add("a", "b");
  const enough = new AbortController();
  let seen = 0;
  await watch({ url: server.url(), segment: "VIP", from: "now", as: "crm", retry, signal: enough.signal, WebSocket }, () => {
    if (++seen === 2) setTimeout(() => enough.abort(), 20);
  });
  assert.equal(server.acks[0], "1");
  server.close();
});
