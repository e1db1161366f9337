// A bare switch, run inside a namespace: no daemon, no configuration.
//   node switch.mjs DESIRED TAPS     both JSON: a DesiredState and the NewTaps to make before its ports are opened
// Prints `started`, and from then on its counters as JSON, a line at a time; ends when stdin ends.
import { createRequire } from 'node:module';

const addon = createRequire(import.meta.url)('../../../dist/native/vswitchd.node');
const [desired, taps] = process.argv.slice(2).map((text) => JSON.parse(text));

const datapath = new addon.Datapath();
const portless = desired.networks.map((network) => ({ ...network, ports: [] }));
await datapath.apply({ ...desired, networks: portless });
for (const tap of taps) await datapath.makeTap(tap);
await datapath.apply(desired);
datapath.start(() => {});
console.log('started');
const printing = setInterval(() => console.log(JSON.stringify(datapath.counters())), 100);
process.stdin.on('end', () => {
  clearInterval(printing);
  datapath.stop();
});
process.stdin.resume();
