import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TraceView } from '../../../src/control/client.js';
import type { Trace } from '../../../src/datapath/seam.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';
import { ethernet, ipv4, udp, vxlan } from '../../support/frames.js';
import { writePcap } from '../../support/pcap.js';

const NET1 = `networks:
  - name: net1
    vni: 300
    peers: [10.200.0.2, {address: 10.200.0.3, vni: 301}]
    fdb: [{mac: "02:42:0a:00:00:02", vtep: 10.200.0.2}]
    ports:
      - {name: c1, netns: c1, mac: "02:42:0a:00:00:01", addresses: [10.0.0.1/24]}
      - {name: gone, netns: nowhere}
`;
const FRAME = '02420a00000202420a00000188b50000';

async function running(tracing?: Trace): Promise<FakeDaemon> {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  const fake = await FakeDaemon.running(NET1, host);
  if (tracing !== undefined && host.datapath !== undefined) host.datapath.tracing = tracing;
  return fake;
}

const traced = ({ host }: FakeDaemon) =>
  host.datapath?.traced.map(({ bytes, ...request }) => ({
    ...request,
    bytes: Buffer.from(bytes).toString('hex'),
  }));

const toVtep: Trace = {
  network: 'net1',
  steps: [
    { kind: 'enters', port: 'c1', length: 58 },
    { kind: 'guard', port: 'c1', mac: '02:42:0a:00:00:01', outcome: 'allowed' },
    {
      ...{ kind: 'learn', mac: '02:42:0a:00:00:01', port: 'c1' },
      ...{ origin: 'static', outcome: 'known' },
    },
    {
      ...{ kind: 'lookup', mac: '02:42:0a:00:00:02', port: '10.200.0.2:4789' },
      ...{ remote: '10.200.0.2', origin: 'static', outcome: 'found' },
    },
  ],
  verdict: 'to',
  copies: [
    {
      ...{ port: '10.200.0.2:4789', kind: 'tunnel', remote: '10.200.0.2', vni: 300 },
      ...{ udpPort: 4789, sourcePort: 50_123, pathMtu: 1500, length: 108 },
      ...{ note: 'mss.clamped', mss: 1410 },
    },
  ],
};

