// The demo: two hosts as network namespaces, a vswitchd on each, two isolated networks. Needs root.
//
//   npm start                everything, cleaned up at the end
//   npm start -- --keep      leaves it standing
//   npm start -- --down      takes it down
import { parseArgs } from 'node:util';
import { stands, takeDown } from './demo/lab.mjs';
import { perform } from './demo/perform.mjs';
import { invitation, tell } from './demo/story.mjs';
import { SetupError } from './setup/child.mjs';
import { main, requireRoot, setup } from './setup.mjs';

await main(async () => {
  const { keep, down } = readArguments();
  requireRoot('The demo', 'run it with sudo.');
  if (down) return takeDown();
  await setup('demo');
  if (await stands()) {
    throw new SetupError('A demo stands already. Take it down with: npm start -- --down');
  }
  return demo(keep);
});

function readArguments() {
  try {
    const options = { keep: { type: 'boolean' }, down: { type: 'boolean' } };
    return parseArgs({ options }).values;
  } catch (error) {
    throw new SetupError(`${error.message}\nusage: npm start -- [--keep | --down]`);
  }
}

async function demo(keep) {
  const { told, code } = await perform({ tell, takeDown, keep });
  if (told && keep) invitation();
  else if (told)
    console.log(
      '\nDone. Everything that the demo made is gone again; `npm start -- --keep` leaves it standing.',
    );
  return code;
}
