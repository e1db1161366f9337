/** Makes what is released, once for all files. */

import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const top = fileURLToPath(new URL('../../', import.meta.url));

export async function setup(): Promise<void> {
  await execa(process.execPath, ['tools/package/package.mjs'], { cwd: top, stdio: 'inherit' });
}