describe('trace', () => {
  it('prints what was assumed, each decision, and how it ends', async () => {
    const fake = await running(toVtep);
    const flow = 'ether dst 02:42:0a:00:00:02 ip dst 10.0.0.2 tcp dport 80';
    const { code, out } = await fake.ctl('trace', 'net1', '--port', 'c1', flow);
    expect(code).toBe(0);
    expect(
      out,
    ).toBe(`02:42:0a:00:00:01 > 02:42:0a:00:00:02, IPv4 10.0.0.1 > 10.0.0.2, TCP 50000 > 80 SYN, 58 bytes
  No source address was said: it is 10.0.0.1, from port c1.
  No source port was said: it is TCP 50000.
  No flags were said: it is a SYN, the first segment.
  No source MAC was said: it is 02:42:0a:00:00:01, from port c1.

 1. A frame of 58 bytes enters at port c1 of network net1.
 2. Port c1 may send this, from 02:42:0a:00:00:01 and under its addresses.
 3. Its source 02:42:0a:00:00:01 is known at port c1 (static).
 4. The FDB has its destination 02:42:0a:00:00:02 at VTEP 10.200.0.2:4789 (static).

It leaves by the tunnel 10.200.0.2:4789: VNI 300, UDP port 50123 to 4789, an IP packet of 108 bytes, of 1500 that the path carries, with its MSS lowered to 1410.
`);
    expect(traced(fake)).toEqual([
      { port: 'c1', bytes: expect.stringMatching(/^02420a00000202420a0000010800/) },
    ]);
  });

  it('of a drop is an answer like any other, with the reason and its sentence', async () => {
    const fake = await running({
      network: 'net1',
      steps: [
        { kind: 'enters', port: 'c1', length: 16 },
        {
          kind: 'addresses',
          mac: '00:00:00:00:00:00',
          reason: 'rx.src_mac_zero',
          outcome: 'dropped',
        },
      ],
      verdict: 'drop',
      reason: 'rx.src_mac_zero',
      copies: [],
    });
    const { code, out } = await fake.ctl('trace', 'net1', '--port', 'c1', '--hex', FRAME);
    expect(code).toBe(0);
    expect(out).toContain(
      '2. One of its addresses is 00:00:00:00:00:00. The source MAC is all zero.',
    );
    expect(out).toMatch(/\n\nIt is dropped: rx\.src_mac_zero\. The source MAC is all zero\.\n$/);
  });

  it('of a flood names each copy', async () => {
    const fake = await running({
      network: 'net1',
      steps: [{ kind: 'flood', detail: 'unknownUnicast', outcome: 'copies' }],
      verdict: 'flood',
      copies: [
        { port: 'c2', kind: 'tap', length: 60 },
        { port: 'c3', kind: 'tap', length: 60, reason: 'tx.port_gone' },
      ],
    });
    const { out } = await fake.ctl('trace', 'net1', '--port', 'c1', '--hex', FRAME);
    expect(
      out,
    ).toContain(` 1. A copy goes to every other port that takes frames for unknown stations.
  - It leaves by port c2 (60 bytes).
  - At port c3 it is dropped: tx.port_gone. The port has disappeared.

Copies leave by c2; 1 more dropped.
`);
  });

  it('from a VTEP wraps the frame as that VTEP would', async () => {
    const fake = await running();
    for (const [peer, vni] of [
      ['10.200.0.2', '00012c'],
      ['10.200.0.3', '00012d'],
      ['10.200.0.9', '00012c'],
    ] as const) {
      const { summary } = await fake.json<TraceView>(
        ...['trace', 'net1', '--peer', peer, '--hex', FRAME],
      );
      expect(summary).toBe(
        `from VTEP ${peer}: 02:42:0a:00:00:01 > 02:42:0a:00:00:02, ethertype 0x88b5, 16 bytes`,
      );
      expect(traced(fake)?.at(-1)).toEqual({
        datagram: { source: peer, sourcePort: expect.any(Number), udpPort: 4789, tos: 0 },
        bytes: `08000000${vni}00${FRAME}`,
      });
    }
  });

  it('takes from a VTEP whom the FDB has behind it', async () => {
    const fake = await running();
    const { summary } = await fake.json<TraceView>(
      ...['trace', 'net1', '--peer', '10.200.0.2', 'ip src 10.0.0.2 dst 10.0.0.1'],
    );
    expect(summary).toContain('02:42:0a:00:00:02 > 02:42:0a:00:00:01, IPv4 10.0.0.2 > 10.0.0.1');
  });

  it('takes packets of a capture: a datagram from its own source, any other as a frame', async () => {
    const fake = await running();
    const frame = Buffer.from(FRAME, 'hex');
    const ends = { src: '10.200.0.2', dst: '10.200.0.1' };
    const payload = vxlan({ vni: 300, flags: 0x0c }, frame);
    const outer = (destinationPort: number) =>
      ethernet(
        { src: '02:00:00:00:00:0a', dst: '02:00:00:00:00:0b' },
        ipv4(
          { ...ends, protocol: 17, tos: 3 },
          udp(ends, { sourcePort: 7, destinationPort }, payload),
        ),
      );
    const file = join(fake.folder, 'some.pcap');
    await writePcap(file, [frame, outer(4789), outer(4790)]);
    const trace = (...args: string[]) => fake.ctl('trace', 'net1', '--pcap', file, ...args);

    expect((await trace('--port', 'c1')).code).toBe(0);
    expect(traced(fake)?.at(-1)).toEqual({ port: 'c1', bytes: FRAME });
    const { out } = await trace('--packet', '2');
    expect(out).toMatch(/^from VTEP 10\.200\.0\.2: 02:42:0a:00:00:01 > 02:42:0a:00:00:02, /);
    expect(traced(fake)?.at(-1)).toEqual({
      datagram: { source: '10.200.0.2', sourcePort: expect.any(Number), udpPort: 4789, tos: 3 },
      bytes: payload.toString('hex'),
    });
    await trace('--packet', '2', '--peer', '10.200.0.3');
    expect(traced(fake)?.at(-1)?.datagram?.source).toBe('10.200.0.3');
    await trace('--packet', '2', '--port', 'c1');
    expect(traced(fake)?.at(-1)).toEqual({ port: 'c1', bytes: outer(4789).toString('hex') });
    await trace('--packet', '3', '--peer', '10.200.0.2');
    expect(traced(fake)?.at(-1)?.bytes).toBe(`0800000000012c00${outer(4790).toString('hex')}`);

    expect(await trace()).toMatchObject({ code: 2, err: expect.stringContaining('say where') });
    expect(await trace('--packet', '4')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/there is no packet 4 in .*some\.pcap: it has 3;/),
    });
    const missing = await fake.ctl('trace', 'net1', '--pcap', `${file}.no`);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('cannot read') });
    await writeFile(file, 'no capture at all');
    expect(await trace()).toMatchObject({
      code: 1,
      err: expect.stringContaining('it has 0 (the file is neither pcap nor pcapng);'),
    });
  });

  it('takes what a capture did not keep of a packet for zeros', async () => {
    const fake = await running();
    const file = join(fake.folder, 'snapped.pcap');
    await writePcap(file, [Buffer.from(FRAME, 'hex').subarray(0, 14)]);
    const bytes = await readFile(file);
    bytes.writeUInt32LE(60, 24 + 12);
    await writeFile(file, bytes);
    await fake.ctl('trace', 'net1', '--pcap', file, '--port', 'c1');
    expect(traced(fake)?.at(-1)?.bytes).toBe(FRAME.slice(0, 28) + '00'.repeat(46));
  });

  it.each([
    [['net1', '--port', 'c1', 'ip dst 192.0.2.9'], 'nobody here knows which MAC 192.0.2.9 has'],
    [['net1', '--port', 'c1', 'ip dst nobody'], '"nobody" (word 3) does not fit behind "dst"'],
    [
      ['net1', '--port', 'c1', 'ip dst 10.0.0.2 len 20 ether dst 02:00:00:00:00:01'],
      'say a greater len',
    ],
    [['net1', '--port', 'nope', '--hex', FRAME], 'there is no port nope: network net1 has none'],
    [['net1', '--port', 'gone', '--hex', FRAME], 'cannot trace at port gone: it is not attached ('],
    [['nope', '--port', 'c1', '--hex', FRAME], 'there is no network nope'],
  ])('%j is refused', async (args, why) => {
    const fake = await running();
    const { code, out, err } = await fake.ctl('trace', ...args);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(why);
  });

  it.each([
    [['net1', 'ip dst 10.0.0.2']],
    [['net1', '--port', 'c1', '--peer', '10.200.0.2', '--hex', FRAME]],
    [['net1', '--port', 'c1']],
    [['net1', '--port', 'c1', '--hex', FRAME, 'ip dst 10.0.0.2']],
    [['net1', '--port', 'c1', '--hex', 'abc']],
    [['net1', '--port', 'c1', '--hex', FRAME, '--packet', '2']],
    [['net1', '--port', 'c1', '--hex', FRAME, '--pcap', 'x']],
    [['net1', '--peer', 'host', '--hex', FRAME]],
  ])('%j is bad usage', async (args) => {
    const fake = await running();
    const { code, out, err } = await fake.ctl('trace', ...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('error:');
  });
});
