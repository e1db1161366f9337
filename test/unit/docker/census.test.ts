import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Census } from '../../../src/docker/census.js';
import type { Engine, EngineContainer } from '../../../src/docker/engine.js';
import type { HostsFiles } from '../../../src/docker/hostsFiles.js';
import type { Networks } from '../../../src/docker/networks.js';
import { Notebook } from '../../../src/docker/notebook.js';
import { Releases } from '../../../src/docker/releases.js';
import { SwitchError } from '../../../src/model/error.js';
import { parseMac } from '../../../src/model/mac.js';
import { FakeDockerHost, FakeMemory, FakeOverlay } from '../../support/fakeDockerHost.js';

/** A census of one attached endpoint, with a clock and containers to set. */
async function setUp() {
  const overlay = new FakeOverlay();
  overlay.add('net1', 256, '10.0.0.0/24');
  const host = new FakeDockerHost(overlay);
  const log = pino({ level: 'silent' });
  const notebook = await Notebook.open(new FakeMemory(), log);
  const state = {
    time: 0,
    containers: [] as EngineContainer[],
    isAway: false,
    discarded: [] as string[],
  };
  const engine = {
    containers: async () => {
      if (state.isAway) throw new SwitchError('ENGINE_AWAY', '/containers/json');
      return state.containers;
    },
    container: async () => ({ aliases: new Map([['e1', ['c1', 'web']]]) }),
  } as unknown as Engine;
  const census = new Census({
    host,
    engine,
    notebook,
    releases: new Releases(host, notebook, log),
    networks: { leaveRemoved: async () => {}, removedButHere: [] } as unknown as Networks,
    hostsFiles: { check: async () => {}, follow: async () => {} } as unknown as HostsFiles,
    discard: async (_, id) => {
      await host.detach(id);
      notebook.notes.endpoints.delete(id);
      state.discarded.push(id);
    },
    now: () => state.time,
    log,
  });
  const look = async (time: number) => {
    state.time = time;
    await census.look();
  };
  const attach = () =>
    host.attach({
      id: 'e1',
      network: 'net1',
      mac: parseMac('02:42:0a:00:00:02')!,
      addresses: ['10.0.0.2/24'],
      ifname: 'vse1',
      sandbox: '/x',
      aliases: [],
    });
  return { host, notebook, state, look, attach, census };
}

const running = (name: string): EngineContainer => ({ id: 'c', name, endpoints: ['e1'] });

describe('the census', () => {
  it('names endpoints after their container, and again when that is renamed', async () => {
    const { host, state, look, attach, census } = await setUp();
    await attach();
    await look(0);
    expect(census.isComplete).toBe(false);
    state.containers = [running('c1')];
    await look(1);
    expect(host.endpoints()).toMatchObject([{ name: 'c1', aliases: ['web'] }]);
    expect(census.isComplete).toBe(true);
    state.containers = [running('other')];
    await look(2);
    expect(host.endpoints()).toMatchObject([{ name: 'other', aliases: ['c1', 'web'] }]);
  });

  it('removes an endpoint that has had no running container for long', async () => {
    const { state, look, attach } = await setUp();
    await attach();
    await look(0);
    await look(29_999);
    expect(state.discarded).toEqual([]);
    await look(30_000);
    expect(state.discarded).toEqual(['e1']);
  });

  it('leaves it alone when its container has been seen in between', async () => {
    const { state, look, attach } = await setUp();
    await attach();
    await look(0);
    state.containers = [running('c1')];
    await look(20_000);
    state.containers = [];
    await look(40_000);
    await look(69_999);
    expect(state.discarded).toEqual([]);
  });

  it('draws no conclusion while dockerd is away', async () => {
    const { state, look, attach } = await setUp();
    await attach();
    state.containers = [running('c1')];
    await look(0);
    state.isAway = true;
    await expect(look(100_000)).rejects.toMatchObject({ code: 'ENGINE_AWAY' });
    state.isAway = false;
    await look(200_000);
    expect(state.discarded).toEqual([]);
  });

  it('removes what was created and never joined', async () => {
    const { notebook, state, look } = await setUp();
    const mac = parseMac('02:42:0a:00:00:02')!;
    notebook.notes.endpoints.set('e2', { networkId: 'n', mac, addresses: [], taken: [] });
    await look(0);
    await look(30_000);
    expect(state.discarded).toEqual(['e2']);
  });
});
