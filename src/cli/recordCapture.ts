// One capture from its beginning to its summary: what `capture` and `extcap` share.

import type { BlockTarget } from '../capture/blockTarget.js';
import { type Recording, record } from '../capture/recording.js';
import {
  type CaptureBody,
  CaptureChunks,
  type CapturingView,
  type ControlClient,
} from '../control/client.js';
import { SwitchError } from '../model/error.js';
import type { Context } from './context.js';

export interface Wanted {
  /** What is captured, in words. */
  readonly subject: string;
  /** Where it goes; called when the daemon has agreed. Who opens it closes it. */
  readonly open: () => Promise<BlockTarget>;
  /** Packets are taken from now on. */
  readonly begun?: (capturing: CapturingView) => void;
}

export interface Recorded {
  readonly recording: Recording;
  /** CAPTURE_UNWRITABLE or CAPTURE_CUT: it did not end as it should. */
  readonly trouble?: SwitchError | undefined;
}

/**
 * Captures until the context's signal, until the capture ends by itself, or until nobody reads any more. Rejects with
 * what the daemon refuses, and when the target cannot be opened.
 */
export async function recordCapture(
  { client, signal }: Context,
  body: CaptureBody,
  { subject, open, begun }: Wanted,
): Promise<Recorded> {
  const capturing = await client.capture(body);
  const stream = await CaptureChunks.open(capturing.socket);
  const finish = () => stream.finish();
  try {
    const target = await open();
    signal.addEventListener('abort', finish);
    if (signal.aborted) finish();
    const recording = await record(stream, target, () => begun?.(capturing));
    const { end } = recording;
    if (end.by === 'failure') return { recording, trouble: end.error };
    // Otherwise by us; or by its count, by `--end`, or with the daemon.
    const isCut =
      end.by === 'stream' && !(end.whole && (signal.aborted || (await answers(client))));
    return { recording, ...(isCut && { trouble: new SwitchError('CAPTURE_CUT', subject) }) };
  } finally {
    signal.removeEventListener('abort', finish);
    stream.destroy();
  }
}

async function answers(client: ControlClient): Promise<boolean> {
  return await client.captures().then(
    () => true,
    () => false,
  );
}
