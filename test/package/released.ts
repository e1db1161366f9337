/** What is released, as files. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** The checkout. */
export const top = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(top, 'build');

const { version } = JSON.parse(await readFile(join(top, 'package.json'), 'utf8'));

/** The C library of this machine as the names of packages have it, behind the processor. */
export const platform = `linux-${process.arch}-gnu`;

/** Every released file's name. */
export function released(): Promise<string[]> {
  return readdir(folder);
}

export const programPackage = join(folder, `vswitchd-${version}.tgz`);
export const addonPackage = (of: string) => join(folder, `vswitchd-${of}-${version}.tgz`);
export const tarball = (of: string) => join(folder, `vswitchd-${version}-${of}.tar.gz`);
/** The folder inside a tarball. */
export const unpacked = `vswitchd-${version}`;

/** Puts what the archive holds into `into`; npm's archives have it below `package/`. */
export async function unpack(archive: string, into: string): Promise<void> {
  await execa('tar', ['-xzf', archive, '-C', into]);
}
