// A real muster process in its own data directory.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';

const binary = process.env.MUSTER_BINARY ?? fileURLToPath(new URL('../../bin/muster', import.meta.url));

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Node {
  static async create() {
    const node = new Node();
    node.directory = mkdtempSync(path.join(os.tmpdir(), 'muster-sdks-'));
    node.port = await freePort();
    node.output = '';
    await node.start();
    return node;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    this.process = spawn(binary, ['serve', '--data', this.directory, '--listen', `127.0.0.1:${this.port}`]);
    this.process.stdout.on('data', (text) => (this.output += text));
    this.process.stderr.on('data', (text) => (this.output += text));
    this.ended = new Promise((resolve, reject) => {
      this.process.on('exit', resolve);
      this.process.on('error', reject);
    });
    const end = Date.now() + 60_000;
    while (Date.now() < end) {
      if (this.process.exitCode !== null) throw new Error(`muster ended:\n${this.output}`);
      try {
        if ((await fetch(`${this.url}/readyz`)).status === 200) return;
      } catch {
        // not listening yet
      }
      await pause(50);
    }
    throw new Error(`muster was not ready within 60 s:\n${this.output}`);
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async close() {
    this.process.kill('SIGTERM');
    await this.ended;
    rmSync(this.directory, { recursive: true, force: true });
  }

  // timeline returns every message received for a profile.
  async timeline(id) {
    const messages = [];
    for (let before = ''; ; ) {
      const answer = await fetch(`${this.url}/v1/profiles/${encodeURIComponent(id)}/events?limit=500&before=${encodeURIComponent(before)}`);
      if (answer.status === 404) return messages;
      if (answer.status !== 200) throw new Error(`timeline of ${id}: ${answer.status} ${await answer.text()}`);
      const page = await answer.json();
      messages.push(...page.events);
      if (!page.next) return messages;
      before = page.next;
    }
  }
}
