// What a shell is offered at TAB. The library prints it itself.

import { afterEach, expect, it, vi } from 'vitest';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const NETWORKS = `networks:
  - {name: net1, vni: 300, ports: [{name: c1, netns: c1}]}
  - {name: net2, vni: 301}
`;

afterEach(() => vi.restoreAllMocks());

/** What the last of these words may be. */
async function offered(fake: FakeDaemon, ...words: string[]): Promise<string[]> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const { code } = await fake.ctl('complete', '--', ...words);
  expect(code).toBe(0);
  const lines = log.mock.calls.map(([line]) => String(line));
  log.mockRestore();
  expect(lines.at(-1)).toMatch(/^:\d+$/);
  return lines.slice(0, -1).map((line) => line.split('\t')[0] ?? '');
}

async function running(): Promise<FakeDaemon> {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  return await FakeDaemon.running(NETWORKS, host);
}

it.each([
  { words: ['netw'], offers: ['network'] },
  { words: ['port', ''], offers: ['add', 'rm', 'ls', 'help'] },
  { words: ['port', 'add', ''], offers: ['net1', 'net2'] },
  { words: ['port', 'rm', ''], offers: ['c1'] },
  { words: ['network', 'show', 'net'], offers: ['net1', 'net2'] },
  { words: ['network', 'add', ''], offers: [] },
  { words: ['port', 'add', 'net1', '--kind', ''], offers: ['tap', 'packet'] },
  { words: ['port', 'add', 'net1', '--root'], offers: ['--rootless'] },
  { words: ['trace', 'net1', '--port', ''], offers: ['c1'] },
  { words: ['completion', ''], offers: ['bash', 'zsh', 'fish'] },
])('$words offers $offers', async ({ words, offers }) => {
  expect(await offered(await running(), ...words)).toEqual(offers);
});

it('offers commands where no daemon runs, and no names', async () => {
  const fake = await FakeDaemon.create();
  expect(await offered(fake, 'peer', 'add', '')).toEqual([]);
  expect(await offered(fake, 'rel')).toEqual(['reload']);
});

it('asks the daemon that the line names', async () => {
  const [one, other] = [await running(), await FakeDaemon.create()];
  expect(await offered(other, '--socket', one.socket, 'port', 'rm', '')).toEqual(['c1']);
});
