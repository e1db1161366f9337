import { describe, expect, it, onTestFinished } from 'vitest';
import { SwitchError } from '../../../src/model/error.js';
import { parseMac } from '../../../src/model/mac.js';
import { STALE_MS } from '../../../src/overlay/settings.js';
import { FakeOverlay, SELF } from '../../support/fakeOverlay.js';

const POOL = { pools: [{ subnet: '10.9.0.0/24' }] };
const OTHER = '10.200.0.2';
const C9 = { mac: '02:42:0a:09:00:09', addresses: ['10.9.0.9/24'], name: 'c9', aliases: [] };

async function shared(settings: object = {}): Promise<FakeOverlay> {
  const fake = await FakeOverlay.started();
  await fake.addNetwork({ name: 'net', vni: 300, ...POOL, ...settings });
  return fake;
}

describe('a network of the store', () => {
  it('costs the datapath nothing until something of this host is in it', async () => {
    const fake = await shared();
    fake.sharing.host(OTHER, 'net', C9);
    await fake.overlay.follow();
    expect(fake.overlay.networks.map((network) => network.name)).toEqual(['net']);
    expect(fake.running('net')).toBeUndefined();
    await fake.addPort('net', { name: 'p' });
    expect(fake.running('net')?.tunnels).toMatchObject([{ remote: OTHER, vni: 300, flood: true }]);
  });

  it('has the containers of other hosts as control entries and neighbors, and its own as local ones', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.sharing.host(OTHER, 'net', C9);
    await fake.overlay.follow();
    const tunnel = { remote: OTHER, udpPort: 4789, vni: 300 };
    expect(fake.running('net')?.fdb).toEqual([{ mac: C9.mac, origin: 'control', to: { tunnel } }]);
    expect(fake.running('net')?.neighbors).toEqual([
      { ip: '10.9.0.2', mac: '02:42:0a:09:00:02', local: true, state: 'live', router: false },
      { ip: '10.9.0.9', mac: C9.mac, local: false, state: 'live', router: false },
    ]);
  });

  it('without suppression has no neighbors; without port security its ports have no guard', async () => {
    const fake = await shared({ neigh_suppress: 'off', port_security: 'off' });
    await fake.addPort('net', { name: 'p' });
    fake.sharing.host(OTHER, 'net', C9);
    await fake.overlay.follow();
    expect(fake.running('net')).toMatchObject({ neighbors: [], fdb: [{ mac: C9.mac }] });
    expect(fake.running('net')?.ports[0]).not.toHaveProperty('guard');
  });

  it('answers for nobody when the store was out of reach for long', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.sharing.host(OTHER, 'net', C9);
    fake.sharing.become({}, { state: 'degraded', since: 0 });
    fake.now = STALE_MS + 1;
    await fake.overlay.follow();
    expect(fake.running('net')?.neighbors.map(({ local, state }) => [local, state])).toEqual([
      [true, 'live'],
      [false, 'stale'],
    ]);
  });

  it('whose VNI the file has is left out, told, and its ports keep their TAPs', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    const file = [{ ...fake.overlay.network('net'), name: 'filed', ports: [] }];
    await fake.overlay.reload(async () => ({ ...fake.overlay.base, file }));
    expect(fake.overlay.skipped.map(({ what }) => what)).toEqual(['network net', 'port p']);
    expect(fake.host.taps.map((tap) => tap.port)).toEqual(['p']);
    await fake.overlay.reload(async () => ({ ...fake.overlay.base, file: [] }));
    expect(fake.running('net')?.ports.map((port) => port.name)).toEqual(['p']);
  });

  it('that cannot run here stays as it was, is told, and keeps no other from being followed', async () => {
    const fake = await shared();
    await fake.addNetwork({ name: 'other', vni: 301, pools: [{ subnet: '10.8.0.0/24' }] });
    await fake.addPort('net', { name: 'p' });
    await fake.addPort('other', { name: 'q' });
    fake.host.heldUdpPorts.add(4790);
    const change = (port: number) => {
      const networks = new Map(fake.sharing.state.networks);
      const record = networks.get('net');
      if (record === undefined) throw new Error('no net');
      networks.set('net', { ...record, network: { ...record.network, port } });
      fake.sharing.become({ networks });
    };
    change(4790);
    fake.sharing.host(OTHER, 'other', C9);
    await fake.overlay.follow();
    expect(fake.running('net')).toMatchObject({ udpPort: 4789, ports: [{ name: 'p' }] });
    expect(fake.running('other')?.fdb).toMatchObject([{ mac: C9.mac }]);
    expect(fake.overlay.trouble).toBe('');
    expect(fake.overlay.skipped).toMatchObject([
      { what: 'network net', why: expect.stringContaining('4790') },
    ]);
    await fake.addPort('other', { name: 'r' });
    expect(fake.log.filter((line) => line === 'held back')).toHaveLength(1);

    change(4791);
    await fake.overlay.follow();
    expect(fake.running('net')).toMatchObject({ udpPort: 4791 });
    expect(fake.overlay.skipped).toEqual([]);
  });

  it('that cannot run here is tried again, also by itself', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    const runtime = fake.saved;
    fake.host.heldUdpPorts.add(4790);
    const { networks } = fake.sharing.state;
    const record = networks.get('net');
    if (record === undefined) throw new Error('no net');
    const odd = { ...record, network: { ...record.network, port: 4790 } };
    fake.sharing.become({ networks: new Map([['net', odd]]) });
    await fake.overlay.follow();
    fake.now += 29_000;
    fake.host.heldUdpPorts.clear();
    await fake.overlay.follow();
    expect(fake.running('net')).toMatchObject({ udpPort: 4789 });
    fake.now += 2_000;
    fake.overlay.requestRefresh();
    await fake.overlay.follow();
    expect(fake.running('net')).toMatchObject({ udpPort: 4790 });
    expect(runtime.ports).toEqual(fake.saved.ports);
  });

  it('that the store has lost comes back with its ports, whose TAPs were there all the time', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    const { networks } = fake.sharing.state;
    fake.sharing.become({ networks: new Map() });
    await fake.overlay.follow();
    expect(fake.running('net')).toBeUndefined();
    expect(fake.host.taps).toHaveLength(1);
    fake.sharing.become({ networks });
    await fake.overlay.follow();
    expect(fake.running('net')?.ports).toHaveLength(1);
  });

  it('that the store has lost leaves no TAP of a port that is removed', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.sharing.become({ networks: new Map() });
    await fake.overlay.follow();
    await fake.ports.remove('p');
    expect(fake.host.taps).toEqual([]);
  });

  it('is the same one on every host where two have one VNI', async () => {
    const fake = await shared();
    const record = fake.sharing.state.networks.get('net');
    if (record === undefined) throw new Error('no network');
    const twin = { ...record, network: { ...record.network, name: 'a-twin' } };
    for (const order of [
      [record, twin],
      [twin, record],
    ]) {
      const networks = new Map(order.map((item) => [item.network.name, item]));
      fake.sharing.become({ networks, vnis: new Map() });
      await fake.overlay.follow();
      expect([...fake.overlay.shared.keys()]).toEqual(['a-twin']);
      expect(fake.overlay.skipped.map(({ what }) => what)).toEqual(['network net']);
      fake.sharing.become({ vnis: new Map([[300, 'net']]) });
      await fake.overlay.follow();
      expect([...fake.overlay.shared.keys()]).toEqual(['net']);
    }
  });

  it('that the switch cannot run as the store has it is told as long as that is so', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.host.heldUdpPorts.add(4789);
    fake.sharing.host(OTHER, 'net', C9);
    await fake.overlay.follow();
    expect(fake.overlay.trouble).toContain('4789');
    fake.host.heldUdpPorts.clear();
    await fake.overlay.follow();
    expect(fake.overlay.trouble).toBe('');
  });

  it('is followed no more by an overlay that has stopped', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    await fake.overlay.stop();
    const { applies } = fake.host;
    fake.sharing.host(OTHER, 'net', C9);
    fake.overlay.portGone('p');
    await fake.overlay.stop();
    expect(fake.host.applies).toBe(applies);
  });

  it('is remembered where rows are about it, so that a start without store goes on', async () => {
    const first = await shared();
    await first.addNetwork({ name: 'unused' });
    await first.addPort('net', { name: 'p' });
    expect(first.saved.remembered.map(({ network }) => network.name)).toEqual(['net']);
    const second = new FakeOverlay([], first.saved);
    second.sharing.become({}, { state: 'connecting' });
    await second.overlay.start();
    expect(second.running('net')?.ports.map((port) => port.name)).toEqual(['p']);
    await second.overlay.stop();
  });
});

