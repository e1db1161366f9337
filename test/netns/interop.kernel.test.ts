import { describe } from 'vitest';
import { interop } from './interopSuite.js';

describe("with the kernel's vxlan over IPv4", () => {
  interop({ peer: 'kernel', family: 4 });
});

describe("[A1] with the kernel's vxlan over IPv4 without UDP checksums", () => {
  interop({ peer: 'kernel', family: 4, peerChecksum: false });
});

describe("with the kernel's vxlan over IPv6", () => {
  interop({ peer: 'kernel', family: 6 });
});
