// A small reverse proxy that misbehaves on demand, as load balancers do: it throttles, loses replies to
// requests that the node has accepted, and answers 503 while the node is down.
import http from 'node:http';

export class Proxy {
  constructor(port) {
    this.target = port;
    this.throttled = false; // answer every request with 429
    this.loseReplies = 0; // for this many requests: forward, then close the connection without a reply
    this.onLost = () => {};
    this.counts = { forwarded: 0, throttled: 0, lost: 0, unreachable: 0 };
    this.server = http.createServer((request, reply) => this.handle(request, reply));
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  async handle(request, reply) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (this.throttled) {
      this.counts.throttled++;
      reply.writeHead(429, { 'Retry-After': '1' }).end();
      return;
    }
    const forwarded = http.request(
      { host: '127.0.0.1', port: this.target, method: request.method, path: request.url, headers: { ...request.headers, connection: 'close' } },
      async (answer) => {
        const parts = [];
        try {
          for await (const part of answer) parts.push(part);
        } catch {
          reply.destroy();
          return;
        }
        if (this.loseReplies > 0 && answer.statusCode === 200) {
          this.loseReplies--;
          this.counts.lost++;
          reply.destroy();
          this.onLost();
          return;
        }
        this.counts.forwarded++;
        reply.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(parts));
      },
    );
    forwarded.on('error', (error) => {
      if (error.code === 'ECONNREFUSED') {
        this.counts.unreachable++;
        reply.writeHead(503, { 'Retry-After': '1' }).end();
      } else {
        reply.destroy();
      }
    });
    forwarded.end(body);
  }
}