describe('adding a network', () => {
  it('is taken back from the store when this host cannot go along', async () => {
    const fake = await FakeOverlay.started();
    fake.diskFull = true;
    const ports = [{ name: 'p' }];
    await expect(fake.addNetwork({ name: 'net', ports })).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
    });
    expect(fake.sharing.state.networks.size).toBe(0);
    expect(fake.overlay.networks).toEqual([]);
    expect(fake.host.taps).toEqual([]);
  });

  it('that the file contradicts does not reach the store', async () => {
    const fake = await FakeOverlay.started([{ name: 'filed', vni: 300 }]);
    let asked = 0;
    fake.sharing.onChange(() => {
      asked += 1;
    });
    await expect(fake.addNetwork({ name: 'net', vni: 300 })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('network filed has it'),
    });
    expect(asked).toBe(0);
  });

  it('with the store away is refused', async () => {
    const fake = await FakeOverlay.started();
    fake.sharing.become({}, { state: 'degraded' });
    await expect(fake.addNetwork({ name: 'net' })).rejects.toMatchObject({ code: 'STORE_DOWN' });
  });

  it('of an older state file happens once at the start; what the store refuses for now waits', async () => {
    const { network } = { network: networkOf('old') };
    const unshared = [{ network, pools: [] }];
    const away = new FakeOverlay([], { unshared });
    away.sharing.become({}, { state: 'connecting' });
    await away.overlay.start();
    expect(away.overlay.networks.map(({ name }) => name)).toEqual(['old']);
    expect(away.saved.unshared).toHaveLength(1);
    await away.overlay.stop();
    const fake = await FakeOverlay.started([], { unshared });
    expect([...fake.sharing.state.networks.keys()]).toEqual(['old']);
    expect(fake.saved.unshared).toEqual([]);
  });

  it('of an older state file asks a store that is away only once, however many there are', async () => {
    const unshared = ['a', 'b', 'c'].map((name) => ({ network: networkOf(name), pools: [] }));
    const fake = new FakeOverlay([], { unshared });
    const asked: string[] = [];
    fake.sharing.joinNetwork = async ({ network }) => {
      asked.push(network.name);
      throw new SwitchError('STORE_DOWN', 'x');
    };
    await fake.overlay.start();
    await fake.overlay.stop();
    expect(asked).toEqual(['a']);
    expect(fake.saved.unshared).toEqual(unshared);
  });

  it('of an older state file that the store contradicts is left out, told, and can be removed', async () => {
    const fake = new FakeOverlay([], { unshared: [{ network: networkOf('old'), pools: [] }] });
    await fake.sharing.createNetwork({
      ...{ network: networkOf('theirs'), pools: [], owner: 'people' },
    });
    await fake.overlay.start();
    onTestFinished(() => fake.overlay.stop());
    expect(fake.overlay.skipped.map(({ what }) => what)).toEqual(['network old']);
    await fake.networks.remove('old');
    expect(fake.overlay.skipped).toEqual([]);
    expect(fake.saved.unshared).toEqual([]);
    expect([...fake.sharing.state.networks.keys()]).toEqual(['theirs']);
  });
});

