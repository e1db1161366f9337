/** Records of strace(1), as `-ff -n` writes them: a file for each thread. */

export interface Call {
  /** Its number in the table of x86_64. */
  readonly number: number;
  readonly name: string;
  /** As strace writes them. */
  readonly args: string;
  /** The error's name, `undefined` when there was none. */
  readonly errno: string | undefined;
}

/** The calls of one thread that came back, in order. */
export function finishedCalls(record: string): readonly Call[] {
  return record.split('\n').flatMap((line) => {
    const [, number, name = '', args = '', errno] =
      /^\[ *(\d+)\] (\w+)\((.*)\) += (?:-1 (E\w+)|-?\w+)/.exec(line) ?? [];
    return number === undefined ? [] : [{ number: Number(number), name, args, errno }];
  });
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
