import { describe, expect, it } from 'vitest';
import { type Step, TraceSentences } from '../../../src/model/traceSentences.js';

const sentences = new TraceSentences([
  { name: 'rx.why', sentence: 'That is why.' },
  { name: 'tx.why', sentence: 'That is why not.' },
]);
const M = '02:00:00:00:00:01';
const R = '10.200.0.2';
const T = '10.200.0.2:4789';
const dropped = { outcome: 'dropped', reason: 'rx.why' };

/** Every kind of step with everything that may come of it, as the seam lists them. */
const steps: readonly (readonly [Step, string])[] = [
  [
    { kind: 'enters', port: 'c1', length: 60 },
    'A frame of 60 bytes enters at port c1 of network net1.',
  ],
  [
    { kind: 'datagram', remote: R, length: 68, outcome: 'vxlan' },
    'A UDP datagram of 68 bytes from 10.200.0.2 carries VXLAN.',
  ],
  [
    { kind: 'datagram', remote: R, length: 3, ...dropped },
    'A UDP datagram of 3 bytes comes from 10.200.0.2. That is why.',
  ],
  [
    { kind: 'network', vni: 256, outcome: 'up' },
    'It belongs to network net1 (VNI 256), which is up.',
  ],
  [{ kind: 'network', vni: 9, outcome: 'unknown', reason: 'rx.why' }, 'Its VNI is 9. That is why.'],
  [
    { kind: 'network', vni: 256, outcome: 'down', reason: 'rx.why' },
    'It belongs to network net1 (VNI 256). That is why.',
  ],
  [
    { kind: 'sender', remote: R, port: T, outcome: 'peer' },
    'Its sender 10.200.0.2 is a peer of the network: it comes in by the tunnel 10.200.0.2:4789.',
  ],
  [
    { kind: 'sender', remote: R, port: T, outcome: 'new' },
    'Its sender 10.200.0.2 is no peer yet; network net1 is open, so it becomes one.',
  ],
  [{ kind: 'sender', remote: R, ...dropped }, 'Its sender is 10.200.0.2. That is why.'],
  [
    { kind: 'reserved', detail: '0c00000000010000', outcome: 'ignored' },
    'Its VXLAN header 0c00000000010000 has bits set that must be zero; this network ignores them.',
  ],
  [
    { kind: 'reserved', detail: '0c00000000010000', ...dropped },
    'Its VXLAN header 0c00000000010000 has bits set that must be zero. That is why.',
  ],
  [{ kind: 'frame', length: 3, ...dropped }, 'The frame has 3 bytes. That is why.'],
  [
    { kind: 'vlan', vid: 5, outcome: 'kept' },
    'It has the VLAN tag 5, which this network lets pass.',
  ],
  [{ kind: 'vlan', vid: 0, outcome: 'stripped' }, 'It has a priority tag, which is taken off.'],
  [{ kind: 'vlan', vid: 5, ...dropped }, 'It has the VLAN tag 5. That is why.'],
  [
    { kind: 'congestion', from: 'ECT(0)', detail: 'CE', outcome: 'marked' },
    "The underlay's ECN (CE) is taken over: the packet had ECT(0).",
  ],
  [
    { kind: 'congestion', from: 'ECT(0)', detail: 'ECT(0)', outcome: 'unchanged' },
    "The underlay's ECN (ECT(0)) leaves the packet's own (ECT(0)) as it is.",
  ],
  [
    { kind: 'congestion', detail: 'CE', outcome: 'notIp' },
    "The underlay's ECN (CE) has no place in a frame without IP header.",
  ],
  [
    { kind: 'congestion', from: 'Not-ECT', detail: 'CE', ...dropped },
    "The underlay's ECN is CE, the packet's own Not-ECT. That is why.",
  ],
  [
    { kind: 'guard', port: 'c1', mac: M, outcome: 'allowed' },
    `Port c1 may send this, from ${M} and under its addresses.`,
  ],
  [
    { kind: 'guard', port: 'c1', mac: M, ...dropped },
    `Port c1 may not send this (its source is ${M}). That is why.`,
  ],
  [
    { kind: 'size', port: 'c1', length: 1500, mtu: 1450, ...dropped },
    'The packet has 1500 bytes, the MTU of port c1 is 1450. That is why.',
  ],
  [{ kind: 'addresses', mac: M, ...dropped }, `One of its addresses is ${M}. That is why.`],
  [
    { kind: 'learn', mac: M, port: 'c1', origin: 'static', outcome: 'known' },
    `Its source ${M} is known at port c1 (static).`,
  ],
  [
    { kind: 'learn', mac: M, port: 'c1', outcome: 'learned' },
    `Its source ${M} is new: the FDB learns it at port c1.`,
  ],
  [
    { kind: 'learn', mac: M, port: T, evicted: '02:00:00:00:00:09', outcome: 'learned' },
    `Its source ${M} is new: the FDB learns it at VTEP ${T}, and forgets 02:00:00:00:00:09 for it.`,
  ],
  [
    { kind: 'learn', mac: M, port: 'c1', from: T, outcome: 'moved' },
    `Its source ${M} was at VTEP ${T}: it has moved, and the FDB has it at port c1 from now on.`,
  ],
  [
    { kind: 'learn', mac: M, port: 'c1', from: 'c2', origin: 'static', outcome: 'conflict' },
    `Its source ${M} is at port c2 by a static entry, which learning does not change.`,
  ],
  [
    { kind: 'learn', mac: M, port: 'c1', origin: 'static', outcome: 'conflict', reason: 'rx.why' },
    `Its source ${M} is this host itself by a static entry, which learning does not change. That is why.`,
  ],
  [
    { kind: 'learn', mac: M, port: 'c1', outcome: 'full' },
    `Its source ${M} is not learned: the FDB has as many as it may have.`,
  ],
  [
    { kind: 'learn', mac: M, port: 'c1', outcome: 'off' },
    `Its source ${M} is not learned: this network does not learn.`,
  ],
  [
    { kind: 'lookup', mac: M, port: 'c2', origin: 'learned', outcome: 'found' },
    `The FDB has its destination ${M} at port c2 (learned).`,
  ],
  [
    {
      kind: 'lookup',
      mac: M,
      port: T,
      remote: R,
      origin: 'control',
      outcome: 'found',
      reason: 'tx.why',
    },
    `The FDB has its destination ${M} at VTEP ${T} (control). That is why not.`,
  ],
  [{ kind: 'lookup', mac: M, outcome: 'here' }, `Its destination ${M} is this host itself.`],
  [
    { kind: 'lookup', mac: M, outcome: 'unknown' },
    `The FDB does not know its destination ${M}: it is for everybody who takes that.`,
  ],
  [
    { kind: 'lookup', mac: M, outcome: 'unknown', reason: 'tx.why' },
    `The FDB does not know its destination ${M}. That is why not.`,
  ],
  [{ kind: 'lookup', mac: M, outcome: 'broadcast' }, 'Its destination is broadcast: everybody.'],
  [
    { kind: 'lookup', mac: '01:00:5e:00:00:01', outcome: 'multicast' },
    'Its destination 01:00:5e:00:00:01 is a multicast group: everybody.',
  ],
  [
    { kind: 'neighbor', ip: '10.0.0.2', mac: M, outcome: 'answered' },
    `It is about 10.0.0.2 (at ${M} by the neighbor table): the question is answered here and goes no further.`,
  ],
  [
    { kind: 'neighbor', ip: '10.0.0.2', outcome: 'forwarded', note: 'arp.unknown' },
    'It is about 10.0.0.2: passed on, not answered here (arp.unknown).',
  ],
  [
    { kind: 'neighbor', ip: '10.0.0.2', outcome: 'keptHere' },
    'It is about 10.0.0.2: no tunnel gets it.',
  ],
  [
    { kind: 'neighbor', ip: '10.0.0.2', mac: M, from: '02:00:00:00:00:09', ...dropped },
    `It is about 10.0.0.2 (at ${M} by the neighbor table), and 02:00:00:00:00:09 claims it. That is why.`,
  ],
  [
    { kind: 'flood', detail: 'broadcast', outcome: 'copies' },
    'A copy goes to every other port that takes broadcast.',
  ],
  [
    { kind: 'flood', detail: 'multicast', outcome: 'keptHere' },
    'It concerns nobody else: no other port gets a copy.',
  ],
  [
    { kind: 'flood', detail: 'unknownUnicast', ...dropped },
    'It would go to every other port that takes frames for unknown stations. That is why.',
  ],
  [
    { kind: 'tooBig', port: 'c1', mtu: 1400, note: 'icmp.ptb_sent', outcome: 'told' },
    'Its sender is told by ICMP, at port c1, that packets may have 1400 bytes (icmp.ptb_sent).',
  ],
  [
    { kind: 'tooBig', port: 'c1', mtu: 1400, note: 'icmp.ratelimited', outcome: 'untold' },
    'Its sender is not told that it is too big (icmp.ratelimited).',
  ],
];

