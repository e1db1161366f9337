import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SwitchError } from '../../src/model/error.js';
import { PluginHost } from '../support/dockerPlugin.js';
import { atMost, eventually } from '../support/eventually.js';
import { FakeClusterStore, Refusal } from '../support/fakeDockerd.js';
import { FakeOverlay } from '../support/fakeDockerHost.js';

type Step =
  | { readonly do: 'create' | 'rm'; readonly network: string }
  | { readonly do: 'run'; readonly name: string; readonly network: string }
  | { readonly do: 'stop'; readonly name: string }
  | { readonly do: 'restart' | 'repeat' | 'forget' }
  | { readonly do: 'break'; readonly what: 'join' | 'leave' | 'reserve' | 'release' | 'attach' }
  | { readonly do: 'mend' };

/** Few names, so that things meet. */
const network = fc.constantFrom('red', 'blue');
const name = fc.constantFrom('c1', 'c2', 'c3');

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), network }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rm' as const), network }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('run' as const), name, network }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('stop' as const), name }) },
  fc.record({ do: fc.constantFrom('restart' as const, 'repeat' as const, 'forget' as const) }),
  fc.record({
    do: fc.constant('break' as const),
    what: fc.constantFrom('join', 'leave', 'reserve', 'release', 'attach'),
  }),
  { weight: 2, arbitrary: fc.constant({ do: 'mend' as const }) },
);

/** Steps of one host; those of one group at once. */
const script = fc.array(
  fc.record({ at: fc.nat(1), group: fc.array(step, { minLength: 1, maxLength: 3 }) }),
  { maxLength: 12 },
);

/** What a user types may be refused; nothing else may go wrong. */
async function unlessRefused(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error;
  });
}

/** dockerd itself lets nobody remove a network that is in use, or start what runs. */
async function take(plugin: PluginHost, step: Step, restart: () => void): Promise<void> {
  const { dockerd, host } = plugin;
  const idOf = (wanted: string): string | undefined =>
    [...dockerd.networks.values()].find((one) => one.name === wanted)?.id;
  switch (step.do) {
    case 'create':
      if (idOf(step.network) === undefined) {
        await unlessRefused(dockerd.createNetwork({ name: step.network }));
      }
      return;
    case 'rm': {
      const id = idOf(step.network);
      if (id !== undefined && !dockerd.isInUse(id)) await dockerd.removeNetwork(id);
      return;
    }
    case 'run': {
      const id = idOf(step.network);
      if (id !== undefined) await unlessRefused(dockerd.run(step.name, id));
      return;
    }
    case 'stop':
      return dockerd.remove(step.name);
    case 'repeat': {
      const last = dockerd.sent.findLast(({ call }) => /Delete|Leave|Release/.test(call));
      if (last?.call === 'IpamDriver.ReleaseAddress') return;
      if (last !== undefined) await dockerd.call(last.call, last.body);
      return;
    }
    case 'break':
      host.trouble.set(step.what, new SwitchError('STORE_DOWN', 'etcd'));
      return;
    case 'mend':
      host.trouble.clear();
      return;
    case 'forget':
      plugin.memory.text = undefined;
      return restart();
    case 'restart':
      return restart();
  }
}

async function play(plugin: PluginHost, group: readonly Step[]): Promise<void> {
  let isRestart = false;
  const steps = group.map((one) =>
    take(plugin, one, () => {
      isRestart = true;
    }),
  );
  await Promise.all(steps);
  if (!isRestart) return;
  await plugin.stop();
  await plugin.start();
}

it.each([
  ['local', (): FakeClusterStore | undefined => undefined],
  ['global', (): FakeClusterStore | undefined => new FakeClusterStore()],
] as const)(
  'nothing is left in %s scope when Docker has deleted all, whatever happened before',
  async (_, cluster) => {
    await fc.assert(
      fc.asyncProperty(script, async (groups) => {
        const overlay = new FakeOverlay();
        const shared = cluster();
        const plugins = [
          await PluginHost.create(overlay, shared),
          await PluginHost.create(overlay, shared),
        ];
        try {
          for (const { dockerd } of plugins) await dockerd.activate();
          for (const { at, group } of groups) {
            await atMost(`the end of ${JSON.stringify(group)}`, 10_000, play(plugins[at]!, group));
          }
          for (const { host, dockerd } of plugins) {
            host.trouble.clear();
            for (const container of dockerd.containers.keys()) await dockerd.remove(container);
          }
          for (const { dockerd } of plugins) {
            for (const id of dockerd.networks.keys()) await dockerd.removeNetwork(id);
          }
          for (const plugin of plugins) {
            await plugin.stop();
            await plugin.start();
          }
          await eventually('nothing is left', () => {
            expect(overlay.leftovers()).toEqual([]);
            expect([...overlay.networks.keys()]).toEqual([]);
            return true;
          });
        } finally {
          for (const plugin of plugins) await plugin.close();
        }
      }),
      { numRuns: 60 },
    );
  },
);
