// The walk-through: two Docker hosts, a store, networks made on either and seen on both. Needs root.
//
//   npm run demo:docker                everything, cleaned up at the end
//   npm run demo:docker -- --local     networks of local scope, as on every Docker from version 23
//   npm run demo:docker -- --keep      leaves it standing
//   npm run demo:docker -- --down      takes it down
import { parseArgs } from 'node:util';
import { DockerLab, knowsClusterStore } from '../lab/dockerLab.mjs';
import { stands, takeDown, takeDownAbandoned } from '../lab/leftovers.mjs';
import { SetupError } from '../setup/child.mjs';
import { main, requireRoot, setup } from '../setup.mjs';
import { invitation, tell } from './dockerStory.mjs';
import { perform } from './perform.mjs';

const name = 'vs-docker';

await main(async () => {
  const { local, keep, down } = readArguments();
  requireRoot('The demo', 'run it with sudo.');
  if (down) return takeDown(name);
  await setup('docker');
  await takeDownAbandoned();
  if (await stands(name)) {
    throw new SetupError('A demo stands already. Take it down with: npm run demo:docker -- --down');
  }
  const scope = !local && (await knowsClusterStore()) ? 'global' : 'local';
  const lab = new DockerLab({ name, scope });
  const performance = {
    tell: (signal) => tell(lab, signal),
    takeDown: () => lab.down(),
    keep,
  };
  const { told, code } = await perform(performance);
  if (told && keep) {
    lab.keep();
    invitation(lab);
  } else if (told) console.log('\nDone. Everything that the demo made is gone again.');
  return code;
});

function readArguments() {
  try {
    const flag = { type: 'boolean' };
    return parseArgs({ options: { local: flag, keep: flag, down: flag } }).values;
  } catch (error) {
    throw new SetupError(
      `${error.message}\nusage: npm run demo:docker -- [--local] [--keep | --down]`,
    );
  }
}
