// Every message that the SDKs send is in its profile exactly once, even if the node answers 429 for a while, if
// replies are lost after it has accepted the messages, and if it is killed and restarted.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { Analytics } from '@segment/analytics-node';

import { Node } from './node.js';
import { Proxy } from './proxy.js';

const RudderAnalytics = createRequire(import.meta.url)('@rudderstack/rudder-sdk-node');

const users = 5;

// Sender sends rounds of messages, one of each kind for each user. Each message has a number n, by which check
// finds it.
class Sender {
  constructor(name, sdk) {
    this.name = name;
    this.sdk = sdk;
    this.n = 0;
    this.sent = []; // {user, type, n}
  }

  user(i) {
    return `${this.name}-user-${i}`;
  }

  round() {
    for (let i = 0; i < users; i++) {
      const userId = this.user(i);
      this.send('identify', userId, (n) => ({ userId, traits: { n, plan: 'pro', address: { city: 'Porto' } } }));
      this.send('track', userId, (n) => ({ userId, event: 'Order Completed', properties: { n, amount: 12.5, items: ['a', 'b'] } }));
      this.send('page', userId, (n) => ({ userId, name: 'Home', properties: { n, url: 'https://example.com/' } }));
      this.send('group', userId, (n) => ({ userId, groupId: 'g1', traits: { n, company: 'Acme' } }));
      this.send('alias', userId, (n) => ({ userId, previousId: `${userId}-before-${n}` }));
    }
  }

  send(type, user, message) {
    const n = ++this.n;
    this.sent.push({ user, type, n });
    this.sdk[type](message(n));
  }
}

// marker returns the n of a message in a timeline.
function marker(message) {
  if (message.type === 'alias') return Number(message.previousId.split('-before-')[1]);
  return message.properties?.n ?? message.traits?.n;
}

// check compares the messages that were sent with those on the node.
async function check(node, sender) {
  const found = new Map();
  for (let i = 0; i < users; i++) {
    for (const message of await node.timeline(sender.user(i))) {
      const key = `${sender.user(i)} ${message.type} ${marker(message)}`;
      found.set(key, (found.get(key) ?? 0) + 1);
    }
  }
  const wrong = [];
  for (const { user, type, n } of sender.sent) {
    const key = `${user} ${type} ${n}`;
    if (found.get(key) !== 1) wrong.push(`${key}: ${found.get(key) ?? 0} times`);
    found.delete(key);
  }
  for (const [key, times] of found) wrong.push(`${key}: ${times} times, never sent`);
  assert.deepEqual(wrong, [], `${sender.name}: ${wrong.length} of ${sender.sent.length} messages wrong`);
  const profile = await (await fetch(`${node.url}/v1/profiles/${sender.user(0)}`)).json();
  assert.equal(profile.attributes.plan, 'pro');
  assert.equal(profile.attributes['address.city'], 'Porto');
  const rounds = sender.sent.filter((m) => m.user === sender.user(0) && m.type === 'track').length;
  assert.equal(profile.events.find((e) => e.name === 'Order Completed').count, rounds);
}

// deliver sends messages with one SDK through every failure. flush resolves when all messages so far have been
// delivered or given up.
async function deliver(sender, node, proxy, flush) {
  sender.round();
  await flush();

  proxy.throttled = true;
  sender.round();
  const throttled = flush();
  await pause(2500);
  proxy.throttled = false;
  await throttled;

  let restarted;
  proxy.loseReplies = 1;
  proxy.onLost = () => {
    restarted = node.kill().then(() => node.start());
  };
  sender.round();
  await flush();
  proxy.loseReplies = 0;
  assert.ok(restarted, 'no reply was lost, so the node was not killed');
  await restarted;

  sender.round();
  await flush();
  assert.ok(proxy.counts.throttled > 0 && proxy.counts.lost > 0, JSON.stringify(proxy.counts));
  await check(node, sender);
}

async function withNode(run) {
  const node = await Node.create();
  const proxy = new Proxy(node.port);
  const url = await proxy.listen();
  try {
    await run(node, proxy, url);
  } catch (error) {
    console.error(node.output.split('\n').slice(-20).join('\n'));
    throw error;
  } finally {
    await proxy.close();
    await node.close();
  }
}

test('@segment/analytics-node', () =>
  withNode(async (node, proxy, url) => {
    const sdk = new Analytics({ writeKey: 'key', host: url, flushAt: 15 });
    const failed = [];
    sdk.on('error', (error) => failed.push(error));
    await deliver(new Sender('segment', sdk), node, proxy, () => sdk.flush({ timeout: 60_000 }));
    await sdk.closeAndFlush({ timeout: 10_000 });
    assert.deepEqual(failed, []);
  }));

test('@rudderstack/rudder-sdk-node', () =>
  withNode(async (node, proxy, url) => {
    const failed = [];
    const sdk = new RudderAnalytics('key', { dataPlaneUrl: url, flushAt: 20, errorHandler: (error) => failed.push(error) });
    await deliver(new Sender('rudder', sdk), node, proxy, async () => {
      // each flush sends one batch; with an empty queue it waits for the batch in flight
      while (sdk.queue.length > 0) await sdk.flush();
      await sdk.flush();
    });
    assert.deepEqual(failed, []);
  }));
