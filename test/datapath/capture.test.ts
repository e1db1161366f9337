/** What a capture says of frames and datagrams, read by tshark. */

import { describe, expect, it } from 'vitest';
import { BROADCAST, ethernet, ipv4, numberedMac, udp } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { CaptureReader } from './capturing.js';
import { desired, lab, PEER } from './desired.js';
import { datagram, MemorySwitch } from './memorySwitch.js';

const [A, B, REMOTE] = [numberedMac(1), numberedMac(2), numberedMac(3)];
const hello = ethernet({ dst: BROADCAST, src: A, type: 0x88b5 }, Buffer.alloc(46, 'hello'));

function message(src: string, dst: string, length = 100): Buffer {
  const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
  const fields = { sourcePort: 5000, destinationPort: 5001 };
  const payload = udp(ends, fields, Buffer.alloc(length, 'm'));
  return ethernet({ dst, src, type: 0x0800 }, ipv4({ ...ends, protocol: 17 }, payload));
}

async function running(state = desired(lab())): Promise<MemorySwitch> {
  return await MemorySwitch.running(testScope(), state);
}

describe('a capture', () => {
  it('has each frame once, where it entered, with what the switch says of it', async () => {
    const lan = await running();
    const reader = await CaptureReader.start(testScope(), lan.datapath);
    await lan.enter('a', hello);
    await lan.arrive(datagram(message(REMOTE, A)));
    await lan.enter('b', message(B, REMOTE));
    await lan.enter('b', ethernet({ dst: B, src: B, type: 0x88b5 }, Buffer.alloc(46)));
    const packets = await reader.packets();
    expect(packets.map(({ interface: at, comment }) => [at, comment])).toEqual([
      ['net/a (VNI 256)', 'flood (broadcast) to 2 ports'],
      [`net/${PEER}:4789 (VNI 256)`, `to port a: FDB entry of ${A}, origin learned`],
      ['net/b (VNI 256)', `to tunnel ${PEER}:4789: FDB entry of ${REMOTE}, origin learned`],
      ['net/b (VNI 256)', 'drop rx.src_eq_dst: Source and destination MAC are the same.'],
    ]);
    expect(packets.map(({ direction }) => direction)).toEqual(Array(4).fill('0x00000001'));
    expect(new Set(packets.map(({ id }) => id)).size).toBe(4);
    expect(packets.map(({ length }) => length)).toEqual([60, 142, 142, 60]);
  });

  it('has what no network got, as it came', async () => {
    const lan = await running();
    const reader = await CaptureReader.start(testScope(), lan.datapath);
    await lan.arrive(datagram(message(REMOTE, A), { vni: 257 }));
    await lan.arrive(datagram(message(REMOTE, A), { from: '10.200.0.99' }));
    const packets = await reader.packets();
    expect(packets.map(({ interface: at, vni, comment }) => [at, vni, comment])).toEqual([
      ['underlay', '257', 'drop rx.vni_unknown: No network here has this VNI on this UDP port.'],
      [
        'underlay',
        '256',
        "drop rx.vtep_unknown: The sender is not in the network's closed list of peers.",
      ],
    ]);
    expect(packets.map(({ protocols }) => protocols)).toEqual(
      Array(2).fill('raw:ip:udp:vxlan:eth:ethertype:ip:udp:data'),
    );
  });

  it('links a frame and its datagrams', async () => {
    const lan = await running();
    const reader = await CaptureReader.start(testScope(), lan.datapath, { side: 'both' });
    await lan.enter('a', hello);
    await lan.arrive(datagram(message(REMOTE, A)));
    const packets = await reader.packets();
    expect(packets.map(({ interface: at, direction }) => [at, direction])).toEqual([
      ['net/a (VNI 256)', '0x00000001'],
      [`net/${PEER}:4789 outer (VNI 256)`, '0x00000002'],
      [`net/${PEER}:4789 (VNI 256)`, '0x00000001'],
      [`net/${PEER}:4789 outer (VNI 256)`, '0x00000001'],
    ]);
    const [frame, sent, arrived, came] = packets;
    expect(sent?.id).toBe(frame?.id);
    expect(came?.id).toBe(arrived?.id);
    expect(frame?.id).not.toBe(arrived?.id);
    expect([sent?.vni, came?.vni]).toEqual(['256', '256']);
    expect(sent?.comment).toMatch(/^sent.*; came from port a$/);
  });

  it('is begun off the main thread: the filter may have names in it, which are looked up', async () => {
    const { datapath } = await running();
    const spec = { side: 'inner', dropsOnly: false, snaplen: 96, socket: '/dev/null' } as const;
    const begun = datapath.capture({ ...spec, filter: 'tcp port' });
    await expect(begun).rejects.toMatchObject({ code: 'BAD_FILTER' });
  });
});
