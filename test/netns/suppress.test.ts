/**
 * ARP and ND suppression as the kernel's own stack sees it: it asks, it looks for duplicates, and it is what our answers
 * are compared with. Nobody is there to answer but us.
 *
 *   container c1 (10.0.0.1, fd00:10::1) ┬ switch in this process ══ underlay in memory
 *   container c3 (10.0.0.3, fd00:10::3) ┘
 *   elsewhere: 10.0.0.2, fd00:10::2
 */

import { beforeAll, beforeEach, expect, it } from 'vitest';
import { loadAddon } from '../../src/datapath/binding.js';
import type { NativeDatapath, NeighborSpec, NetworkSpec } from '../../src/datapath/seam.js';
import { desired, network, PEER, port, tunnel } from '../datapath/desired.js';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer } from '../support/topology.js';

const scope = fileScope();
const REMOTE = { mac: '02:42:0a:00:00:02', address: { 4: '10.0.0.2', 6: 'fd00:10::2' } } as const;
let c1: Container;
let c3: Container;
let datapath: NativeDatapath;

beforeAll(async () => {
  [c1, c3] = [await createContainer(scope, 'c1', 1), await createContainer(scope, 'c3', 3)];
  datapath = new (loadAddon().Datapath)();
  await scope.defer('the switch', () => datapath.stop());
  await datapath.apply(desired(net()));
  datapath.start(() => undefined);
});

/** The kernel has forgotten everybody, and what is known is what it was at first. */
beforeEach(async () => {
  await datapath.apply(desired(net()));
  await c1.namespace.ip('neigh flush all dev eth0');
  datapath.underlayTake();
});

function net(remoteMac: string = REMOTE.mac): NetworkSpec {
  const ports = [c1, c3].map(({ name, namespace, ifname, mac, address }) =>
    port(name, {
      ...{ kind: 'tap', netns: namespace.path, ifname, mac },
      addresses: [`${address[4]}/24`, `${address[6]}/64`],
    }),
  );
  const local = [c1, c3].flatMap((container) => neighborsOf(container, { local: true }));
  const key = { remote: PEER, udpPort: 4789, vni: 256 };
  return network('net', 256, {
    ports,
    tunnels: [tunnel(PEER, 256)],
    fdb: [{ mac: remoteMac, origin: 'control', to: { tunnel: key } }],
    neighbors: [...local, ...neighborsOf({ ...REMOTE, mac: remoteMac }, { local: false })],
  });
}

type Station = Pick<Container, 'mac' | 'address'>;

function neighborsOf({ mac, address }: Station, where: { local: boolean }): NeighborSpec[] {
  const rest = { mac, state: 'live', router: false, ...where } as const;
  return [address[4], address[6]].map((ip) => ({ ip, ...rest }));
}

/** Those of the frames that have gone to the peer since the last look. */
function sent(matches: (frame: Buffer) => boolean): readonly Buffer[] {
  const frames = datapath.underlayTake().map(({ payload }) => Buffer.from(payload).subarray(8));
  return frames.filter(matches);
}

const isArp = (frame: Buffer) => frame.readUInt16BE(12) === 0x0806;
const isIcmpv6 = (type: number) => (frame: Buffer) =>
  frame.readUInt16BE(12) === 0x86dd && frame[20] === 58 && frame[54] === type;
const isSolicitation = isIcmpv6(135);
const isBroadcast = (frame: Buffer) => ((frame[0] ?? 0) & 1) === 1;

async function neighbor(ip: string): Promise<{ lladdr?: string; state: string[] } | undefined> {
  const [found] = await c1.namespace.ipJson<{ lladdr?: string; state: string[] }[]>(
    ...['neigh', 'show', ip, 'dev', 'eth0'],
  );
  return found;
}

async function ping(from: Container, ip: string): Promise<void> {
  await from.namespace.tryExec('ping', ['-c', '1', '-W', '1', ip]);
}

