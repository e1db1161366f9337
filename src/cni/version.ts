// Versions of the CNI spec that we speak, oldest first.

import { CniError, CODES } from './cniError.js';

export const SUPPORTED_VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

export const LATEST: CniVersion = '1.1.0';

/** The first version that has the command; absent = every one has it. */
const SINCE: Readonly<Record<string, CniVersion>> = {
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
};

/** Throws code 1 where that version is none of ours, or has no such command. */
export function requireVersion(asked: string, command: string): CniVersion {
  const version = SUPPORTED_VERSIONS.find((one) => one === asked);
  if (version === undefined) {
    throw new CniError(
      CODES.incompatibleVersion,
      `vswitch-cni does not speak CNI ${asked}: set \`cniVersion\` to one of ${SUPPORTED_VERSIONS.join(', ')}`,
    );
  }
  const since = SINCE[command];
  if (since !== undefined && !isAtLeast(version, since)) {
    throw new CniError(
      CODES.incompatibleVersion,
      `CNI ${version} has no ${command}: it came with ${since}`,
    );
  }
  return version;
}

export function isAtLeast(version: CniVersion, least: CniVersion): boolean {
  return SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(least);
}
