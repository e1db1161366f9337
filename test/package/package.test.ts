/** What is released runs where nothing else is: installed by npm into an empty folder, and unpacked from the tarball. */

import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  addonPackage,
  platform,
  programPackage,
  tarball,
  top,
  unpack,
  unpacked,
} from './released.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vswitchd-package-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program of the package, without this checkout's environment. */
const call = (cwd: string, program: string, ...args: string[]) =>
  execa(join(cwd, program), args, { cwd, reject: false });

/** The programs start here, and the doctor finds an addon that loads. */
async function expectToRun(cwd: string): Promise<void> {
  const { version } = JSON.parse(await readFile(join(top, 'package.json'), 'utf8'));
  for (const name of ['vswitchd', 'vswitchctl']) {
    const { stdout, exitCode } = await call(cwd, `bin/${name}`, '--version');
    expect([stdout, exitCode]).toEqual([version, 0]);
  }
  const help = await call(cwd, 'bin/vswitchctl', '--help');
  expect([help.stdout, help.exitCode]).toEqual([expect.stringContaining('doctor'), 0]);
  const plugin = await execa(join(cwd, 'bin/vswitch-cni'), {
    env: { CNI_COMMAND: 'VERSION' },
    input: '{"cniVersion":"1.0.0"}',
  });
  expect(JSON.parse(plugin.stdout)).toMatchObject({ supportedVersions: expect.anything() });
  const doctor = await call(cwd, 'bin/vswitchd', '--doctor');
  expect(doctor.stdout).toMatch(/^ok +addon /m);
}

describe('the npm packages', () => {
  it('run where npm installs them, with their manual; and without the addon once it is built there', async () => {
    const cwd = join(folder, 'npm');
    await mkdir(cwd);
    // What it imports is inside: no registry is asked.
    const install = ['install', '--global', '--prefix', cwd, '--offline', '--no-audit'];
    await execa('npm', [...install, '--ignore-scripts', programPackage, addonPackage(platform)]);
    await expectToRun(cwd);
    for (const name of ['vswitchd', 'vswitchctl']) {
      const shown = await execa('mandoc', ['-T', 'utf8', join(cwd, `share/man/man8/${name}.8`)]);
      expect(shown.stdout).toContain(name);
    }

    await rm(join(cwd, `lib/node_modules/vswitchd-${platform}`), { recursive: true });
    const lost = await call(cwd, 'bin/vswitchd', '--vtep', '127.0.0.1');
    expect(lost.exitCode).toBe(1);
    const remedy = /`(npm [^`]*)`/.exec(lost.stderr)?.[1];
    expect(remedy).toBe(`npm run build --prefix ${join(cwd, 'lib/node_modules/vswitchd/')}`);
    // Compiled dependencies are the checkout's own, or this would take minutes.
    const env = { CARGO_TARGET_DIR: join(top, 'native/target/released') };
    await execa(remedy!, { cwd: folder, shell: true, env });
    await expectToRun(cwd);
  });
});

describe('the tarball', () => {
  it('runs where it is unpacked, called through a link', async () => {
    await unpack(tarball(platform), folder);
    const cwd = join(folder, unpacked);
    await expectToRun(cwd);
    await symlink(join(cwd, 'bin/vswitchctl'), join(folder, 'linked'));
    expect((await call(folder, 'linked', '--version')).exitCode).toBe(0);
  });
});
