import { expect, it } from 'vitest';
import { type Happening, HistorySentences } from '../../../src/model/historySentences.js';

const sentences = new HistorySentences([{ name: 'rx.why', sentence: 'That is why.' }]);
const mac = '02:00:00:00:00:01';
const T = '10.200.0.2:4789';
const ip = '10.0.0.2';

const lines: readonly (readonly [Happening, string])[] = [
  [
    { kind: 'learned', mac, port: 'c1' },
    `${mac} was heard for the first time: the FDB has it at port c1.`,
  ],
  [{ kind: 'moved', mac, port: T, from: 'c1' }, `${mac} moved from port c1 to VTEP ${T}.`],
  [
    { kind: 'aged', mac, port: 'c1' },
    `${mac} at port c1 was silent for too long and is forgotten.`,
  ],
  [{ kind: 'evicted', mac, port: 'c1' }, `${mac} is forgotten for a newer station at port c1.`],
  [
    { kind: 'flushed', mac, port: 'c1' },
    `${mac} at port c1 is forgotten: the FDB was flushed, or its port went.`,
  ],
  [{ kind: 'set', mac, origin: 'static' }, `${mac} has a static entry at this host itself.`],
  [
    { kind: 'set', mac, origin: 'control', port: T, fromOrigin: 'learned', from: 'c1' },
    `${mac} has a control entry at VTEP ${T}; before, it was learned at port c1.`,
  ],
  [
    { kind: 'removed', mac, origin: 'static', port: 'c1' },
    `The static entry of ${mac} at port c1 is removed.`,
  ],
  [
    { kind: 'refused', mac, port: 'c1', reason: 'full' },
    `${mac} at port c1 is not learned: the FDB, or its port, has as many as it may have.`,
  ],
  [
    { kind: 'refused', mac, port: 'c1', reason: 'conflict' },
    `${mac} at port c1 is not learned: a static or control entry has it elsewhere.`,
  ],
  [{ kind: 'refused', mac, port: 'c1', reason: 'new' }, `${mac} at port c1 is not learned: new.`],
  [
    { kind: 'answered', ip, mac, port: 'c1' },
    `A question for ${ip} at port c1 is answered here: it is at ${mac}.`,
  ],
  [{ kind: 'neighborSet', ip, mac }, `The control plane says that ${ip} is at ${mac}.`],
  [
    { kind: 'neighborRemoved', ip, mac },
    `The control plane no longer says that ${ip} is at ${mac}.`,
  ],
  [
    { kind: 'dropped', mac, port: 'c1', reason: 'rx.why' },
    `Frames from ${mac} are dropped at port c1: rx.why. That is why.`,
  ],
  [
    { kind: 'dropped', reason: 'rx.why' },
    'Frames are dropped at the underlay: rx.why. That is why.',
  ],
  [{ kind: 'portUp', port: 'c1' }, 'Port c1 is attached.'],
  [{ kind: 'portDown', port: 'c1' }, 'Port c1 is gone.'],
  [{ kind: 'portDown', port: 'c1', detail: 'no device' }, 'Port c1 is gone: no device.'],
  [{ kind: 'vtepUp', port: T }, `VTEP ${T} became a peer.`],
  [{ kind: 'vtepDown', port: T }, `VTEP ${T} is no peer any more.`],
  [{ kind: 'vtepHeard', ip: '10.200.0.2' }, 'VTEP 10.200.0.2 is heard of.'],
  [{ kind: 'vtepSilent', port: T }, `VTEP ${T} is silent: no datagrams, no answers.`],
  [
    { kind: 'pathMtu', port: T, from: '1500', detail: '1400' },
    `The path to ${T} carries IP packets of 1400 bytes, before 1500.`,
  ],
  [
    { kind: 'omitted', port: 'c1', count: 40 },
    '40 more happenings at port c1 were too many to be kept.',
  ],
];

it.each(lines)('%j', (line, sentence) => {
  expect(sentences.line(line)).toBe(sentence);
});
