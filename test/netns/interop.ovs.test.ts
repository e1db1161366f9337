import { describe } from 'vitest';
import { interop } from './interopSuite.js';

describe('with Open vSwitch over IPv4', () => {
  interop({ peer: 'ovs', family: 4 });
});

describe('with Open vSwitch over IPv4 with UDP checksums, its remote taken from the flow', () => {
  interop({ peer: 'ovs', family: 4, peerChecksum: true, remote: 'flow' });
});

describe('with Open vSwitch over IPv6', () => {
  interop({ peer: 'ovs', family: 6 });
});
