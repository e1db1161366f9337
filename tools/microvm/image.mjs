// An initramfs for a virtual machine: node, iproute2, the product as it is built, and exactly the kernel modules named.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { librariesOf } from '../lab/image.mjs';
import { root, run, SetupError, which } from '../setup/child.mjs';
import { kernelTree } from '../setup/debianKernel.mjs';
import { compiledFolders, importedPackages } from '../setup/product.mjs';

/** Programs of this machine that go into the image with their libraries; busybox gives the rest. */
const programs = ['node', 'sh', 'ip', 'ss', 'ping', 'iperf3', 'insmod', 'busybox'];
const guest = fileURLToPath(new URL('guest/', import.meta.url));

/**
 * Builds an image whose guest loads `modules` (names, with what they depend on) and then no others, and copies it
 * with the kernel into `folder`. Returns `{ kernel, initramfs, release, digest, modules }`: two paths, the kernel's release
 * and SHA-256, the names of the module files that are in the image. About 200 MB.
 */
export async function buildImage(folder, modules) {
  const tree = join(folder, 'tree');
  for (const path of ['bin', 'usr/bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'var', 'etc', 'root']) {
    mkdirSync(join(tree, path), { recursive: true });
  }
  symlinkSync('/run', join(tree, 'var/run'));
  await addPrograms(tree);
  addProduct(tree);
  const { release, vmlinuz } = kernel();
  const files = await moduleFiles(modules, join(root, kernelTree, 'lib/modules', release));
  addModules(tree, files);
  for (const script of readdirSync(guest)) copyFileSync(join(guest, script), join(tree, script));
  chmodSync(join(tree, 'init'), 0o755);
  const initramfs = join(folder, 'initramfs');
  await pack(tree, initramfs);
  const digest = createHash('sha256').update(readFileSync(vmlinuz)).digest('hex');
  return { kernel: vmlinuz, initramfs, release, digest, modules: files.map((f) => basename(f)) };
}

function kernel() {
  const boot = join(root, kernelTree, 'boot');
  const file = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'));
  return { release: file.slice('vmlinuz-'.length), vmlinuz: join(boot, file) };
}

/** Programs go to /usr/bin, whatever folder they have here, busybox's applets to /bin, where PATH comes to last. */
async function addPrograms(tree) {
  for (const name of programs) {
    const file = name === 'node' ? process.execPath : which(name);
    // Whatever it links to: a program with many names tells by its own which one is meant.
    copyFileSync(file, join(tree, 'usr/bin', name));
    await addLibraries(tree, file);
  }
  await addLibraries(tree, join(root, 'dist/native/vswitchd.node'));
  symlinkSync('/usr/bin/sh', join(tree, 'bin/sh'));
  const { stdout } = await run('busybox', ['--list']);
  for (const applet of stdout.split('\n').filter(Boolean)) {
    if (!programs.includes(applet)) symlinkSync('/usr/bin/busybox', join(tree, 'bin', applet));
  }
}

async function addLibraries(tree, file) {
  for (const library of await librariesOf(file)) {
    mkdirSync(dirname(join(tree, library)), { recursive: true });
    copyFileSync(library, join(tree, library));
  }
}

/** As it would be installed: what src compiles to, the addon, package.json and the dependencies for running it. */
function addProduct(tree) {
  for (const path of ['package.json', 'dist/native', ...compiledFolders(), ...importedPackages()]) {
    cpSync(join(root, path), join(tree, 'product', path), { recursive: true });
  }
}

/** The files of these modules and of all that they depend on, dependencies first. */
async function moduleFiles(names, folder) {
  const all = readdirSync(folder, { recursive: true }).filter((path) => /\.ko(\.\w+)?$/.test(path));
  const nameOf = (path) =>
    basename(path)
      .replace(/\.ko.*/, '')
      .replaceAll('-', '_');
  const found = [];
  const add = async (name) => {
    const file = all.find((path) => nameOf(path) === name.replaceAll('-', '_'));
    // What is no file is built in.
    if (file === undefined || found.includes(join(folder, file))) return;
    const { stdout } = await run('modinfo', ['-F', 'depends', join(folder, file)]);
    for (const dependency of stdout.trim().split(',').filter(Boolean)) await add(dependency);
    found.push(join(folder, file));
  };
  for (const name of names) await add(name);
  return found;
}

/** `/modules.order` tells init what to load. */
function addModules(tree, files) {
  mkdirSync(join(tree, 'lib/modules'), { recursive: true });
  for (const file of files) copyFileSync(file, join(tree, 'lib/modules', basename(file)));
  const lines = files.map((file) => `/lib/modules/${basename(file)}\n`);
  writeFileSync(join(tree, 'modules.order'), lines.join(''));
}

/** An uncompressed archive: emulated code would take longer to unpack it than to read it. */
async function pack(tree, archive) {
  const command = 'find . -print0 | cpio --null --create --format=newc --quiet >"$0"';
  const { code, output } = await run('sh', ['-c', command, archive], { cwd: tree });
  if (code !== 0) throw new SetupError(`${output}The virtual machine's image cannot be packed.`);
}
