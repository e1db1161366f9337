// Makes what is released, in build/: two npm packages (the program, and the addon for this platform) and a tarball with
// everything but Node. Refuses an addon that would not run on the oldest systems.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, SetupError } from '../setup/child.mjs';
import { main, setup } from '../setup.mjs';
import { tooNewFor } from './glibc.mjs';
import { manifest, stageAddon, stageProgram, stageTree } from './stage.mjs';

const out = join(root, 'build');
const staging = join(out, 'staging');

await main(async () => {
  await setup('build');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });

  const addon = join(staging, 'vswitchd.node');
  copyFileSync(join(root, 'dist/native/vswitchd.node'), addon);
  await succeed('strip', ['--strip-debug', addon]);
  const complaints = tooNewFor(addon);
  if (complaints.length > 0) throw new SetupError(complaints.join('\n'));

  const program = join(staging, 'program');
  stageProgram(program);
  const platform = join(staging, 'platform');
  stageAddon(platform, addon);
  for (const folder of [program, platform]) {
    await succeed('npm', ['pack', folder, '--pack-destination', out]);
  }
  await tarball(`${manifest.name}-${manifest.version}`, addon);
  rmSync(staging, { recursive: true });
  for (const file of readdirSync(out)) console.log(`build/${file}`);
});

async function tarball(name, addon) {
  stageTree(join(staging, name), addon);
  const date = process.env.SOURCE_DATE_EPOCH ?? execFileSync('git', ['log', '-1', '--format=%ct']);
  const same = ['--sort=name', `--mtime=@${String(date).trim()}`, '--mode=go=rX,u+rw'];
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--use-compress-program=gzip -n'];
  const file = join(out, `${name}-linux-${process.arch}.tar.gz`);
  await succeed('tar', [...same, ...owner, '-C', staging, '-cf', file, name]);
}

async function succeed(command, args) {
  const { code, output } = await run(command, args);
  if (code !== 0) throw new SetupError(`${output}\n\`${command} ${args.join(' ')}\` failed.`);
}
