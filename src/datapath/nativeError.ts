// From the addon's errors (JSON as message) to the error that operators see.

import { SwitchError } from '../model/error.js';
import { isErrorCode } from '../model/sentences.js';

interface NativeFacts {
  readonly code?: unknown;
  readonly subject?: string;
  readonly syscall?: string;
  readonly errno?: number;
  readonly detail?: string;
}

/** Never throws: what does not come from the addon becomes INTERNAL with its text. */
export function fromNative(error: unknown): SwitchError {
  if (error instanceof SwitchError) return error;
  const { message } = error as { message?: unknown };
  const { code, subject = 'the datapath', ...rest } = parseFacts(message) ?? {};
  if (!isErrorCode(code)) {
    return new SwitchError('INTERNAL', 'the datapath', { detail: String(message ?? error) });
  }
  return new SwitchError(code, subject, rest);
}

function parseFacts(message: unknown): NativeFacts | undefined {
  try {
    const facts: unknown = JSON.parse(String(message));
    return typeof facts === 'object' && facts !== null ? (facts as NativeFacts) : undefined;
  } catch {
    return undefined;
  }
}