describe('each step', () => {
  it.each(steps)('%j', (step, sentence) => {
    expect(sentences.step(step, 'net1')).toBe(sentence);
  });
});

describe('copies and endings', () => {
  const local = { port: 'c2', kind: 'tap', length: 60 } as const;

  it('of what is consumed say by whom', () => {
    const answered: Step[] = [{ kind: 'neighbor', ip: '10.0.0.2', outcome: 'answered' }];
    const ending = { verdict: 'consumed', copies: [] } as const;
    expect(sentences.ending({ ...ending, steps: answered })).toBe(
      'It goes no further: this host answers it.',
    );
    expect(sentences.ending({ ...ending, steps: [{ kind: 'flood', outcome: 'keptHere' }] })).toBe(
      'It goes no further: it concerns nobody else.',
    );
    expect(sentences.ending({ ...ending, steps: [{ kind: 'lookup', outcome: 'here' }] })).toBe(
      'It goes no further: it is for this host itself.',
    );
  });

  it('of a flood that reaches nobody say so', () => {
    const copies = [
      { ...local, reason: 'tx.why' },
      { ...local, port: 'c3', reason: 'tx.why' },
    ];
    expect(sentences.ending({ verdict: 'flood', steps: [], copies })).toBe(
      'It reaches nobody: every copy is dropped.',
    );
    expect(sentences.ending({ verdict: 'flood', steps: [], copies: copies.slice(1) })).toBe(
      'At port c3 it is dropped: tx.why. That is why not.',
    );
  });

  it('of a fragmented datagram say so', () => {
    const copy = { port: T, kind: 'tunnel', length: 2000, vni: 256, udpPort: 4789 } as const;
    expect(sentences.copy({ ...copy, sourcePort: 50_000, note: 'tx.fragmented' })).toBe(
      'It leaves by the tunnel 10.200.0.2:4789: VNI 256, UDP port 50000 to 4789, an IP packet of 2000 bytes, in fragments.',
    );
  });
});
