// What a CNI plugin answers when it refuses: CNI spec 1.1.0, "Error".

import { Refused } from '../control/client.js';
import { SwitchError } from '../model/error.js';

/** Codes of the spec (below 100) that we use, and our own. */
export const CODES = {
  incompatibleVersion: 1,
  unknownContainer: 3,
  badEnvironment: 4,
  undecodable: 6,
  badConfig: 7,
  tryAgain: 11,
  /** STATUS: ADD would fail. */
  unavailable: 50,
  /** STATUS: ADD would fail, and attached containers may not reach each other. */
  unavailableAndLimited: 51,
  /** vswitchd, or a program that we called, refused for another reason. */
  refused: 100,
  /** A bug of ours; what the reference library says then. */
  internal: 999,
} as const;

/** A refusal: `message` is one sentence, `details` the list or the daemon's code behind it. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

/** The object that goes to standard output; `cniVersion` is the one that was asked for. */
export function errorResult(cniVersion: string, { code, message, details }: CniError): object {
  return { cniVersion, code, msg: message, ...(details === '' ? {} : { details }) };
}

/** What the control client threw, as CNI has it; anything else stays what it is. */
export function asCniError(error: unknown): unknown {
  const code = daemonCode(error);
  if (code === undefined) return error;
  return new CniError(
    CODE_OF[code] ?? CODES.refused,
    (error as Error).message,
    `vswitchd says ${code}`,
  );
}

/** The daemon's (or its client's) own code for what went wrong; `undefined` of any other error. */
export function daemonCode(error: unknown): string | undefined {
  if (error instanceof Refused) return error.body.code;
  return error instanceof SwitchError ? error.code : undefined;
}

const CODE_OF: Readonly<Record<string, number>> = {
  NETNS_GONE: CODES.unknownContainer,
  NETWORK_UNKNOWN: CODES.badConfig,
  BAD_REQUEST: CODES.badConfig,
  NO_DAEMON: CODES.tryAgain,
  NO_ANSWER: CODES.tryAgain,
  STOPPED: CODES.tryAgain,
  STORE_DOWN: CODES.tryAgain,
};
