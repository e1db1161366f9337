// Arguments of commands that are checked before the daemon is asked (bad usage, exit code 2).

import { InvalidArgumentError, Option } from 'commander';
import { isIfname } from '../model/ifname.js';
import { parseCidr, parseIp } from '../model/ip.js';
import { parseMac } from '../model/mac.js';
import { parseVni, VNI_MAX } from '../model/vni.js';
import { parseVtep } from '../model/vtep.js';

export function vniArgument(text: string): number {
  const vni = parseVni(text);
  if (vni === undefined) throw new InvalidArgumentError(`Allowed: a whole number 1-${VNI_MAX}.`);
  return vni;
}

export function udpPortArgument(text: string): number {
  return wholeArgument(text, 1, 65535);
}

export function mtuArgument(text: string): number {
  return wholeArgument(text, 68, 65485);
}

export function macArgument(text: string): string {
  const mac = parseMac(text);
  if (mac === undefined)
    throw new InvalidArgumentError('Allowed: a MAC address such as 02:42:0a:00:00:01.');
  return mac;
}

export function ifnameArgument(text: string): string {
  if (!isIfname(text))
    throw new InvalidArgumentError('Allowed: 1-15 bytes without space, `/` and `:`.');
  return text;
}

export function pidArgument(text: string): number {
  return wholeArgument(text, 1, 2 ** 22);
}

/** At most a day. */
export function secondsArgument(text: string): number {
  return wholeArgument(text, 1, 86_400);
}

/** `ADDR`, `ADDR:PORT`, `[V6]:PORT`; given on as written. */
export function vtepArgument(text: string): string {
  if (parseVtep(text) === undefined) {
    throw new InvalidArgumentError('Allowed: ADDRESS, ADDRESS:PORT or [IPV6]:PORT.');
  }
  return text;
}

/** For options that may be given many times. */
function collect<T>(parse: (text: string) => T): (text: string, list: readonly T[]) => T[] {
  return (text, list) => [...list, parse(text)];
}

/** An option that may be given many times: a list, empty unless given, which help calls `unlessGiven`. */
export function listOption<T>(
  flags: string,
  description: string,
  parse: (text: string) => T,
  unlessGiven = 'none',
): Option {
  return new Option(flags, description).argParser(collect(parse)).default([], unlessGiven);
}

export function cidrArgument(text: string): string {
  if (parseCidr(text) === undefined) {
    throw new InvalidArgumentError('Allowed: an address with prefix length such as 10.0.0.1/24.');
  }
  return text;
}

/** `auto`, or as `cidrArgument`. */
export function subnetArgument(text: string): string {
  return text === 'auto' ? text : cidrArgument(text);
}

export function addressArgument(text: string): string {
  if (parseIp(text) === undefined) throw new InvalidArgumentError('Allowed: an IP address.');
  return text;
}

/** Bytes, as `500k`, `10M` or `1G` (powers of 1024); at least 4 KiB. */
export function sizeArgument(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([kMG]?)$/.exec(text) ?? [];
  const size = Number(digits) * 1024 ** ['', 'k', 'M', 'G'].indexOf(unit);
  if (!(size >= 4096))
    throw new InvalidArgumentError('Allowed: a size such as 500k, 10M or 1G, at least 4k.');
  return size;
}

export function snaplenArgument(text: string): number {
  return wholeArgument(text, 1, 262_144);
}

/** How many packets, files and so on. */
export function countArgument(text: string): number {
  return wholeArgument(text, 1, 999_999_999);
}

/** Digits in pairs; spaces and colons between them do no harm. */
export function hexArgument(text: string): string {
  const digits = text.replace(/^0x|[\s:]/gi, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits))
    throw new InvalidArgumentError('Allowed: an even number of hexadecimal digits.');
  return digits;
}

function wholeArgument(text: string, min: number, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new InvalidArgumentError(`Allowed: a whole number ${min}-${max}.`);
  return number;
}
