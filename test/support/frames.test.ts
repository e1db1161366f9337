import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodePcap } from './capture.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  icmpEcho,
  ipv4,
  ipv6,
  PROTOCOL,
  tcp,
  udp,
  vxlan,
} from './frames.js';
import { temporaryDirectory } from './netns.js';
import { readPcap, writePcap } from './pcap.js';
import { testScope } from './testScope.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const V4 = { src: '10.0.0.1', dst: '10.0.0.2' };
const V6 = { src: 'fd00::1', dst: 'fd00:0:1::2' };

test('tshark finds every length and checksum right and reads back what was built', async () => {
  const data = Buffer.from('an odd length');
  const ports = { sourcePort: 1234, destinationPort: 53000 };
  const inner = ethernet(
    { dst: B, src: A },
    ipv4({ ...V4, protocol: PROTOCOL.tcp }, tcp(V4, { ...ports, sourcePort: 99 }, data)),
  );
  const outer = udp(
    V6,
    { sourcePort: 50000, destinationPort: 4789 },
    vxlan({ vni: 0xabcdef }, inner),
  );
  const link = { dst: B, src: A };
  const frames = [
    ethernet(
      link,
      ipv4(
        { ...V4, protocol: PROTOCOL.udp, options: Buffer.from([1, 1, 1, 1]) },
        udp(V4, ports, data),
      ),
    ),
    ethernet(
      link,
      ipv4({ ...V4, protocol: PROTOCOL.tcp, id: 7, dontFragment: true }, tcp(V4, ports, data)),
    ),
    ethernet(link, ipv6({ ...V6, nextHeader: PROTOCOL.tcp, flowLabel: 5 }, tcp(V6, ports, data))),
    ethernet(
      link,
      ipv4({ ...V4, protocol: PROTOCOL.icmp }, icmpEcho(V4, { type: 'request' }, data)),
    ),
    ethernet(
      link,
      ipv6({ ...V6, nextHeader: PROTOCOL.icmpv6 }, icmpEcho(V6, { type: 'reply' }, data)),
    ),
    ethernet(link, ipv6({ ...V6, nextHeader: PROTOCOL.udp }, outer)),
    ethernet(
      { dst: BROADCAST, src: A, type: ETHERTYPE.arp, tags: [{ vid: 7, pcp: 3 }] },
      arp({ op: 1, senderMac: A, senderIp: V4.src, targetIp: V4.dst }),
    ),
  ];
  const file = join(await temporaryDirectory(testScope(), 'frames'), 'all.pcap');
  await writePcap(file, frames);
  expect(await readPcap(file)).toEqual(frames);

  const status = ['ip.checksum.status', 'udp.checksum.status', 'tcp.checksum.status'] as const;
  const icmp = ['icmp.checksum.status', 'icmpv6.checksum.status'] as const;
  const rows = await decodePcap(file, [...status, ...icmp, '_ws.malformed', 'frame.protocols']);
  expect(rows.map((row) => row['frame.protocols'])).toEqual([
    'eth:ethertype:ip:udp:data',
    'eth:ethertype:ip:tcp:data',
    'eth:ethertype:ipv6:tcp:data',
    'eth:ethertype:ip:icmp:data',
    'eth:ethertype:ipv6:icmpv6:data',
    'eth:ethertype:ipv6:udp:vxlan:eth:ethertype:ip:tcp:data',
    'eth:ethertype:vlan:ethertype:arp',
  ]);
  for (const row of rows) {
    for (const field of [...status, ...icmp])
      expect(['', '1'], `${field} ${row['frame.protocols']}`).toContain(row[field]);
    expect(row['_ws.malformed']).toBe('');
  }
  const [vx] = await decodePcap(file, ['vxlan.vni', 'vxlan.flags', 'ip.src'], 'vxlan');
  expect(vx).toEqual({ 'vxlan.vni': '11259375', 'vxlan.flags': '0x0800', 'ip.src': V4.src });
  const [tagged] = await decodePcap(file, ['vlan.id', 'vlan.priority', 'arp.opcode'], 'arp');
  expect(tagged).toEqual({ 'vlan.id': '7', 'vlan.priority': '3', 'arp.opcode': '1' });
});
