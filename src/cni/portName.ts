// A port of ours tells by its name whose it is, so nothing has to be remembered beside vswitchd.

import { createHash } from 'node:crypto';
import type { Attachment } from './environment.js';

/** What the names of all ports of a network configuration begin with. */
export function portPrefix(configName: string): string {
  return `cni-${digest(configName)}-`;
}

/**
 * The port of one attachment, 43 to 54 bytes: prefix, up to 12 letters of the container's ID for people to
 * recognise, and what makes it unique.
 */
export function portName(configName: string, { containerId, ifname }: Attachment): string {
  return `${portPrefix(configName)}${containerId.slice(0, 12)}-${digest(containerId, ifname)}`;
}

/** 48 bits of SHA-256 as 12 hex digits; no part holds a zero byte. */
function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 12);
}
