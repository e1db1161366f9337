// The VXLAN header, RFC 7348 section 5.

export const VXLAN_HEADER_LENGTH = 8;

/** The UDP payload around a frame: the I flag and the VNI, all else zero. */
export function vxlanDatagram(vni: number, frame: Uint8Array): Uint8Array {
  const head = Buffer.alloc(VXLAN_HEADER_LENGTH);
  head[0] = 0x08;
  head.writeUIntBE(vni, 4, 3);
  return Buffer.concat([head, frame]);
}
