// The kinds of values that settings have. Each schema carries one text, "what may stand here", and
// gives it as the message of whatever is wrong with the value: `problem.ts` builds on that.

import { closest } from 'fastest-levenshtein';
import * as z from 'zod';
import { isIfname } from '../model/ifname.js';
import {
  formatCidr,
  isHostAddress,
  isMulticast,
  parseCidr,
  parseIp,
  subnetOf,
} from '../model/ip.js';
import { isLoopback, type ListenAddress, parseListen } from '../model/listen.js';
import { isGroupMac, isZeroMac, type Mac, parseMac } from '../model/mac.js';

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number, what = 'a whole number') {
  const error = `${what} ${min}-${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

const TOS = 'a multiple of 4 from 0 to 252 (DSCP times 4)';

/** A DSCP, as the type of service that it stands in; the lower two bits are ECN's. */
export const tos = (error = TOS) =>
  z.int({ error }).min(0, { error }).max(252, { error }).multipleOf(4, { error });

export function oneOf<const T extends readonly string[]>(...words: T) {
  return z.enum(words, { error: words.join(' or ') });
}

export const flag = () => z.boolean({ error: 'true or false' });

/**
 * Text that `parse` turns into its canonical form; `undefined` from it refuses the text. `pattern`
 * is told in the API's description only, and matches whatever `parse` takes.
 */
export function text<T extends string>(
  allowed: string,
  parse: (raw: string) => T | undefined,
  pattern?: RegExp,
) {
  const told = { description: allowed, ...(pattern && { pattern: pattern.source }) };
  return z
    .string({ error: allowed })
    .meta(told)
    .transform((raw, context): T => {
      const value = parse(raw);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', input: raw, message: allowed });
      return z.NEVER;
    });
}

/**
 * A mapping with exactly these keys. The message for unknown keys holds one line for each of them
 * (in zod's order): the nearest known key.
 */
export function mapping<S extends z.core.$ZodShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => closest(key, known)).join('\n')
        : `a mapping with ${known.join(', ')}`,
  });
}

export function list<S extends z.core.SomeType>(of: S, what: string) {
  return z.array(of, { error: `a list of ${what}` });
}

/** Names stand in paths, interface aliases and URLs. */
export const name = () =>
  text(
    'a name of letters, digits, `_`, `.`, `-` (at most 63, a letter or digit first)',
    (raw) => (NAME.test(raw) ? raw : undefined),
    NAME,
  );

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** What a MAC address looks like. */
export const MAC_PATTERN = /^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$/;
const CIDR_PATTERN = /^[0-9A-Fa-f:.]+\/[0-9]{1,3}$/;
const ADDRESS_PATTERN = /^[0-9A-Fa-f:.]+$/;

export const ifname = () =>
  text('an interface name (1-15 bytes, no space, `/` or `:`)', (raw) =>
    isIfname(raw) ? raw : undefined,
  );

export const hostAddress = () =>
  text(
    'an IPv4 or IPv6 unicast address',
    (raw) => {
      const ip = parseIp(raw);
      return ip !== undefined && isHostAddress(ip) ? ip.address : undefined;
    },
    ADDRESS_PATTERN,
  );

export const cidr = () =>
  text(
    'an address with prefix length such as 10.0.0.1/24',
    (raw) => {
      const value = parseCidr(raw);
      return value && isHostAddress(value) ? formatCidr(value) : undefined;
    },
    CIDR_PATTERN,
  );

export const subnet = () =>
  text('a subnet such as 10.0.0.0/24 (no host bits)', (raw) => {
    const value = parseCidr(raw);
    if (value === undefined || isMulticast(value)) return undefined;
    return subnetOf(value).address === value.address ? formatCidr(value) : undefined;
  });

/** The address of one station. */
export const stationMac = () =>
  text(
    'a unicast MAC address such as "02:42:0a:00:00:01" (in quotes)',
    (raw): Mac | undefined => {
      const mac = parseMac(raw);
      return mac !== undefined && !isGroupMac(mac) && !isZeroMac(mac) ? mac : undefined;
    },
    MAC_PATTERN,
  );

const LISTEN = 'an address of this host with a TCP port, such as 127.0.0.1:4780 or [::1]:4780';
const LOOPBACK =
  'a loopback address with a TCP port, such as 127.0.0.1:4781 (for others, put a proxy before it)';

function listening(allowed: string, isAllowed: (value: ListenAddress) => boolean) {
  return z
    .string({ error: allowed })
    .meta({ description: allowed })
    .transform((raw, context): ListenAddress => {
      const value = parseListen(raw);
      if (value !== undefined && isAllowed(value)) return value;
      context.issues.push({ code: 'custom', input: raw, message: allowed });
      return z.NEVER;
    });
}

export const listenAddress = () => listening(LISTEN, () => true);

export const loopbackListen = () => listening(LOOPBACK, ({ address }) => isLoopback(address));

export const filePath = () =>
  text('an absolute path', (raw) => (raw.startsWith('/') ? raw : undefined));

export const udpPort = () => whole(1, 65535, 'a UDP port');
