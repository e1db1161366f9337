import { defineConfig } from 'vitest/config';

/** Namespace tests wait for real interfaces, timers and other programs. */
const namespaceTimeout = 60_000;

export default defineConfig({
  test: {
    // The addon lives on a main thread: thread-safe functions in worker threads crash Node.
    pool: 'forks',
    reporters: ['default', './tools/conformance/vitestReporter.mjs'],
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/*.test.ts'] },
      },
      {
        extends: true,
        test: { name: 'property', include: ['test/property/**/*.test.ts'], testTimeout: 30_000 },
      },
      {
        extends: true,
        test: { name: 'datapath', include: ['test/datapath/**/*.test.ts'], testTimeout: 20_000 },
      },
      {
        extends: true,
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: namespaceTimeout,
          hookTimeout: namespaceTimeout,
        },
      },
    ],
  },
});
