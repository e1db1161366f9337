// Micro benches of the control path, by vitest's own bench. Needs neither root nor the addon.
import { fileURLToPath } from 'node:url';

/** Runs them and prints operations per second; returns an exit code. */
export async function measureControlPath() {
  // Not before the packages are installed.
  const { startVitest } = await import('vitest/node');
  const vitest = await startVitest('benchmark', [], {
    config: false,
    watch: false,
    root: fileURLToPath(new URL('.', import.meta.url)),
    benchmark: { include: ['*.bench.ts'] },
  });
  await vitest.close();
  return process.exitCode ?? 0;
}
