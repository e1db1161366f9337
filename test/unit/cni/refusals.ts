import { CniError } from '../../../src/cni/cniError.js';

/** The `CniError` that `work` throws; anything else, or nothing, fails. */
export function refusalOf(work: () => unknown): CniError {
  try {
    work();
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}