it('[K185] [K198] the kernel finds a station elsewhere without a question in the tunnel', async () => {
  for (const ip of [REMOTE.address[4], REMOTE.address[6]]) {
    await ping(c1, ip);
    expect(await neighbor(ip)).toMatchObject({ lladdr: REMOTE.mac, state: ['REACHABLE'] });
  }
  const frames = sent(() => true);
  expect(frames.filter(isArp)).toEqual([]);
  expect(frames.filter(isSolicitation)).toEqual([]);
  const echoes = frames.filter((frame) => frame.subarray(0, 6).toString('hex') === hex(REMOTE.mac));
  expect(echoes).toHaveLength(2);
});

it('[K187] the kernel finds a station of this host by that answering itself', async () => {
  for (const ip of [c3.address[4], c3.address[6]]) {
    await ping(c1, ip);
    expect(await neighbor(ip)).toMatchObject({ lladdr: c3.mac, state: ['REACHABLE'] });
  }
  expect(sent((frame) => isArp(frame) || isSolicitation(frame))).toEqual([]);
});

it('[K185] [K198] what we answer is byte for byte what the kernel answers of itself', async () => {
  const capture = await Capture.start(testScope(), c1, 'arp or icmp6');
  const kinds = [
    [4, (frame: Buffer) => isArp(frame) && frame[21] === 2],
    [6, isIcmpv6(136)],
  ] as const;
  for (const [family, isAnswer] of kinds) {
    await ping(c1, c3.address[family]);
    await ping(c1, REMOTE.address[family]);
    const to1 = (frame: Buffer) => frame.subarray(0, 6).toString('hex') === hex(c1.mac);
    const answers = await capture.waitFor(2, (frame) => to1(frame) && isAnswer(frame));
    const by = (mac: string) =>
      answers.find((frame) => frame.subarray(6, 12).toString('hex') === hex(mac)) ??
      Buffer.alloc(0);
    // Station 3 for station 2: the last byte of its MAC and of its address, and so the checksum.
    const [theirs, ours] = [by(c3.mac), by(REMOTE.mac)].map((frame) => Buffer.from(frame));
    const differing = [...(theirs ?? [])].flatMap((byte, at) => (byte === ours?.[at] ? [] : [at]));
    expect(ours).toHaveLength(theirs?.length ?? -1);
    expect(differing).toEqual(family === 4 ? [11, 27, 31] : [11, 37, 57, 77, 85]);
  }
});

it('[K192] [K202] the kernel asks the owner itself whether it is alive, and that goes to it', async () => {
  for (const ip of [REMOTE.address[4], REMOTE.address[6]]) {
    await c1.namespace.ip(`neigh replace ${ip} lladdr ${REMOTE.mac} dev eth0 nud probe`);
  }
  const probes: Buffer[] = [];
  await eventually('both probes', () => {
    probes.push(...sent((frame) => isArp(frame) || isSolicitation(frame)));
    return probes.some(isArp) && probes.some(isSolicitation);
  });
  expect(probes.filter(isBroadcast)).toEqual([]);
});

it('[K200] the kernel gives up an address that a station elsewhere has', async () => {
  const taken = REMOTE.address[6];
  // Namespaces of this test bed do not look for duplicates otherwise.
  const conf = 'ipv6/conf/eth0';
  await c1.namespace.sysctl({ [`${conf}/accept_dad`]: 1, [`${conf}/dad_transmits`]: 1 });
  await c1.namespace.ip(`address add ${taken}/64 dev eth0`);
  await testScope().defer('the address', () => c1.namespace.ip(`address del ${taken}/64 dev eth0`));
  await eventually('the duplicate is seen', async () => {
    const [link] = await c1.namespace.ipJson<
      { addr_info: { local: string; dadfailed?: boolean }[] }[]
    >(...['-6', 'address', 'show', 'dev', 'eth0']);
    return link?.addr_info.find(({ local }) => local === taken)?.dadfailed === true;
  });
});

it('[K206] the kernel knows at once that a station has another MAC', async () => {
  const ips = [REMOTE.address[4], REMOTE.address[6]];
  for (const ip of ips) await ping(c1, ip);
  const other = '02:42:0a:00:00:99';
  await datapath.apply(desired(net(other)));
  for (const ip of ips) {
    await eventually(`${ip} has its new MAC`, async () => (await neighbor(ip))?.lladdr === other);
  }
  expect(sent((frame) => isArp(frame) || isIcmpv6(136)(frame))).toEqual([]);
});

function hex(mac: string): string {
  return mac.replaceAll(':', '');
}