function networkOf(name: string) {
  return new FakeOverlay([{ name, vni: 400 }]).overlay.base.file[0]!;
}

describe('removing a network', () => {
  it('takes its ports along, and tells the others first', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    expect(fake.sharing.announced).toHaveLength(1);
    await fake.networks.remove('net');
    expect(fake.sharing.announced).toEqual([]);
    expect([fake.sharing.state.networks.size, fake.host.taps.length]).toEqual([0, 0]);
    expect(fake.saved).toMatchObject({ ports: [], remembered: [] });
  });

  it('is refused while another host has containers in it, and nothing happens', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.sharing.host(OTHER, 'net', C9);
    await expect(fake.networks.remove('net')).rejects.toMatchObject({
      code: 'NETWORK_IN_USE',
      message: expect.stringContaining(`c9 on host ${OTHER}`),
    });
    expect(fake.sharing.announced).toHaveLength(1);
    expect(fake.host.taps).toHaveLength(1);
  });

  it('with the store away changes nothing', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.sharing.become({}, { state: 'degraded' });
    await expect(fake.networks.remove('net')).rejects.toMatchObject({ code: 'STORE_DOWN' });
    expect(fake.sharing.announced).toHaveLength(1);
    expect(fake.host.taps).toHaveLength(1);
  });

  it('that cannot be saved puts it back into the store', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p' });
    fake.diskFull = true;
    await expect(fake.networks.remove('net')).rejects.toMatchObject({ code: 'STATE_UNWRITABLE' });
    expect(fake.sharing.state.networks.get('net')).toMatchObject({
      network: { vni: 300 },
      ...POOL,
    });
    expect(fake.host.taps).toHaveLength(1);
  });
});

