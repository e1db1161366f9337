import { defineConfig } from 'vitest/config';

/** Needs a Consul that takes minutes to build. */
const CONSUL = 'test/store/consul.test.ts';

export default defineConfig({
  test: {
    // The addon lives on a main thread: thread-safe functions in worker threads crash Node.
    pool: 'forks',
    reporters: ['default', './tools/conformance/vitestReporter.mjs'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: { name: 'property', include: ['test/property/**/*.test.ts'], testTimeout: 30_000 },
      },
      {
        extends: true,
        test: {
          name: 'store',
          include: ['test/store/**/*.test.ts'],
          exclude: [CONSUL],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: { name: 'consul', include: [CONSUL], testTimeout: 60_000 },
      },
      {
        extends: true,
        test: { name: 'datapath', include: ['test/datapath/**/*.test.ts'], testTimeout: 20_000 },
      },
      {
        extends: true,
        test: {
          name: 'page',
          include: ['test/page/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // After the others: these tests share two cores and one kernel.
        extends: './test/netns/vitest.config.ts',
        test: { sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: { name: 'faults', include: ['test/faults/**/*.test.ts'], testTimeout: 120_000 },
      },
      // What the product reaches: each a suite of its own, one file after the other. They need root.
      ...['microvm', 'old-kernel', 'rootless', 'cni'].map((name) => ({
        extends: true as const,
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          globalSetup: 'test/netns/globalSetup.ts',
          setupFiles: 'test/netns/setup.ts',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 4 },
        },
      })),
      {
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: 'test/package/globalSetup.ts',
          fileParallelism: false,
          // The addon may be compiled in these.
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
        },
      },
      {
        extends: './test/docker/vitest.config.ts',
        test: {
          name: 'docker',
          include: ['test/docker/*.test.ts'],
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: './test/docker/vitest.config.ts',
        test: {
          name: 'docker-faults',
          include: ['test/docker/faults/*.test.ts'],
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
