// One capture from its beginning to its summary: what `capture` and `extcap` share.

import type { BlockTarget } from '../capture/blockTarget.js';
import { type Recording, record } from '../capture/recording.js';
import {
  type CaptureBody,
  type CapturingView,
  type ControlClient,
  connectToCapture,
} from '../control/client.js';
import { SwitchError } from '../model/error.js';
import type { Context } from './context.js';

export interface Wanted {
  /** What is captured, in words. */
  readonly subject: string;
  /** Where it goes; called when the daemon has agreed. */
  readonly open: () => Promise<BlockTarget>;
  /** Packets are taken from now on. */
  readonly begun: (capturing: CapturingView) => void;
  /** It is over, well or not; `files` are complete. */
  readonly ended: (recording: Recording, files: readonly string[]) => void;
}

/**
 * Captures until the context's signal, until the capture ends by itself, or until nobody reads any more. Throws what
 * the daemon refuses, CAPTURE_UNWRITABLE and CAPTURE_CUT, the latter two after `ended`.
 */
export async function recordCapture(
  { client, signal }: Context,
  body: CaptureBody,
  wanted: Wanted,
): Promise<void> {
  const capturing = await client.capture(body);
  const stream = await connectToCapture(capturing.socket);
  let target: BlockTarget | undefined;
  // Only our side: the statistics come after that.
  const finish = () => stream.end();
  try {
    target = await wanted.open();
    signal.addEventListener('abort', finish);
    if (signal.aborted) finish();
    const recording = await record(stream, target, () => wanted.begun(capturing));
    await target.close();
    wanted.ended(recording, target.files);
    // Not by us. By its count, by `--end`, or with the daemon.
    const isAlone = recording.end.by === 'stream' && !signal.aborted;
    const isAlive = !isAlone || (await answers(client));
    judge(recording, wanted.subject, isAlive);
  } finally {
    signal.removeEventListener('abort', finish);
    stream.destroy();
    await target?.close();
  }
}

/** Throws unless it ended as it should. */
function judge({ end }: Recording, subject: string, isAlive: boolean): void {
  if (end.by === 'failure') throw end.error;
  if (end.by === 'stream' && !(end.whole && isAlive)) throw new SwitchError('CAPTURE_CUT', subject);
}

async function answers(client: ControlClient): Promise<boolean> {
  return await client.captures().then(
    () => true,
    () => false,
  );
}
