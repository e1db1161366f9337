import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { networkSchema, portSchema } from '../../../src/config/networkSchema.js';
import type { Mac } from '../../../src/model/mac.js';
import {
  emptyState,
  type RuntimeState,
  sameFdb,
  withFdb,
  withoutFdb,
  withoutNetwork,
  withoutParts,
  withoutPeer,
  withoutPort,
  withPartsOf,
  withPeer,
  withPort,
} from '../../../src/store/runtimeState.js';
import {
  loadState,
  prepareState,
  requireSafeDirectory,
  statePathOf,
} from '../../../src/store/stateFile.js';

async function saveState(path: string, state: RuntimeState): Promise<void> {
  await (await prepareState(path, state)).commit();
}

const NOW = new Date('2026-01-02T03:04:05Z');
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  path = join(folder, 'control.state.json');
  onTestFinished(() => rm(folder, { recursive: true }));
});

const mac = '02:00:00:00:00:01' as Mac;
const zero = '00:00:00:00:00:00' as Mac;

function sample(): RuntimeState {
  const network = networkSchema.parse({
    name: 'a',
    vni: 300,
    peers: ['10.0.0.2:1'],
    inner_vlan: [7, '8-9'],
  });
  const row = { network: 'a', port: portSchema.parse({ name: 'p', netns: 77, mac }) };
  const remembered = [{ network: withoutParts(network), pools: [{ subnet: '10.0.0.0/24' }] }];
  return withFdb(withPort(withPartsOf({ ...emptyState, remembered }, network), row), {
    network: 'a',
    entry: { mac, port: 'p' },
  });
}

describe('the state file', () => {
  it('stands beside the control socket', () => {
    expect(statePathOf('/run/vswitchd/control.sock')).toBe('/run/vswitchd/control.state.json');
    expect(statePathOf('/x/socket')).toBe('/x/socket.state.json');
  });

  it('gives back what was written', async () => {
    await saveState(path, sample());
    expect(await loadState(path, NOW)).toEqual({ state: sample() });
    expect(await readdir(folder)).toEqual(['control.state.json']);
  });

  it('that does not exist yet is an empty state', async () => {
    expect(await loadState(path, NOW)).toEqual({ state: emptyState });
  });

  it.each([
    ['no JSON', '{"version": 1, "netw'],
    ['nothing', ''],
    [
      'another shape',
      '{"version": 2, "ports": 5, "peers": [], "fdb": [], "remembered": [], "unshared": []}',
    ],
    [
      'a bad value',
      '{"version": 1, "networks": [{"name": "a", "vni": 16777216}], "ports": [], "peers": [], "fdb": []}',
    ],
    ['no version', '{"networks": []}'],
    ['null', 'null'],
  ])('that holds %s is kept aside and told, and the next start is clean', async (_, text) => {
    await writeFile(path, text);
    const { state, broken } = await loadState(path, NOW);
    expect(state).toEqual(emptyState);
    expect(broken).toContain(path);
    const aside = `${path}.broken-2026-01-02T030405.000Z`;
    expect(broken).toContain(aside);
    expect(await readFile(aside, 'utf8')).toBe(text);
    expect(await loadState(path, NOW)).toEqual({ state: emptyState });
  });

  it('of a newer version is refused and left alone', async () => {
    await writeFile(path, '{"version": 3}');
    await expect(loadState(path, NOW)).rejects.toMatchObject({ code: 'STATE_NEWER' });
    expect(await readFile(path, 'utf8')).toBe('{"version": 3}');
  });

  it('keeps the old content when writing fails', async () => {
    await saveState(path, sample());
    await mkdir(`${path}.new`);
    await expect(saveState(path, emptyState)).rejects.toMatchObject({ code: 'STATE_UNWRITABLE' });
    expect(await loadState(path, NOW)).toEqual({ state: sample() });
  });

  it('says which file could not be written', async () => {
    await expect(saveState('/proc/nowhere/x.json', emptyState)).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
      subject: '/proc/nowhere/x.json',
    });
  });
});

it('a prepared state is not in effect, and a link in its place is not followed', async () => {
  await saveState(path, sample());
  await writeFile(join(folder, 'victim'), 'mine');
  await symlink(join(folder, 'victim'), `${path}.new`);
  const prepared = await prepareState(path, emptyState);
  expect(await readFile(join(folder, 'victim'), 'utf8')).toBe('mine');
  expect(await loadState(path, NOW)).toEqual({ state: sample() });
  await prepared.discard();
  expect((await readdir(folder)).sort()).toEqual(['control.state.json', 'victim']);
});

it('a directory in which others may replace files is refused', async () => {
  for (const [mode, fine] of [
    [0o755, true],
    [0o775, false],
    [0o777, false],
    [0o1777, true],
  ] as const) {
    await chmod(folder, mode);
    const asked = requireSafeDirectory(folder);
    if (fine) await asked;
    else await expect(asked).rejects.toMatchObject({ code: 'SOCKET_UNUSABLE' });
  }
});

it('of version 1 has networks that go to the store', async () => {
  const network = { name: 'a', vni: 300, subnet: '10.9.0.0/24' };
  const rows = { ports: [{ network: 'a', port: { name: 'p' } }], peers: [], fdb: [] };
  await writeFile(path, JSON.stringify({ version: 1, networks: [network], ...rows }));
  const { state, broken } = await loadState(path, NOW);
  expect(broken).toBeUndefined();
  expect(state.unshared).toMatchObject([{ network, pools: [{ subnet: '10.9.0.0/24' }] }]);
  expect(state.ports.map((row) => row.port.name)).toEqual(['p']);
});

describe('edits', () => {
  it('of a network take its rows along', () => {
    expect(withoutNetwork(sample(), 'a')).toEqual(emptyState);
    expect(withoutNetwork(sample(), 'b')).toEqual(sample());
  });

  it('of a port take its entries along', () => {
    expect(withoutPort(sample(), 'p')).toMatchObject({
      ports: [],
      fdb: [],
      remembered: [{ network: { name: 'a' } }],
    });
  });

  it('of peers tell ports apart', () => {
    const row = (port?: number) => ({ network: 'a', peer: { address: '10.0.0.2', port } });
    expect(withoutPeer(sample(), row()).peers).toHaveLength(1);
    expect(withoutPeer(sample(), row(1)).peers).toHaveLength(0);
    expect(withPeer(sample(), row(2)).peers).toHaveLength(2);
  });

  it('of the FDB replace by MAC; in the flood list by VTEP', () => {
    const moved = withFdb(sample(), { network: 'a', entry: { mac, local: true } });
    expect(moved.fdb).toEqual([{ network: 'a', entry: { mac, local: true } }]);
    expect(sameFdb({ mac: zero, vtep: '10.0.0.2' }, { mac: zero, vtep: '10.0.0.3' })).toBe(false);
    expect(withoutFdb(moved, 'a', mac).fdb).toEqual([]);
    expect(withoutFdb(moved, 'b', mac).fdb).toHaveLength(1);
  });
});
