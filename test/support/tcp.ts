/** TCP and UDP between containers, with hashes of what was sent and what arrived. */

import type { Child } from './child.js';
import { atMost, eventually } from './eventually.js';
import { insideScript } from './inside/index.js';
import { Scope } from './scope.js';
import type { Container, Family } from './topology.js';

export interface Pair {
  /** Opens the connection. */
  readonly from: Container;
  /** Accepts it. */
  readonly to: Container;
  readonly family: Family;
}

interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

interface EndReport {
  readonly sent: Digest;
  readonly received: Digest;
}

/** Moves `bytes` in both directions at once and throws unless every byte arrived as it was sent. */
export async function expectTransfer(pair: Pair & { readonly bytes: number }): Promise<void> {
  const scope = new Scope();
  try {
    const { listener, connector } = await openEnds(scope, pair, `${pair.bytes}`);
    const what = `${pair.from.name} <-> ${pair.to.name}, ${pair.bytes} bytes over IPv${pair.family}`;
    const ends = Promise.all([listener.exited, connector.exited]);
    await atMost(`TCP transfer ${what}`, TRANSFER_TIMEOUT_MS, ends);
    compare(what, report(listener), report(connector));
    if (report(connector).sent.bytes !== pair.bytes) throw new Error(`${what}: sent too little`);
  } finally {
    await scope.close();
  }
}

/** A TCP connection on which both ends keep sending until `finish`. */
export interface Stream {
  /** The process that accepted it. */
  readonly acceptor: Child;
  /** Waits until more bytes arrive in both directions than up to now: the stream goes on. */
  goesOn(): Promise<void>;
  /** Ends it and throws unless every byte arrived as it was sent. */
  finish(): Promise<void>;
}

export async function openStream(scope: Scope, pair: Pair): Promise<Stream> {
  const { listener, connector } = await openEnds(scope, pair, 'endless');
  const what = `stream ${pair.from.name} <-> ${pair.to.name}`;
  const goesOn = async () => {
    const before = [arrived(listener), arrived(connector)];
    await eventually(
      `${what} goes on`,
      () => arrived(listener) > (before[0] ?? 0) && arrived(connector) > (before[1] ?? 0),
      { within: 20_000 },
    );
  };
  await goesOn();
  return {
    acceptor: listener,
    goesOn,
    finish: async () => {
      listener.endInput();
      connector.endInput();
      const ends = Promise.all([listener.exited, connector.exited]);
      await atMost(`end of ${what}`, TRANSFER_TIMEOUT_MS, ends);
      compare(what, report(listener), report(connector));
    },
  };
}

export interface Flows {
  /** How many source ports ask. */
  readonly flows: number;
  /** Datagrams on each, one after the other. */
  readonly count: number;
  /** Payload bytes of each. */
  readonly size: number;
}

/** Asks a UDP echo server and throws unless every datagram came back as it was. */
export async function expectUdpEcho(pair: Pair, flows: Flows): Promise<void> {
  const scope = new Scope();
  try {
    const address = pair.to.address[pair.family];
    const server = await pair.to.namespace.spawn(scope, {
      command: process.execPath,
      args: [insideScript('udp'), 'echo', address, `${PORT}`],
    });
    await server.waitForLine(/^listening$/);
    const ask = [address, PORT, flows.flows, flows.count, flows.size].map(String);
    const out = await pair.from.namespace.exec(process.execPath, [
      insideScript('udp'),
      'ask',
      ...ask,
    ]);
    const { asked, answered } = JSON.parse(out);
    if (asked === 0 || asked !== answered) throw new Error(`UDP echo: ${out}`);
  } finally {
    await scope.close();
  }
}

async function openEnds(
  scope: Scope,
  pair: Pair,
  bytes: string,
): Promise<{ listener: Child; connector: Child }> {
  const address = pair.to.address[pair.family];
  const args = [address, `${PORT}`, bytes];
  const command = process.execPath;
  const listener = await pair.to.namespace.spawn(scope, {
    command,
    args: [insideScript('tcp'), 'listen', ...args],
  });
  await listener.waitForLine(/^listening$/);
  const connector = await pair.from.namespace.spawn(scope, {
    command,
    args: [insideScript('tcp'), 'connect', ...args],
  });
  return { listener, connector };
}

function arrived(end: Child): number {
  return Number(end.stdout.match(/.*got (\d+)\n(?!.*got )/s)?.[1] ?? 0);
}

function report(end: Child): EndReport {
  const line = end.stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`no report: ${end.describe()}`);
  return JSON.parse(line) as EndReport;
}

function compare(what: string, a: EndReport, b: EndReport): void {
  for (const [sent, received] of [
    [a.sent, b.received],
    [b.sent, a.received],
  ] as const) {
    if (sent.bytes !== received.bytes || sent.sha256 !== received.sha256) {
      throw new Error(`${what}: ${JSON.stringify({ sent, received })}`);
    }
  }
}

const PORT = 5001;
const TRANSFER_TIMEOUT_MS = 45_000;
