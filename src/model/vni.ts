// VXLAN network identifiers: 24 bits (RFC 7348 section 5).

/** 0 is what a zeroed header gives, so a network uses it only when told to. */
export const VNI_MIN = 1;
export const VNI_MAX = 0xff_ff_ff;
/** Where allocation begins; what is below is left to people who number by hand. */
export const FIRST_ALLOCATED_VNI = 256;

/** Reads decimal text without sign, fraction or leading zeros; `undefined` when it is no 24-bit VNI. */
export function parseVni(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,7})$/.test(text)) return undefined;
  const vni = Number(text);
  return vni <= VNI_MAX ? vni : undefined;
}

/** The lowest VNI from 256 upward that is not taken; `undefined` when all are. */
export function firstFreeVni(taken: ReadonlySet<number>): number | undefined {
  for (let vni = FIRST_ALLOCATED_VNI; vni <= VNI_MAX; vni++) {
    if (!taken.has(vni)) return vni;
  }
  return undefined;
}
