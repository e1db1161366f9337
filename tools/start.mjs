// The demo: two hosts as network namespaces, a vswitchd on each, two isolated networks. Needs root.
//
//   npm start                everything, cleaned up at the end
//   npm start -- --keep      leaves it standing
//   npm start -- --down      takes it down
import { parseArgs } from 'node:util';
import { stands, takeDown } from './demo/lab.mjs';
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

/** Tells the story; whatever happens, Ctrl-C included, nothing is left unless the story was told and `keep` is set. */
async function demo(keep) {
  const abort = new AbortController();
  let signalled;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      signalled ??= name;
      abort.abort();
    });
  }
  let told = false;
  try {
    await tell(abort.signal);
    told = true;
  } catch (error) {
    if (signalled === undefined) throw error;
    console.error(`\nEnded by ${signalled}, cleaning up.`);
  } finally {
    if (!(told && keep)) await takeDown();
  }
  if (!told) return 130;
  if (keep) invitation();
  else
    console.log(
      '\nDone. Everything that the demo made is gone again; `npm start -- --keep` leaves it standing.',
    );
  return 0;
}
