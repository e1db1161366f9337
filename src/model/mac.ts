// Ethernet addresses as text, in the one form that the whole program compares: six lower-case
// pairs with colons, `02:42:0a:00:00:01` (IEEE 802-2014 section 8.1 order, kernel notation).

declare const macBrand: unique symbol;

/** A MAC address in canonical text. Only `parseMac` makes one. */
export type Mac = string & { readonly [macBrand]: true };

/** Reads colon or hyphen notation in either case; `undefined` when it is no MAC address. */
export function parseMac(text: string): Mac | undefined {
  const pairs = /^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text);
  return pairs ? (text.toLowerCase().replaceAll('-', ':') as Mac) : undefined;
}

/** Individual/group bit set: multicast or broadcast. */
export function isGroupMac(mac: Mac): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

/** The all-zero address: never a station; in an FDB it stands for the flood list, as in `bridge fdb`. */
export function isZeroMac(mac: Mac): boolean {
  return mac === '00:00:00:00:00:00';
}
