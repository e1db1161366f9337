// Makes what is released, in build/: the npm package of the program, one with the addon for each processor that
// this machine compiles for, and for each a tarball with everything but Node. Refuses an addon that would not
// run on the oldest systems.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, SetupError } from '../setup/child.mjs';
import { step } from '../setup/progress.mjs';
import { compileFor, releasedTargets } from '../setup/released.mjs';
import { main, setup } from '../setup.mjs';
import { tooNewFor } from './glibc.mjs';
import { manifest, platformOf, stageAddon, stageProgram, stageTree } from './stage.mjs';

const out = join(root, 'build');
const staging = join(out, 'staging');

await main(async () => {
  await setup('package');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });

  const targets = releasedTargets();
  const program = join(staging, 'program');
  stageProgram(program, targets);
  await pack(program);
  for (const target of targets) {
    const platform = platformOf(target);
    await step(`Compiling the addon for ${platform}`, async (command) => {
      const addon = join(staging, `${platform}.node`);
      copyFileSync(await compileFor(target, command), addon);
      await command(target.strip, ['--strip-debug', addon]);
      const complaints = tooNewFor(addon);
      if (complaints.length > 0) throw new SetupError(complaints.join('\n'));
      const folder = join(staging, platform);
      stageAddon(folder, addon, target);
      await pack(folder);
      await tarball(platform, addon);
    });
  }
  rmSync(staging, { recursive: true });
  for (const file of readdirSync(out)) console.log(`build/${file}`);
});

function pack(folder) {
  return succeed('npm', ['pack', folder, '--pack-destination', out]);
}

async function tarball(platform, addon) {
  const name = `${manifest.name}-${manifest.version}`;
  stageTree(join(staging, name), join(staging, 'program'), addon);
  const date = process.env.SOURCE_DATE_EPOCH ?? execFileSync('git', ['log', '-1', '--format=%ct']);
  const same = ['--sort=name', `--mtime=@${String(date).trim()}`, '--mode=go=rX,u+rw'];
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--use-compress-program=gzip -n'];
  const file = join(out, `${name}-${platform}.tar.gz`);
  await succeed('tar', [...same, ...owner, '-C', staging, '-cf', file, name]);
  rmSync(join(staging, name), { recursive: true });
}

async function succeed(command, args) {
  const { code, output } = await run(command, args);
  if (code !== 0) throw new SetupError(`${output}\n\`${command} ${args.join(' ')}\` failed.`);
}
