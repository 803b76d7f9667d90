// A client of Muster's stream: it follows a segment and calls a handler with each event. After a broken
// connection it continues after the last event that was handled. It has no dependencies. Where there is no
// global WebSocket (Node 20), pass one as an option, such as that of the package ws.

/** A profile of a snapshot: its id, or an object if fields were requested. */
export type Member = string | { profile: string; fields?: Record<string, unknown> };

/** An event of the stream. */
export type StreamEvent =
  | { op: "members"; profiles: Member[]; more: boolean; cursor: string; segment: string }
  | { op: "enter" | "exit"; profile: string; segment: string; at: string; cause: string; fields?: Record<string, unknown>; cursor: string }
  | { op: "checkpoint"; cursor: string }
  | { op: "resync"; reason: string };

/** The parts of a WebSocket that the client uses. */
export interface Socket {
  send(text: string): void;
  close(code?: number): void;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
}

export interface WatchOptions {
  /** The URL of the server, such as http://127.0.0.1:8484. */
  url: string;
  segment: string;
  /** "now" (the default), "snapshot", "acked" (the default with `as`) or a cursor. */
  from?: string;
  /** Attributes to send with the id. */
  fields?: string[];
  /** Name of a durable subscriber: events are acknowledged once they are handled. */
  as?: string;
  /** Returns a one-use ticket for a browser; called before each connection. */
  ticket?: () => Promise<string>;
  /** How many profiles the server may send before they are handled; 1,000 by default. */
  window?: number;
  /** Ends the watch. */
  signal?: AbortSignal;
  WebSocket?: new (url: string, protocols: string[]) => Socket;
  /** Shortest and longest pause before a reconnect, in milliseconds; 100 and 10,000 by default. */
  retry?: { first: number; last: number };
}

/** A permanent refusal by the server: an unknown segment, a missing permission, a protocol error. */
export class StreamError extends Error {
  constructor(readonly code: string | number, message: string) {
    super(message);
    this.name = "StreamError";
  }
}

const ackEvery = 1000;

/**
 * Calls handle with the events of a segment, one after another, until the signal ends the watch (then it
 * resolves) or handle throws (then it rejects with that error). If the server cannot continue from a
 * cursor, handle gets a resync, and then the stream starts again with the members.
 */
export async function watch(options: WatchOptions, handle: (event: StreamEvent) => void | Promise<void>): Promise<void> {
  const retry = options.retry ?? { first: 100, last: 10_000 };
  const state: State = { from: options.from ?? (options.as ? "acked" : "now"), heard: false };
  for (let wait = retry.first; ; wait = Math.min(2 * wait, retry.last)) {
    if (options.signal?.aborted) return;
    state.heard = false;
    const failure = await connect(options, state, handle);
    if (options.signal?.aborted) return;
    if (failure) throw failure.error;
    if (state.heard) wait = retry.first;
    await pause(wait / 2 + Math.random() * wait, options.signal);
  }
}

interface State {
  from: string;
  heard: boolean;
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** Follows one connection to its end; resolves with a permanent failure, or with undefined. */
async function connect(options: WatchOptions, state: State, handle: (event: StreamEvent) => void | Promise<void>): Promise<{ error: unknown } | undefined> {
  const protocols = ["muster.v1"];
  try {
    if (options.ticket) protocols.push("muster.key." + (await options.ticket()));
  } catch {
    return undefined;
  }
  const Socket = options.WebSocket ?? ((globalThis as any).WebSocket as WatchOptions["WebSocket"]);
  if (!Socket) return { error: new Error("there is no global WebSocket: pass one as an option") };
  const window = options.window ?? 1000;
  return new Promise((resolve) => {
    const socket = new Socket(options.url.replace(/^http/, "ws").replace(/\/+$/, "") + "/v1/stream", protocols);
    let left = window;
    let acked = 0;
    let done = false;
    let silence: ReturnType<typeof setTimeout> | undefined;
    let silenceLimit = 60_000;
    let queue: Promise<void> = Promise.resolve();
    const end = (failure?: { error: unknown }) => {
      if (done) return;
      done = true;
      clearTimeout(silence);
      options.signal?.removeEventListener("abort", abort);
      try {
        socket.close(1000);
      } catch {} // it may be closed already
      resolve(failure);
    };
    const abort = () => end();
    options.signal?.addEventListener("abort", abort);
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => end(), silenceLimit);
    };
    alive();
    const say = (command: object) => {
      if (!done) socket.send(JSON.stringify(command));
    };
    socket.onopen = () =>
      say({ op: "subscribe", id: "w", segment: options.segment, from: state.from, fields: options.fields, as: options.as, credit: window });
    const take = async (message: any) => {
      if (done) return;
      if (message.op === "hello") {
        silenceLimit = 3 * message.heartbeat_ms + 5000;
        return;
      }
      if (message.op === "error") {
        return end(message.temporary ? undefined : { error: new StreamError(message.code, message.message) });
      }
      try {
        await handle(message as StreamEvent);
      } catch (error) {
        return end({ error });
      }
      if (done) return;
      state.heard = true;
      if (message.op === "resync") {
        state.from = "snapshot";
        return end();
      }
      state.from = message.cursor;
      left -= message.op === "members" ? message.profiles.length : message.op === "checkpoint" ? 0 : 1;
      if (left <= window / 2) {
        say({ op: "credit", id: "w", n: window - left });
        left = window;
      }
      if (options.as && (message.op === "checkpoint" || Date.now() - acked >= ackEvery)) {
        acked = Date.now();
        say({ op: "ack", id: "w", cursor: message.cursor });
      }
    };
    socket.onmessage = (event) => {
      alive();
      const message = JSON.parse(String(event.data));
      queue = queue.then(() => take(message)).catch((error) => end({ error }));
    };
    socket.onerror = () => {}; // close follows
    socket.onclose = (event) => {
      const code = event?.code ?? 1006;
      const final = code >= 4400 && code < 4500 && code !== 4408 && code !== 4410;
      queue = queue.then(() => end(final ? { error: new StreamError(code, event.reason || "closed with " + code) } : undefined));
    };
  });
}
