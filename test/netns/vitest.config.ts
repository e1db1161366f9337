import { defineConfig } from 'vitest/config';

/** One file after the other: they share two cores and one kernel. Needs root. */
// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: {
    name: 'netns',
    root: `${import.meta.dirname}/../..`,
    include: ['test/netns/**/*.test.ts', 'test/support/**/*.test.ts'],
    globalSetup: 'test/netns/globalSetup.ts',
    setupFiles: 'test/netns/setup.ts',
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
