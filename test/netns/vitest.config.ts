import { defineConfig } from 'vitest/config';

/** One file after the other: they share two cores and one kernel. Needs root. */
export default defineConfig({
  test: {
    name: 'netns',
    root: import.meta.dirname,
    include: ['**/*.test.ts', '../support/**/*.test.ts'],
    globalSetup: './globalSetup.ts',
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
