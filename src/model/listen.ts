// Where a TCP server listens, as people write it: `127.0.0.1:4780`, `[::1]:4780`.

import { BlockList, isIP } from 'node:net';
import { parseIp } from './ip.js';

export interface ListenAddress {
  /** Canonical text, without brackets. */
  readonly address: string;
  /** 0 = any that is free. */
  readonly port: number;
}

/** `undefined` when it is none: names are refused, because what they mean may change. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const ip = parseIp(match?.[1] ?? match?.[2] ?? '');
  if (match === null || ip === undefined || (match[1] !== undefined) !== (ip.family === 6)) {
    return undefined;
  }
  const port = Number(match[3]);
  return port <= 65535 ? { address: ip.address, port } : undefined;
}

export function formatListen({ address, port }: ListenAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** 127.0.0.0/8 and ::1: nobody else reaches them. */
export function isLoopback(address: string): boolean {
  return loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
