import { defineConfig } from 'vitest/config';

/** One lab at a time: they share two cores and one kernel. Needs root and Debian's Docker and etcd. */
// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    globalSetup: 'test/docker/globalSetup.ts',
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
