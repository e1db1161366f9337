import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.js';
import { Datapath } from '../../../src/datapath/datapath.js';
import type { ChangeReport } from '../../../src/overlay/overlay.js';
import type { Intent } from '../../../src/overlay/plan.js';
import { Reconciler } from '../../../src/overlay/reconcile.js';
import { FakeHost } from '../../support/fakeDatapath.js';

let host: FakeHost;
let reconciler: Reconciler;
let log: string[];
let now: number;

beforeEach(() => {
  host = new FakeHost();
  log = [];
  now = 0;
  reconciler = new Reconciler({
    datapath: new Datapath(host.addon),
    namespaces: host.namespaceAt,
    log: pino({ base: null }, { write: (line) => void log.push(JSON.parse(line).msg) }),
    now: () => now,
  });
});

/** An intent with one network that has these ports. */
function intent(...ports: string[]): Intent {
  const text = `vtep: {address: 10.200.0.1}\nnetworks: [{name: n, vni: 9, ports: [${ports.map((p) => `{${p}}`).join(', ')}]}]`;
  const { vtep, datapath, networks } = parseConfig(text, 'test').config;
  return { vtep, datapath, owner: '/run/x.sock', networks, underlayMtu: 1500 };
}

/** A change for good: what it left over is swept. */
async function change(next: Intent): Promise<ChangeReport> {
  const { apply, retired } = await reconciler.change(next);
  return { apply, ...(await reconciler.sweep(retired)) };
}

const running = () => host.datapath?.desired?.networks.flatMap((n) => n.ports.map((p) => p.name));
const states = (...names: string[]) => names.map((name) => reconciler.condition(name)?.state);

describe('at the start', () => {
  it('ports without namespace wait, and the others run', async () => {
    host.namespaces.set('/run/netns/b', 'B');
    await change(intent('name: a, netns: a', 'name: b, netns: b'));
    expect(running()).toEqual(['b']);
    expect(reconciler.condition('a')).toEqual({
      state: 'waiting',
      reason: 'its network namespace /run/netns/a does not exist',
    });
  });

  it.each([
    'TAP_BUSY',
    'IFNAME_TAKEN',
    'NO_FILES',
    'MTU_IMPOSSIBLE',
    'IO',
    'NETNS_GONE',
    'NO_SETNS',
  ])('[O250] a port that fails with %s waits, and the others run', async (code) => {
    host.broken.set('a', code);
    await change(intent('name: a', 'name: b', 'name: c'));
    expect(running()).toEqual(['b', 'c']);
    expect(states('a', 'b', 'c')).toEqual(['waiting', 'attached', 'attached']);
  });

  it.each(['NO_NET_ADMIN', 'NO_TUN', 'BAD_VALUE'])('%s refuses everything', async (code) => {
    host.broken.set('a', code);
    await expect(change(intent('name: a', 'name: b'))).rejects.toMatchObject({ code });
    expect(running()).toBeUndefined();
  });
});

describe('a change', () => {
  it('attaches a new port or leaves everything as it was', async () => {
    await change(intent('name: a'));
    host.broken.set('b', 'TAP_BUSY');
    await expect(change(intent('name: a', 'name: b'))).rejects.toMatchObject({
      code: 'TAP_BUSY',
    });
    await expect(change(intent('name: a', 'name: c, netns: c'))).rejects.toMatchObject({
      code: 'NETNS_GONE',
      subject: 'port c',
    });
    expect(running()).toEqual(['a']);
    expect(states('a', 'b', 'c')).toEqual(['attached', undefined, undefined]);
  });

  it('goes through although another port has to wait', async () => {
    host.namespaces.set('/run/netns/a', 'A');
    await change(intent('name: a, netns: a'));
    host.namespaces.delete('/run/netns/a');
    await change(intent('name: a, netns: a', 'name: b'));
    expect(running()).toEqual(['b']);
    expect(states('a', 'b')).toEqual(['waiting', 'attached']);
  });

  it('is strict with a port whose settings changed', async () => {
    await change(intent('name: a'));
    await expect(change(intent('name: a, netns: a'))).rejects.toMatchObject({
      code: 'NETNS_GONE',
    });
    expect(running()).toEqual(['a']);
  });

  it('removes the TAPs of ports that are gone, and no others', async () => {
    host.namespaces.set('/run/netns/a', 'A');
    await change(intent('name: a, netns: a', 'name: b', 'name: c'));
    const { removed: removedTaps, apply } = await change(intent('name: c'));
    expect(removedTaps.map((tap) => [tap.netns, tap.ifname])).toEqual([
      ['/run/netns/a', 'eth0'],
      [undefined, 'b'],
    ]);
    expect(apply.removed).toEqual(['port a', 'port b']);
    expect(host.taps.map((tap) => tap.ifname)).toEqual(['c']);
  });

  it('removes the old TAP of a port that moved', async () => {
    await change(intent('name: a, ifname: one'));
    await change(intent('name: a, ifname: two'));
    expect(host.taps.map((tap) => tap.ifname)).toEqual(['two']);
  });

  it('does not mind that the namespace took the TAP along', async () => {
    host.namespaces.set('/run/netns/a', 'A');
    await change(intent('name: a, netns: a'));
    host.namespaces.delete('/run/netns/a');
    const { removed: removedTaps } = await change(intent());
    expect(removedTaps).toEqual([]);
    expect(log).not.toContain('TAP not removed');
  });

  it('that changes nothing applies nothing and says so', async () => {
    await change(intent('name: a'));
    const { applies } = host;
    const { apply } = await change(intent('name: a'));
    expect(host.applies).toBe(applies);
    expect(apply).toMatchObject({ added: [], removed: [], changed: [] });
    expect(apply.kept).toContain('port a');
  });
});