describe('a port of a network with pools', () => {
  it('gets an address and a MAC of it, is announced, and may send as nobody else', async () => {
    const fake = await shared();
    const port = await fake.addPort('net', { name: 'p' });
    expect(port).toMatchObject({ addresses: ['10.9.0.2/24'], mac: '02:42:0a:09:00:02' });
    expect(fake.sharing.announced).toEqual([
      {
        ...{ network: 'net', id: `${SELF}/p`, name: 'p', aliases: [] },
        ...{ mac: '02:42:0a:09:00:02', addresses: ['10.9.0.2/24'] },
      },
    ]);
    expect(fake.running('net')?.ports[0]?.guard).toEqual({
      ...{ macs: ['02:42:0a:09:00:02'], addresses: ['10.9.0.2'] },
    });
    await fake.ports.remove('p');
    expect(fake.sharing.announced).toEqual([]);
    expect(fake.sharing.released).toEqual(['10.9.0.2']);
  });

  it('that cannot be attached gives its address back', async () => {
    const fake = await shared();
    fake.host.broken.set('p', 'TAP_BUSY');
    await expect(fake.addPort('net', { name: 'p' })).rejects.toMatchObject({ code: 'TAP_BUSY' });
    expect(fake.sharing.released).toEqual(['10.9.0.2']);
  });

  it('with the store away is refused, unless it brings its address', async () => {
    const fake = await shared();
    fake.sharing.become({}, { state: 'degraded' });
    await expect(fake.addPort('net', { name: 'p' })).rejects.toMatchObject({ code: 'STORE_DOWN' });
    const own = { name: 'p', addresses: ['10.9.0.7/24'] };
    expect(await fake.addPort('net', own)).toMatchObject({ mac: '02:42:0a:09:00:07' });
    expect(fake.sharing.announced).toHaveLength(1);
  });

  it('with an address of its own outside the pools is announced, and not guarded', async () => {
    const fake = await shared();
    await fake.addPort('net', { name: 'p', addresses: ['172.16.0.1/24'] } as { name: string });
    expect(fake.sharing.announced).toHaveLength(1);
    expect(fake.running('net')?.ports[0]).not.toHaveProperty('guard');
  });

  it('without addresses is announced by a MAC, so that other hosts flood to this one', async () => {
    const fake = await FakeOverlay.started();
    await fake.addNetwork({ name: 'net', ports: [{ name: 'first' }] });
    await fake.addPort('net', { name: 'p' });
    const mac = expect.stringMatching(/^02:42:/);
    expect(fake.sharing.announced).toMatchObject([
      { name: 'first', mac, addresses: [] },
      { name: 'p', mac, addresses: [] },
    ]);
    expect(fake.running('net')?.ports[1]).not.toHaveProperty('guard');
  });

  it('does not get an address that another port here has', async () => {
    const fake = await shared();
    const own = (name: string) => ({ name, addresses: ['10.9.0.7/24'] });
    await fake.addPort('net', own('p'));
    await expect(fake.addPort('net', own('q'))).rejects.toMatchObject({
      code: 'ADDRESS_TAKEN',
      message: expect.stringContaining('port p has it'),
    });
  });
});

