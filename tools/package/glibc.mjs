// What an ELF file asks of the C library that loads it.
import { execFileSync } from 'node:child_process';

/** The oldest C library that released addons run on: RHEL 7 and its like, vendors' NAS boxes. */
export const OLDEST_GLIBC = '2.17';
/** The oldest kernel that the ABI note of an ELF file may ask for. */
export const OLDEST_KERNEL = '3.2.0';

/**
 * The glibc versions, ascending and each once, without which the loader refuses `file`. Versions that only weak
 * symbols want are none of these (flag VER_FLG_WEAK, see the Linux Standard Base, "Symbol Version Requirements").
 */
export function glibcVersionsOf(file) {
  const table = readelf('--version-info', file);
  const needed = [...table.matchAll(/Name: GLIBC_([\d.]+) +Flags: (\S+)/g)]
    .filter(([, , flags]) => flags !== 'WEAK')
    .map(([, version]) => version);
  return [...new Set(needed)].sort(byVersion);
}

/** The kernel version of the ABI note of `file` (LSB, ".note.ABI-tag"); undefined when it has no such note. */
export function kernelOf(file) {
  return /ABI: ([\d.]+)/.exec(readelf('--notes', file))?.[1];
}

/** What keeps `file` from running on the oldest systems, one sentence each. */
export function tooNewFor(file) {
  const versions = glibcVersionsOf(file).filter((version) => byVersion(version, OLDEST_GLIBC) > 0);
  const kernel = kernelOf(file) ?? OLDEST_KERNEL;
  return [
    ...versions.map((version) => `${file} needs glibc ${version}, above ${OLDEST_GLIBC}.`),
    ...(byVersion(kernel, OLDEST_KERNEL) > 0
      ? [`${file} needs Linux ${kernel}, above ${OLDEST_KERNEL}.`]
      : []),
  ];
}

function byVersion(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}

function readelf(what, file) {
  return execFileSync('readelf', ['--wide', what, file], {
    encoding: 'utf8',
    // Programs have long tables.
    maxBuffer: 2 ** 28,
    env: { LC_ALL: 'C', PATH: process.env.PATH },
  });
}
