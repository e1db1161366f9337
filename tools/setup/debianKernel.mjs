// Debian's own kernel for virtual machines, unpacked and not installed: no hook of a bootloader or an initramfs runs.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, SetupError, which } from './child.mjs';

/** The package's tree below the top folder: `boot/vmlinuz-RELEASE`, `lib/modules/RELEASE`. */
export const kernelTree = 'dist/microvm/kernel';

/** Always names the newest signed one of the release that this machine runs. */
const metaPackage = 'linux-image-cloud-amd64';

/** Downloads about 27 MB, once; deleting the folder takes the newest one. */
export function debianKernel() {
  return {
    title: `Downloading ${metaPackage}`,
    isFresh: () => existsSync(join(root, kernelTree)),
    work: async (command) => {
      requirePlatform();
      const name = (await newest()) ?? (await newestAfter(command));
      mkdirSync(join(root, 'dist/microvm'), { recursive: true });
      const work = mkdtempSync(join(root, 'dist/microvm/download-'));
      try {
        await command('apt-get', ['download', '-q', name], { cwd: work });
        const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
        await command('dpkg-deb', ['--extract', archive, 'tree'], { cwd: work });
        renameSync(join(work, 'tree'), join(root, kernelTree));
      } finally {
        rmSync(work, { recursive: true });
      }
    },
  };
}

function requirePlatform() {
  if (process.arch === 'x64' && which('apt-cache') !== undefined) return;
  throw new SetupError(
    `The virtual machine's kernel is Debian's for amd64, so this needs Debian on x86-64; this is ${process.arch}` +
      `${which('apt-cache') === undefined ? ' without apt-get' : ''}.`,
  );
}

/** The package that the meta package names, as far as apt's lists know it. */
async function newest() {
  const { output } = await run('apt-cache', ['depends', metaPackage]);
  return /Depends: (linux-image-\S+)/.exec(output)?.[1];
}

async function newestAfter(command) {
  await command('apt-get', ['update', '-q']);
  const name = await newest();
  if (name !== undefined) return name;
  throw new SetupError(
    `apt knows no ${metaPackage}: /etc/apt must name a Debian mirror (main, amd64), as Ubuntu's have another kernel.`,
  );
}