describe('a port with a sandbox', () => {
  const SANDBOX = '/var/run/docker/netns/1';
  const owner = '/run/x.sock';

  async function joined(): Promise<Intent> {
    host.namespaces.set(SANDBOX, 'S');
    host.taps.push({ ifname: 'eth0', port: 'a', owner, namespace: 'S' });
    const plain = intent('name: a', 'name: b');
    const networks = plain.networks.map((network) => ({
      ...network,
      ports: network.ports.map((port) =>
        port.name === 'a' ? { ...port, sandbox: SANDBOX } : port,
      ),
    }));
    await change({ ...plain, networks });
    expect(states('a', 'b')).toEqual(['attached', 'attached']);
    return { ...plain, networks };
  }

  it.each([
    ['gone', undefined],
    ['of another', 'T'],
  ])('is let go of when its path is %s: its container is no more', async (_, next) => {
    await joined();
    if (next === undefined) host.namespaces.delete(SANDBOX);
    else host.namespaces.set(SANDBOX, next);
    await reconciler.refresh();
    expect(running()).toEqual(['b']);
    expect(reconciler.condition('a')).toMatchObject({ state: 'waiting', code: 'TAP_GONE' });
  });

  it('stays as it is while its path leads there', async () => {
    const wanted = await joined();
    const { applies } = host;
    await reconciler.refresh();
    await change(wanted);
    expect(host.applies).toBe(applies);
  });
});

describe('[O251] a namespace', () => {
  beforeEach(async () => {
    host.namespaces.set('/run/netns/a', 'A');
    await change(intent('name: a, netns: a', 'name: b'));
  });

  it('that disappears releases its port, once', async () => {
    host.namespaces.delete('/run/netns/a');
    await reconciler.refresh();
    expect(running()).toEqual(['b']);
    const { applies } = host;
    await reconciler.refresh();
    await reconciler.refresh();
    expect(host.applies).toBe(applies);
    expect(log.filter((line) => line === 'port waiting')).toHaveLength(2);
  });

  it('that comes back gets its port again', async () => {
    host.namespaces.delete('/run/netns/a');
    await reconciler.refresh();
    host.namespaces.set('/run/netns/a', 'A2');
    await reconciler.refresh();
    expect(running()).toEqual(['a', 'b']);
    expect(states('a')).toEqual(['attached']);
  });

  it('that was replaced under the same name gets its port anew', async () => {
    host.namespaces.set('/run/netns/a', 'A2');
    await reconciler.refresh();
    expect(running()).toEqual(['a', 'b']);
    expect(host.taps.filter((tap) => tap.ifname === 'eth0').map((tap) => tap.namespace)).toContain(
      'A2',
    );
  });

  it('that stays costs no apply', async () => {
    const { applies } = host;
    await reconciler.refresh();
    expect(host.applies).toBe(applies);
  });
});

describe('a port', () => {
  it('whose device is gone is opened anew', async () => {
    await change(intent('name: a', 'name: b'));
    host.taps.splice(0);
    reconciler.markGone('a');
    await reconciler.refresh();
    expect(running()).toEqual(['a', 'b']);
    expect(host.taps.map((tap) => tap.ifname)).toEqual(['a']);
  });

  it('that waits is tried again', async () => {
    host.broken.set('a', 'TAP_BUSY');
    await change(intent('name: a', 'name: b'));
    await reconciler.refresh();
    expect(states('a')).toEqual(['waiting']);
    host.broken.clear();
    now = 1000;
    await reconciler.refresh();
    expect(states('a')).toEqual(['attached']);
    expect(running()).toEqual(['a', 'b']);
  });

  it('named by process does not follow the PID to a stranger', async () => {
    host.namespaces.set('/proc/77/ns/net', 'A');
    await change(intent('name: a, netns: 77'));
    host.namespaces.set('/proc/77/ns/net', 'HOST');
    await reconciler.refresh();
    await reconciler.refresh();
    expect(running()).toEqual([]);
    expect(reconciler.condition('a')).toMatchObject({
      reason: '/proc/77/ns/net is of another process now',
    });
    host.namespaces.set('/proc/77/ns/net', 'A');
    await reconciler.refresh();
    expect(running()).toEqual(['a']);
  });
});