describe('a container', () => {
  const container = {
    ...{ network: 'net', id: 'e1'.repeat(32), ifname: 'vse1', sandbox: '/run/docker/netns/s' },
    ...{ mac: parseMac('02:42:0a:09:00:05')!, addresses: ['10.9.0.5/24'], aliases: [] },
  };

  it('gets a TAP in our namespace, and is announced with what Docker gave it', async () => {
    const fake = await shared();
    await fake.containers.attach(container);
    await fake.containers.attach(container);
    expect(fake.host.taps).toMatchObject([{ ifname: 'vse1', port: 'vse1', namespace: undefined }]);
    expect(fake.running('net')?.ports).toMatchObject([
      { sandbox: container.sandbox, addresses: [], guard: { addresses: ['10.9.0.5'] } },
    ]);
    await fake.containers.rename(container.id, 'web', ['w']);
    expect(fake.sharing.announced).toMatchObject([
      { id: container.id, addresses: ['10.9.0.5/24'], name: 'web', aliases: ['w'] },
    ]);
    expect(fake.containers.containers).toEqual([{ ...container, name: 'web', aliases: ['w'] }]);
  });

  it('keeps its TAP wherever it is moved, over a restart too', async () => {
    const fake = await shared();
    await fake.containers.attach(container);
    fake.host.namespaces.set(container.sandbox, 'S');
    const [tap] = fake.host.taps.splice(0);
    const moved = { ...tap!, ifname: 'eth0', namespace: 'S', netns: container.sandbox };
    fake.host.taps.push(moved);
    const again = new FakeOverlay([], fake.saved);
    again.host.namespaces.set(container.sandbox, 'S');
    again.host.taps.push(moved);
    again.sharing.become(fake.sharing.state);
    await again.overlay.start();
    expect(again.overlay.portCondition('vse1')).toMatchObject({ state: 'attached' });
    expect(again.host.taps).toEqual([moved]);
    await again.containers.detach(container.id);
    expect(again.host.taps).toEqual([]);
    await again.containers.detach(container.id);
    await again.overlay.stop();
  });

  it('whose TAP somebody destroyed is forgotten', async () => {
    const fake = await shared();
    await fake.containers.attach(container);
    fake.host.taps.splice(0);
    fake.overlay.portGone('vse1');
    await expect.poll(() => fake.saved.ports).toEqual([]);
    expect(fake.sharing.announced).toEqual([]);
  });

  it('that does not come to be leaves no TAP', async () => {
    const fake = await shared();
    fake.diskFull = true;
    await expect(fake.containers.attach(container)).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
    });
    expect([fake.host.taps, fake.sharing.announced]).toEqual([[], []]);
  });

  it('keeps its network from being removed', async () => {
    const fake = await shared();
    await fake.containers.attach(container);
    await expect(fake.networks.remove('net')).rejects.toMatchObject({ code: 'NETWORK_IN_USE' });
  });
});
