// The image `bb` for a machine that can pull none: busybox, with a name for each of its programs.
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run, SetupError, which } from '../setup/child.mjs';

/** Its containers end at once when they are asked to, which a bare `sleep` as process 1 does not. */
export const imageChanges = ['CMD ["sh", "-c", "trap exit TERM; sleep 1000000 & wait"]'];

/** Makes the archive for `docker import` in this folder and returns its path. */
export async function makeImage(folder) {
  const busybox = which('busybox');
  const tree = join(folder, 'image');
  for (const path of ['bin', 'etc', 'tmp', 'root'])
    mkdirSync(join(tree, path), { recursive: true });
  for (const file of [busybox, ...(await librariesOf(busybox))]) {
    const copy = file === busybox ? join(tree, 'bin/busybox') : join(tree, file);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(file, copy);
  }
  for (const name of (await must([busybox, '--list'])).split('\n').filter(Boolean)) {
    if (name !== 'busybox') symlinkSync('busybox', join(tree, 'bin', name));
  }
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  const archive = join(folder, 'image.tar');
  await must(['tar', '-C', tree, '-cf', archive, '.']);
  return archive;
}

/** What a program that is not static needs beside it. */
export async function librariesOf(program) {
  const { output } = await run('ldd', [program]);
  return [...output.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path);
}

async function must([program, ...args]) {
  const { code, output } = await run(program, args);
  if (code !== 0) throw new SetupError(`${output}\`${program} ${args.join(' ')}\` failed.`);
  return output;
}
