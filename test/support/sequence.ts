/** Many flows of numbered UDP datagrams between containers: does each arrive in order? */

import { eventually } from './eventually.js';
import { insideScript } from './inside/index.js';
import { Scope } from './scope.js';
import type { Container } from './topology.js';

export interface Sequences {
  /** How many source ports send. */
  readonly flows: number;
  /** Datagrams on each. */
  readonly count: number;
  /** Payload bytes of each, at least 8. */
  readonly size: number;
}

export interface SequenceReport {
  readonly sent: number;
  readonly received: number;
  /** Behind one of a higher number, or behind the end of its flow. */
  readonly disordered: number;
  readonly repeated: number;
}

/** Sends all flows side by side, over IPv4, and tells how they arrived. Some may be lost. */
export async function sendSequences(
  { from, to }: { readonly from: Container; readonly to: Container },
  { flows, count, size }: Sequences,
): Promise<SequenceReport> {
  const scope = new Scope();
  try {
    const [command, address] = [process.execPath, to.address[4]];
    const script = insideScript('sequence');
    const receiver = await to.namespace.spawn(scope, {
      command,
      args: [script, 'receive', address, PORT, `${flows}`],
    });
    await receiver.waitForLine(/^listening$/);
    const sender = await from.namespace.spawn(scope, {
      command,
      args: [script, 'send', address, PORT, `${flows}`, `${count}`, `${size}`],
    });
    await eventually('the end of every flow', () => !receiver.running, { within: 30_000 });
    sender.endInput();
    const line = receiver.stdout.split('\n').find((text) => text.startsWith('{'));
    if (line === undefined) throw new Error(`no report: ${receiver.describe()}`);
    return { sent: flows * count, ...JSON.parse(line) };
  } finally {
    await scope.close();
  }
}

const PORT = '5002';
