// Small programs around the addon, one of which runs: argv is its name and its argument as JSON.
// None ends itself unless its name says so.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const addon = createRequire(import.meta.url)('../../dist/native/vswitchd.node');
const [, , name, argument] = process.argv;

const frame = Buffer.from(`${'ff'.repeat(6)}020000000001${'88b5'}${'00'.repeat(46)}`, 'hex');

async function started(desired, wake = () => {}) {
  const datapath = new addon.Datapath();
  await datapath.apply(desired);
  datapath.start(wake);
  console.log('started');
  return datapath;
}

/** Makes an event: nobody knows this VNI. */
function strange(datapath, vni) {
  const payload = Buffer.alloc(30);
  payload.writeUInt32BE(0x08000000, 0);
  payload.writeUInt32BE(vni << 8, 4);
  const from = { source: '10.200.0.2', sourcePort: 50_000 };
  const to = { destination: '10.200.0.1', destinationPort: 4789 };
  datapath.underlayInject([{ ...from, ...to, payload }]);
}

function untilWoken(desired, then) {
  return new Promise((resolve) => {
    // Keeps the process alive: a wake does not.
    const alive = setInterval(() => {}, 1000);
    const wake = () => {
      clearInterval(alive);
      resolve(then?.());
    };
    started(desired, wake).then((datapath) => strange(datapath, 999));
  });
}

/** Names of the threads that are the datapath's. */
function workers() {
  const tasks = readdirSync('/proc/self/task');
  const names = tasks.map((task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8'));
  return names.filter((name) => name.startsWith('vswitch'));
}

function messageOf(work) {
  return work.then(
    () => 'it worked',
    ({ message }) => message,
  );
}

const programs = {
  idle: (desired) => started(desired),

  async busy(desired) {
    const datapath = await started(desired);
    for (let n = 0; n < 2000; n += 1) {
      datapath.inject('a', frame);
      strange(datapath, 1000 + n);
    }
  },

  woken: (desired) => untilWoken(desired, () => console.log('woken')),

  async collected(desired) {
    await (async () => {
      strange(await started(desired), 999);
    })();
    do {
      globalThis.gc();
      await new Promise((resolve) => setImmediate(resolve));
    } while (workers().length > 0);
    console.log('collected');
  },

  async throws(desired) {
    const datapath = await started(desired);
    for (let n = 0; n < 2000; n += 1) datapath.inject('a', frame);
    setImmediate(() => {
      throw new Error('as planned');
    });
  },

  throwsInWake: (desired) =>
    untilWoken(desired, () => {
      throw new Error('as planned');
    }),

  async exits(desired) {
    const datapath = await started(desired);
    for (let n = 0; n < 2000; n += 1) datapath.inject('a', frame);
    process.exit(3);
  },

  async exitsInApply(desired) {
    const datapath = await started(desired);
    for (let n = 0; n < 50; n += 1) datapath.apply(desired);
    process.exit(3);
  },

  holdLock({ path }) {
    globalThis.held = addon.lockFile(path);
    console.log('locked');
    process.stdin.resume();
  },

  async unprivileged(desired) {
    if (process.getuid() === 0) {
      process.setgroups([]);
      process.setgid(65_534);
      process.setuid(65_534);
    }
    const { owner } = desired.engine;
    const datapath = new addon.Datapath();
    const messages = [
      await messageOf(datapath.apply(desired)),
      await messageOf(addon.removeTap('/proc/1/ns/net', 'eth0', owner, 'p1')),
    ];
    const taps = await addon.ownedTaps(owner);
    const removed = await addon.removeTap(undefined, 'lo', owner, 'p1');
    console.log(JSON.stringify({ messages, taps, removed, netAdmin: addon.probe().netAdmin }));
  },
};

await programs[name](JSON.parse(argument));
