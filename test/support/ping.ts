import type { Container } from './topology.js';

export interface PingSpec {
  readonly to: string;
  readonly count?: number;
  /** Payload bytes; the IP packet is 28 (IPv4) or 48 (IPv6) longer. */
  readonly size?: number;
}

export interface PingResult {
  readonly sent: number;
  /** Different requests that were answered. */
  readonly received: number;
  readonly duplicates: number;
  readonly output: string;
}

/** Pings with DF set; nothing on the way may fragment. An answer may take seconds, as on a busy machine. */
export async function ping(from: Container, spec: PingSpec): Promise<PingResult> {
  const { to, count = 3, size = 56 } = spec;
  const deadline = Math.ceil(WAIT_S + 2 * count * INTERVAL_S);
  // Without -w it would wait just two round-trip times for the last answer. With it, it keeps on asking until
  // `count` answers have come, so requests beyond `count` do not matter.
  const timing = ['-c', `${count}`, '-i', `${INTERVAL_S}`, '-w', `${deadline}`];
  const args = ['-n', '-M', 'do', '-s', `${size}`, ...timing, to];
  const result = await from.namespace.tryExec('ping', args);
  const output = `${result.stdout}\n${result.stderr}`.trim();
  const answers = [...output.matchAll(/bytes from .*icmp_seq=(\d+)/g)]
    .map((match) => Number(match[1]))
    .filter((sequence) => sequence <= count);
  const received = new Set(answers).size;
  return { sent: count, received, duplicates: answers.length - received, output };
}

/** Throws with ping's own words unless every request was answered exactly once. */
export async function expectPing(from: Container, spec: PingSpec): Promise<void> {
  const result = await ping(from, spec);
  if (result.received !== result.sent || result.duplicates > 0) {
    throw new Error(`ping ${from.name} -> ${spec.to}, ${spec.size ?? 56} bytes:\n${result.output}`);
  }
}

const INTERVAL_S = 0.02;
const WAIT_S = 5;