it('a lost device is not forgotten when its release fails', async () => {
  await change(intent('name: a', 'name: b'));
  host.taps.splice(0);
  reconciler.markGone('a');
  host.heldUdpPorts.add(4789);
  await reconciler.refresh();
  expect(host.taps).toEqual([]);
  host.heldUdpPorts.clear();
  await reconciler.refresh();
  expect(host.taps.map((tap) => tap.ifname)).toEqual(['a']);
});

it('a refresh that fails is logged once and changes nothing', async () => {
  host.broken.set('a', 'TAP_BUSY');
  await change(intent('name: a', 'name: b'));
  host.broken.set('a', 'NO_TUN');
  now = 1000;
  await reconciler.refresh();
  await reconciler.refresh();
  expect(running()).toEqual(['b']);
  expect(log.filter((line) => line === 'cannot apply')).toHaveLength(1);
});

it('a TAP that bears the mark of another port of ours is not removed', async () => {
  await change(intent('name: a, ifname: one', 'name: b'));
  host.taps.splice(0, 1, { ...host.taps[0]!, port: 'other' });
  await change(intent('name: b'));
  expect(host.taps.map((tap) => tap.port)).toEqual(['other', 'b']);
});

describe('a place that another port of ours had', () => {
  it('goes to the renamed port at once', async () => {
    host.namespaces.set('/run/netns/s', 'S');
    await change(intent('name: a, netns: s'));
    expect((await change(intent('name: b, netns: s'))).left).toEqual([]);
    expect(states('b')).toEqual(['attached']);
    expect(host.taps.map((tap) => tap.port)).toEqual(['b']);
  });

  it('also when two ports change places', async () => {
    await change(intent('name: a, ifname: one', 'name: b, ifname: two'));
    await change(intent('name: a, ifname: two', 'name: b, ifname: one'));
    expect(states('a', 'b')).toEqual(['attached', 'attached']);
    expect(host.taps.map((tap) => `${tap.port} ${tap.ifname}`).sort()).toEqual(['a two', 'b one']);
  });

  it('stays as it is when only the path is spelt differently', async () => {
    host.namespaces.set('/run/netns/s', 'S').set('/var/run/netns/s', 'S');
    await change(intent('name: a, netns: s'));
    const { applies } = host;
    await change(intent('name: a, netns: /var/run/netns/s'));
    expect(host.applies).toBe(applies);
    expect(host.taps).toHaveLength(1);
  });
});

it('TAPs of ports that nobody wants go, those of waiting ports stay', async () => {
  host.namespaces.set('/run/netns/s', 'S');
  const tap = { owner: '/run/x.sock', ifname: 'eth0', namespace: 'S', netns: '/run/netns/s' };
  host.taps.push({ ...tap, port: 'old' }, { ...tap, ifname: 'eth1', port: 'waits' });
  await reconciler.change(intent('name: a, netns: s', 'name: waits, netns: later, ifname: eth1'));
  expect(states('a')).toEqual(['waiting']);
  const { removed } = await reconciler.sweepAll();
  expect(removed.map((item) => item.port)).toEqual(['old']);
  expect(states('a')).toEqual(['attached']);
  expect(host.taps.map((item) => item.port).sort()).toEqual(['a', 'waits']);
});

it('a port that cannot be opened is tried after 1, 2, 4 ... 30 s, and at once in another namespace', async () => {
  host.namespaces.set('/run/netns/s', 'S');
  host.broken.set('a', 'TAP_BUSY');
  await reconciler.change(intent('name: a, netns: s'));
  const tried: number[] = [];
  for (; now <= 130_000; now += 1000) {
    const { applies } = host;
    await reconciler.refresh();
    if (host.applies > applies) tried.push(now / 1000);
  }
  expect(tried).toEqual([1, 3, 7, 15, 31, 61, 91, 121]);
  host.namespaces.set('/run/netns/s', 'S2');
  host.broken.clear();
  await reconciler.refresh();
  expect(states('a')).toEqual(['attached']);
});
