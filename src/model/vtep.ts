// A VXLAN tunnel end point as people write it: `10.0.0.2`, `10.0.0.2:4790`, `fd00::2`, `[fd00::2]:4790`.

import { parseIp } from './ip.js';

/** IANA's port for VXLAN (RFC 7348 section 8). */
export const VXLAN_PORT = 4789;

/** `port` is absent where the network's own UDP port is meant. */
export interface Vtep {
  readonly address: string;
  readonly port?: number | undefined;
}

/** Reads the notations above; `undefined` when it is none of them. */
export function parseVtep(text: string): Vtep | undefined {
  const plain = parseIp(text);
  if (plain !== undefined) return { address: plain.address };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const ip = parseIp(match?.[1] ?? match?.[2] ?? '');
  if (match === null || ip === undefined || (match[1] !== undefined) !== (ip.family === 6)) {
    return undefined;
  }
  if (match[3] === undefined) return { address: ip.address };
  const port = Number(match[3]);
  return port >= 1 && port <= 65535 ? { address: ip.address, port } : undefined;
}

export function formatVtep(vtep: Vtep): string {
  if (vtep.port === undefined) return vtep.address;
  return vtep.address.includes(':')
    ? `[${vtep.address}]:${vtep.port}`
    : `${vtep.address}:${vtep.port}`;
}

/** A tunnel: the remote VTEP, complete, and the VNI in what is sent to it. */
export interface TunnelEnd {
  readonly address: string;
  readonly port: number;
  readonly vni: number;
}

/** A tunnel's name in its network, as in the counters: `10.0.0.2:4789`, with `/VNI` where that is not the network's. */
export function formatTunnel({ vni, ...vtep }: TunnelEnd, networkVni: number): string {
  return vni === networkVni ? formatVtep(vtep) : `${formatVtep(vtep)}/${vni}`;
}

/** Reads such a name; `undefined` when it is a port's. */
export function parseTunnel(name: string, networkVni: number): TunnelEnd | undefined {
  const [head = '', tail] = name.split('/');
  const vtep = parseVtep(head);
  if (vtep?.port === undefined) return undefined;
  const vni = tail === undefined ? networkVni : Number(tail);
  return { address: vtep.address, port: vtep.port, vni };
}
