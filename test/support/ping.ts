import type { Container } from './topology.js';

export interface PingSpec {
  readonly to: string;
  readonly count?: number;
  /** Payload bytes; the IP packet is 28 (IPv4) or 48 (IPv6) longer. */
  readonly size?: number;
  /** Seconds to wait for the last answer. */
  readonly wait?: number;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  readonly output: string;
}

/** Pings with DF set; nothing on the way may fragment. */
export async function ping(from: Container, spec: PingSpec): Promise<PingResult> {
  const { to, count = 3, size = 56, wait = 3 } = spec;
  const args = ['-n', '-M', 'do', '-c', `${count}`, '-i', '0.02', '-W', `${wait}`, '-s', `${size}`];
  const result = await from.namespace.tryExec('ping', [...args, to]);
  const output = `${result.stdout}\n${result.stderr}`.trim();
  const summary = output.match(/(\d+) packets transmitted, (\d+) received/);
  return {
    sent: Number(summary?.[1] ?? 0),
    received: Number(summary?.[2] ?? 0),
    duplicates: Number(output.match(/\+(\d+) duplicates/)?.[1] ?? 0),
    output,
  };
}

/** Throws with ping's own words unless every request was answered exactly once. */
export async function expectPing(from: Container, spec: PingSpec): Promise<void> {
  const result = await ping(from, spec);
  if (result.sent === 0 || result.received !== result.sent || result.duplicates > 0) {
    throw new Error(`ping ${from.name} -> ${spec.to}, ${spec.size ?? 56} bytes:\n${result.output}`);
  }
}
