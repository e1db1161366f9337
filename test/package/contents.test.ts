/** What is in the packages, and what the addon of each platform asks of the machine that loads it. */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tooNewFor } from '../../tools/package/glibc.mjs';
import { glibcToolchain } from '../../tools/setup/toolchain.mjs';
import { addonPackage, programPackage, released, tarball, top, unpack } from './released.js';

/** What x64 compiles for, and each one's processor as readelf(1) has it. */
const machines = {
  'linux-x64-gnu': 'Advanced Micro Devices X86-64',
  'linux-arm64-gnu': 'AArch64',
};
const platforms = Object.keys(machines) as (keyof typeof machines)[];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vswitchd-contents-'));
  const archives = [
    ['program', programPackage],
    ...platforms.map((one) => [one, addonPackage(one)]),
  ];
  for (const [name, archive] of archives as [string, string][]) {
    await mkdir(join(folder, name));
    await unpack(archive, join(folder, name));
  }
});
afterAll(() => rm(folder, { recursive: true }));

const below = async (...path: string[]) => {
  const top = join(folder, ...path);
  const entries = await readdir(top, { recursive: true, withFileTypes: true });
  return entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
};
const addonOf = (platform: string) => join(folder, platform, 'package/vswitchd.node');

describe('the released files', () => {
  it('are the program, and an addon and a tarball for each platform', async () => {
    const each = platforms.flatMap((one) => [addonPackage(one), tarball(one)]);
    expect((await released()).sort()).toEqual(
      [programPackage, ...each].map((file) => basename(file)).sort(),
    );
  });

  it('hold what is needed, and neither tests nor what only compilers read', async () => {
    const files = (await below('program')).map((file) =>
      file.replace(`${folder}/program/package/`, ''),
    );
    expect(files).toEqual(
      expect.arrayContaining([
        ...['package.json', 'README.md', 'LICENSE', 'dist/man/vswitchd.8', 'native/Cargo.lock'],
        ...['packaging/systemd/vswitchd.service', 'packaging/cni/10-vswitch.conflist'],
      ]),
    );
    const parts = new Set(files.map((file) => file.split('/')[0]));
    const own = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];
    expect([...parts].sort()).toEqual(
      [...own, 'dist', 'native', 'node_modules', 'packaging', 'tools'].sort(),
    );
    // What tests and tools put into dist beside it stays here.
    const compiled = new Set(files.flatMap((file) => /^dist\/(\w+)\//.exec(file)?.[1] ?? []));
    const sources = await readdir(join(top, 'src'), { withFileTypes: true });
    const folders = sources.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect([...compiled].sort()).toEqual([...folders, 'man'].sort());
    const [imported, ours] = [/^node_modules\//, /^(?!node_modules\/)/].map((where) =>
      files.filter((file) => where.test(file)),
    );
    const tests = /(^|\/)(tests?|benches|target|\.stamps)\/|tests?\.(ts|rs|js)$/;
    expect(
      ours?.filter((file) => tests.test(file) || /\.d\.ts$|\.map$|\.node$/.test(file)),
    ).toEqual([]);
    expect(imported?.filter((file) => /\.[cm]?ts$|\.map$/.test(file))).toEqual([]);
  });

  it('name no folder of the machine that made them', async () => {
    const ours = [...(await below('program')), ...platforms.map(addonOf)];
    const bytes = await Promise.all(ours.map((file) => readFile(file)));
    for (const path of [top, process.env.CARGO_HOME ?? join(homedir(), '.cargo')]) {
      expect(ours.filter((_, i) => bytes[i]?.includes(path))).toEqual([]);
    }
  });
});

describe.each(platforms)('the addon for %s', (platform) => {
  it('is for that processor', async () => {
    const { stdout } = await execa('readelf', ['--file-header', addonOf(platform)], {
      env: { LC_ALL: 'C' },
    });
    expect(stdout).toContain(machines[platform]);
  });

  it('asks for glibc 2.17 at most', () => expect(tooNewFor(addonOf(platform))).toEqual([]));

  it('is loaded by a program of that platform, every symbol bound', async () => {
    const program = join(folder, platform, 'loads');
    await writeFile(`${program}.c`, LOADING);
    const { compiler, runner } = tools(platform);
    await execa(compiler, [`${program}.c`, '-o', program, '-ldl']);
    const command = [...runner, program, addonOf(platform)].join(' ');
    expect((await execa(command, { shell: true })).stdout).toBe('loaded');
  });
});

/** What compiles for the platform, and what runs the result here. */
function tools(platform: keyof typeof machines): { compiler: string; runner: string[] } {
  const processor = platform === 'linux-x64-gnu' ? 'x64' : 'arm64';
  const toolchain = glibcToolchain(processor);
  if (toolchain === undefined) throw new Error(`no toolchain for ${processor} runs here`);
  const compiler = join(toolchain.folder, 'bin', `${toolchain.triple}-gcc`);
  if (processor === 'x64') return { compiler, runner: [] };
  return {
    compiler,
    runner: ['qemu-aarch64-static', '-L', join(toolchain.folder, toolchain.triple, 'sysroot')],
  };
}

const LOADING = `
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **arguments) {
  void *addon = dlopen(arguments[count - 1], RTLD_NOW);
  int is_addon = addon != NULL && dlsym(addon, "napi_register_module_v1") != NULL;
  puts(is_addon ? "loaded" : dlerror());
  return !is_addon;
}
`;
