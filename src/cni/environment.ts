// What a runtime tells in CNI_* environment variables: CNI spec 1.1.0, "Parameters".

import { CniError, CODES } from './cniError.js';

export type Variables = Readonly<Record<string, string | undefined>>;

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type Command = (typeof COMMANDS)[number];

/** Which interface of which container. */
export interface Attachment {
  readonly containerId: string;
  readonly ifname: string;
}

export interface Environment {
  readonly command: Command;
  /** Both empty where the command is about no container. */
  readonly attachment: Attachment;
  /** Path of the container's network namespace; empty where the runtime names none. */
  readonly netns: string;
  /** Folders with plugins, in order. */
  readonly path: readonly string[];
  /** CNI_ARGS by their keys, such as `K8S_POD_NAME`. */
  readonly args: ReadonlyMap<string, string>;
}

/** Throws code 4, with all that is missing or ill-formed. */
export function readEnvironment(variables: Variables): Environment {
  const command = COMMANDS.find((one) => one === variables.CNI_COMMAND);
  if (command === undefined) {
    throw new CniError(
      CODES.badEnvironment,
      `CNI_COMMAND is to be one of ${COMMANDS.join(', ')}: vswitch-cni is called by container runtimes`,
      `CNI_COMMAND=${variables.CNI_COMMAND ?? ''}`,
    );
  }
  // The namespace may be gone at DEL.
  const optional = command === 'DEL' ? 'CNI_NETNS' : undefined;
  // Runtimes fill in anything for what the command does not look at.
  const looked = CHECKED.filter(({ name }) => LOOKED_AT[command].includes(name));
  const problems = looked.flatMap(({ name, allowed, isSound }) => {
    const value = variables[name] ?? '';
    if (value === '') return name === optional ? [] : [`${name} is missing`];
    return isSound(value) ? [] : [`${name}=${value} is refused; allowed: ${allowed}`];
  });
  if (problems.length > 0) {
    throw new CniError(
      CODES.badEnvironment,
      `CNI ${command} lacks parameters`,
      problems.join('; '),
    );
  }
  return {
    command,
    attachment: {
      containerId: variables.CNI_CONTAINERID ?? '',
      ifname: variables.CNI_IFNAME ?? '',
    },
    netns: variables.CNI_NETNS ?? '',
    path: (variables.CNI_PATH ?? '').split(':').filter((folder) => folder !== ''),
    args: argsOf(variables.CNI_ARGS ?? ''),
  };
}

/** `A=1;B=2` */
function argsOf(text: string): ReadonlyMap<string, string> {
  const pairs = text
    .split(';')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      throw new CniError(
        CODES.badEnvironment,
        'CNI_ARGS is to be pairs KEY=VALUE with ; between',
        text,
      );
    });
  return new Map(pairs);
}

const ATTACHMENT = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'];
const LOOKED_AT: Readonly<Record<Command, readonly string[]>> = {
  ADD: ATTACHMENT,
  CHECK: ATTACHMENT,
  DEL: ATTACHMENT,
  GC: [],
  STATUS: [],
  VERSION: [],
};

/** As the spec names containers and networks. */
export const IDENTIFIER = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

const CHECKED = [
  {
    name: 'CNI_CONTAINERID',
    allowed: 'letters, digits, `_`, `.`, `-`, a letter or digit first',
    isSound: (value: string) => IDENTIFIER.test(value),
  },
  {
    name: 'CNI_NETNS',
    allowed: 'an absolute path',
    isSound: (value: string) => value.startsWith('/'),
  },
  {
    name: 'CNI_IFNAME',
    allowed: '1-15 bytes, no space, `/` or `:`, not `.` or `..`',
    isSound: (value: string) =>
      /^[^\s/:]+$/u.test(value) && Buffer.byteLength(value) <= 15 && !/^\.\.?$/.test(value),
  },
];
