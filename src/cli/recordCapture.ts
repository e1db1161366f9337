// One capture from its beginning to its summary: what `capture` and `extcap` share.

import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import type { BlockTarget } from '../capture/blockTarget.js';
import { type Recording, record } from '../capture/recording.js';
import type { CaptureBody, CapturingView } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import type { Context } from './context.js';

export interface Wanted {
  /** What is captured, in words. */
  readonly subject: string;
  /** Where it goes; called when the daemon has agreed. */
  readonly open: () => Promise<BlockTarget>;
}

/** What `--json` prints at the end, on standard error where standard output carries the packets. */
export interface CaptureSummary {
  readonly packets: number;
  readonly lost: number;
  readonly bytes: number;
  readonly files: readonly string[];
}

/**
 * Captures until the context's signal, until the capture ends by itself, or until nobody reads any more. Throws what
 * the daemon refuses, CAPTURE_UNWRITABLE and CAPTURE_CUT, the latter two after the summary.
 */
export async function recordCapture(
  context: Context,
  body: CaptureBody,
  wanted: Wanted,
): Promise<void> {
  const { client, signal, json, note } = context;
  const capturing = await client.capture(body);
  const stream = await connectTo(capturing.socket);
  let target: BlockTarget | undefined;
  // Only our side: the statistics come after that.
  const finish = () => stream.end();
  try {
    target = await wanted.open();
    signal.addEventListener('abort', finish);
    if (signal.aborted) finish();
    const recording = await record(stream, target, () => {
      if (!json) note(`capturing on ${wanted.subject} (${filterBy(capturing)}), Ctrl-C ends`);
    });
    await target.close();
    tell(context, recording, target.files);
    await judge(context, recording, wanted.subject);
  } finally {
    signal.removeEventListener('abort', finish);
    stream.destroy();
    await target?.close();
  }
}

/** Throws unless it ended as it should. */
async function judge({ client, signal }: Context, { end }: Recording, subject: string) {
  if (end.by === 'failure') throw end.error;
  if (end.by === 'reader') return;
  if (!end.whole) throw new SwitchError('CAPTURE_CUT', subject);
  // Ended by us. Otherwise by its count, by `--end`, or with the daemon.
  if (signal.aborted) return;
  try {
    await client.captures();
  } catch {
    throw new SwitchError('CAPTURE_CUT', subject);
  }
}

function tell(context: Context, recording: Recording, files: readonly string[]): void {
  const { packets, lost, bytes } = recording;
  const toStdout = files.length === 0;
  if (context.json) {
    const summary: CaptureSummary = { packets, lost, bytes, files };
    const text = JSON.stringify(summary, null, 2);
    if (toStdout) context.note(text);
    else context.print(text);
    return;
  }
  const counted = `${packets} packets captured, ${lost} lost`;
  context.note(
    toStdout ? counted : `${counted}, ${files.length} ${files.length === 1 ? 'file' : 'files'}`,
  );
}

function filterBy({ compiler }: CapturingView): string {
  const makers = { libpcap: 'filter by libpcap', 'built-in': 'built-in filter', none: 'no filter' };
  return makers[compiler];
}

/** Through its open directory, because the path may be longer than sockaddr_un. */
async function connectTo(path: string): Promise<Socket> {
  const directory = await open(dirname(path)).catch((error) => {
    throw unreachable(path, error);
  });
  try {
    const stream = connect(`/proc/self/fd/${directory.fd}/${basename(path)}`);
    await once(stream, 'connect').catch((error) => {
      throw unreachable(path, error);
    });
    return stream;
  } finally {
    await directory.close();
  }
}

function unreachable(path: string, error: NodeJS.ErrnoException): SwitchError {
  const code = error.code === 'EACCES' || error.code === 'EPERM' ? 'SOCKET_DENIED' : 'NO_DAEMON';
  return new SwitchError(code, path, { detail: error.message });
}
