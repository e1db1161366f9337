/** What is released runs where nothing else is: installed by npm into an empty folder, and unpacked from the tarball. */

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const top = fileURLToPath(new URL('../../', import.meta.url));
const released = join(top, 'build');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vswitchd-package-'));
  await execa(process.execPath, ['tools/package/package.mjs'], { cwd: top });
});
afterAll(() => rm(folder, { recursive: true }));

/** The released file whose name ends so. */
async function file(ending: RegExp): Promise<string> {
  const found = (await readdir(released)).filter((name) => ending.test(name));
  expect(found).toHaveLength(1);
  return join(released, found[0]!);
}

/** A program of the package, without this checkout's environment. */
const call = (cwd: string, program: string, ...args: string[]) =>
  execa(join(cwd, program), args, { cwd, reject: false });

/** Both programs start here, and the doctor finds an addon that loads. */
async function expectToRun(cwd: string, programs: string): Promise<void> {
  for (const name of ['vswitchd', 'vswitchctl']) {
    const { stdout, exitCode } = await call(cwd, `${programs}/${name}`, '--version');
    expect([stdout, exitCode]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/), 0]);
  }
  const doctor = await call(cwd, `${programs}/vswitchd`, '--doctor');
  expect(doctor.stdout).toMatch(/^ok +addon /m);
}

describe('the npm packages', () => {
  it('run from an empty folder, and without the platform package once the addon is built there', async () => {
    const cwd = join(folder, 'npm');
    await mkdir(cwd);
    const program = await file(/^vswitchd-\d[\d.]*\.tgz$/);
    const platform = await file(/-gnu-\d[\d.]*\.tgz$/);
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts'];
    await execa('npm', ['init', '--yes'], { cwd });
    await execa('npm', ['install', ...quiet, program, platform], { cwd });
    await expectToRun(cwd, 'node_modules/.bin');

    await rm(join(cwd, `node_modules/vswitchd-linux-${process.arch}-gnu`), { recursive: true });
    const lost = await call(cwd, 'node_modules/.bin/vswitchd', '--vtep', '127.0.0.1');
    expect(lost.exitCode).toBe(1);
    const remedy = /`(npm explore [^`]*)`/.exec(lost.stderr)?.[1];
    expect(remedy).toBe('npm explore vswitchd -- npm run build');
    // Compiled dependencies are the checkout's own, or this would take minutes.
    const env = { CARGO_TARGET_DIR: join(top, 'native/target') };
    await execa(remedy!, { cwd, shell: true, env });
    await expectToRun(cwd, 'node_modules/.bin');
  });
});

describe('the tarball', () => {
  it('runs where it is unpacked, called through a link', async () => {
    const archive = await file(/-linux-\w+\.tar\.gz$/);
    await execa('tar', ['-xzf', archive, '-C', folder]);
    const [unpacked] = (await readdir(folder)).filter((name) => name.startsWith('vswitchd-'));
    const cwd = join(folder, unpacked!);
    expect(await readdir(cwd)).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'bin', 'dist', 'native', 'packaging']),
    );
    await expectToRun(cwd, 'bin');
    await execa('ln', ['-s', join(cwd, 'bin/vswitchctl'), join(folder, 'linked')]);
    expect((await call(folder, 'linked', '--version')).exitCode).toBe(0);
  });
});
