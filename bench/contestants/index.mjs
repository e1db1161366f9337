// Who is measured, and how each is started at a site.
import { buildSite, until } from '../lab/site.mjs';
import { hasTinc } from '../setup.mjs';
import { startKernel } from './kernel.mjs';
import { startOvs } from './ovs.mjs';
import { startTinc } from './tinc.mjs';
import { startVeth } from './veth.mjs';
import { facilities, startMixed, startVswitchd, startWithPacketPorts } from './vswitchd.mjs';

/** The contestant that all are compared with. */
export const reference = 'kernel';

/** One way from vswitchd to the kernel, the reverse way from the kernel to vswitchd. */
const mixedWorks = ['tcp1', 'tcp1r', 'small', 'rtt-udp'];
const packetWorks = ['tcp1', 'tcp1r', 'local', 'small', 'large', 'rtt-udp'];

/**
 * In the order of the tables. `variant`: vswitchd without something; it is measured in less. `works`: what it is
 * measured in, by name, if not in all. `start(lab, site)` returns `{ pids, sockets?, localAddress?, alone? }`: the daemons and
 * their control sockets, where c3 is for c1 if not at its address, and whether there is no c3. `present()` is false where its program is missing.
 */
export const contestants = [
  { name: 'vswitchd', title: 'vswitchd', start: startVswitchd },
  throughUnderlay('ring'),
  throughUnderlay('tunnel-gso'),
  { ...without('vswitchd-spin', 'vswitchd, no spin', ['spin']), variant: false },
  { name: reference, title: 'kernel vxlan + bridge', start: startKernel },
  { name: 'ovs', title: 'Open vSwitch, userspace', start: startOvs },
  { name: 'tinc', title: 'tinc, no cipher', start: startTinc, present: hasTinc },
  { name: 'veth', title: 'bare veth', start: startVeth },
  { name: 'mixed', title: 'vswitchd to kernel', start: startMixed, works: mixedWorks },
  throughPackets('vswitchd-packet', 'vswitchd, packet ports', []),
  throughPackets('vswitchd-packet-bare', 'packet ports without vnet_hdr', ['vnet_hdr']),
  ...facilities.map((name) => without(`vswitchd-${name}`, `without ${name}`, [name])),
  without('vswitchd-all', 'without all of them', facilities),
].map((contestant) => ({ variant: false, present: () => true, ...contestant }));

function throughUnderlay(underlay) {
  const start = (lab, site) => startVswitchd(lab, site, { datapath: { underlay } });
  return { name: `vswitchd-${underlay}`, title: `vswitchd, ${underlay}`, start };
}

function throughPackets(name, title, off) {
  const start = (lab, site) => startWithPacketPorts(lab, site, { features: switchedOff(off) });
  return { name, title, start, works: packetWorks };
}

function without(name, title, off) {
  const datapath = { features: switchedOff(off) };
  return {
    name,
    title,
    variant: true,
    start: (lab, site) => startVswitchd(lab, site, { datapath }),
  };
}

function switchedOff(names) {
  return Object.fromEntries(names.map((facility) => [facility, 'off']));
}

/**
 * Builds the site of a contestant and starts it there; returns when its containers reach each other.
 *
 * `{ name, pids, from, to, neighbour, host, sockets }`: containers `{ namespace, address }`; `from` reaches `to` on the
 * other host and `neighbour`, which may be undefined, on its own. `host`: namespace of the host of `from`; `sockets`:
 * control sockets of the daemons, if they have any.
 */
export async function begin(lab, contestant, underlay) {
  const { name, start } = contestant;
  const site = await buildSite(lab, `${name}-${underlay}`, underlay);
  const { pids, localAddress, alone, sockets } = await start(lab, site);
  const [from, third] = site.a.containers;
  const [to] = site.b.containers;
  const neighbour = alone ? undefined : { ...third, address: localAddress ?? third.address };
  for (const target of [to, neighbour].filter(Boolean)) {
    const ping = ['ping', '-q', '-c1', '-W1', target.address];
    const reaches = () => lab.inside(from.namespace, ping).then(() => true);
    await until(`${target.name} at ${name}`, reaches, lab.signal);
  }
  return { name, pids, from, to, neighbour, host: site.a.namespace, sockets };
}
