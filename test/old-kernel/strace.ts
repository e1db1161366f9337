/** Records of strace(1), as `-f -n` writes them. */

export interface Call {
  /** Its number in the table of x86_64. */
  readonly number: number;
  readonly name: string;
  /** As strace writes them. */
  readonly args: string;
  /** The error's name, `undefined` when there was none. */
  readonly errno: string | undefined;
}

/** The calls that came back, in order, also those that others interrupted in the record. */
export function finishedCalls(record: string): readonly Call[] {
  const calls: Call[] = [];
  const begun = new Map<string, string>();
  for (const line of record.split('\n')) {
    const [, pid = '', number, rest = ''] = /^(\d+) +\[ *(\d+)\] (.*)$/.exec(line) ?? [];
    if (number === undefined) continue;
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest)?.[1];
    if (unfinished !== undefined) {
      begun.set(pid, unfinished);
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1];
    const whole = resumed === undefined ? rest : `${begun.get(pid) ?? ''}${resumed}`;
    const [, name, args = '', errno] = /^(\w+)\((.*)\) += (?:-1 (E\w+)|-?\w+)/.exec(whole) ?? [];
    if (name !== undefined) calls.push({ number: Number(number), name, args, errno });
  }
  return calls;
}

/**
 * The names of what was refused as a kernel without it would, sorted: system calls from the number `callsEnd` on, socket
 * options, ioctls, families and protocols of sockets.
 */
export function refusedNames(calls: readonly Call[], callsEnd: number): readonly string[] {
  const names = calls.flatMap(({ number, name, args, errno }) => {
    // Of a call that a thread's end cut short strace says ENOSYS too.
    if (errno === 'ENOSYS') return number >= callsEnd ? [name] : [];
    const words = args.split(', ');
    if (errno === 'ENOPROTOOPT') return [words[2] ?? ''];
    if (errno === 'EAFNOSUPPORT') return [words[0] ?? ''];
    if (errno === 'EPROTONOSUPPORT') return [words.at(-1) ?? ''];
    return name === 'ioctl' && errno === 'EINVAL' ? (/TUN\w+/.exec(args) ?? []) : [];
  });
  return [...new Set(names)].filter((name) => name !== '').sort();
}
