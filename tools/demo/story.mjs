// What the demo shows, step by step. Each step checks what it shows and throws when it is not so.
import { spawn } from 'node:child_process';
import { until } from '../lab/namespace.mjs';
import { root, run, SetupError, which } from '../setup/child.mjs';
import { build, control, must, startDaemon } from './lab.mjs';
import { folder, hosts, namespaces } from './plan.mjs';
import { heading, say, sayCommand, sayOutput } from './voice.mjs';

const [host1, host2] = hosts;
const forbiddenKinds = ['vxlan', 'bridge', 'openvswitch', 'geneve'];

/** Tells the whole story; `signal` (an AbortSignal) ends it early by an AbortError. */
export async function tell(signal) {
  await twoHosts(signal);
  await pings(signal);
  await isolation(signal);
  await throughput(signal);
  await tables(signal);
  await drops(signal);
  await devices(signal);
}

async function twoHosts(signal) {
  heading('Two hosts, a vswitchd on each, two networks with the same addresses');
  await build(signal);
  for (const host of hosts) {
    await startDaemon(host, signal);
    const places = host.containers.map(({ name, addresses }) => `${name} ${addresses.join(' ')}`);
    say(`${host.namespace}  VTEP ${host.address}  ${places.join(', ')}`);
  }
}

async function pings(signal) {
  heading('Containers reach each other across the hosts, each in its own network');
  for (const from of ['vs-demo-net1c1', 'vs-demo-net2c1']) {
    await shown(inside(from, 'ping', '-c', '3', '-i', '0.2', '-W', '2', '10.0.0.2'), signal);
  }
}

async function isolation(signal) {
  heading('The networks do not see each other');
  say('Both asked for 10.0.0.2; each got the one of its own network, as the MACs tell:');
  for (const [from, mac] of [
    ['vs-demo-net1c1', '02:00:00:00:01:02'],
    ['vs-demo-net2c1', '02:00:00:00:02:02'],
  ]) {
    const output = await shown(['ip', '-n', from, 'neighbour', 'show', '10.0.0.2'], signal);
    if (!output.includes(mac)) throw new SetupError(`${from} should have found ${mac}.`);
  }
  say('10.0.0.3 exists in net2 alone, so net2 reaches it and net1 cannot:');
  const ping = ['ping', '-c', '1', '-W', '1', '10.0.0.3'];
  await shown(inside('vs-demo-net2c1', ...ping), signal);
  const { code } = await showing(inside('vs-demo-net1c1', ...ping), signal);
  if (code === 0) throw new SetupError('net1 reached an address of net2.');
}

async function throughput(signal) {
  heading('TCP over the overlay, three seconds');
  const server = spawn('ip', ['netns', 'exec', 'vs-demo-net1c2', 'iperf3', '-s', '-1'], {
    stdio: 'ignore',
    signal,
  });
  server.on('error', () => {}); // An abort; the loop below and the client end by the same signal.
  const listening = inside('vs-demo-net1c2', 'ss', '-Hltn');
  await until(
    'iperf3 listens',
    async () => (await must(listening, signal)).includes(':5201'),
    signal,
  );
  const output = await shown(
    inside('vs-demo-net1c1', 'iperf3', '-c', '10.0.0.2', '-t', '3', '-i', '0', '-f', 'm'),
    signal,
  );
  if (!output.includes('receiver')) throw new SetupError('iperf3 did not come to its end.');
}

async function tables(signal) {
  heading('What the hosts have learned: vswitchctl fdb show');
  for (const host of hosts) await shownControl(host, ['fdb', 'show'], signal);
}

async function drops(signal) {
  heading('Every drop has a name: vswitchctl stats');
  say(`${host2.namespace} sends three datagrams for VNI 999, which no network has:`);
  const send = `${root}tools/demo/strayDatagrams.mjs`;
  const addresses = [host2.address, host1.address];
  await must(inside(host2.namespace, process.execPath, send, ...addresses), signal);
  const output = await shownControl(host1, ['stats'], signal);
  if (!output.includes('rx.vni_unknown'))
    throw new SetupError('The stray datagrams are not counted.');
}

async function devices(signal) {
  heading('No vxlan, bridge or openvswitch device anywhere: ip -d -j link');
  for (const namespace of namespaces) {
    const links = JSON.parse(await must(['ip', '-n', namespace, '-d', '-j', 'link'], signal));
    const kinds = links.map(({ ifname, linkinfo }) => [ifname, linkinfo?.info_kind ?? 'loopback']);
    say(`${namespace.padEnd(15)}  ${kinds.map(([name, kind]) => `${name} (${kind})`).join(', ')}`);
    const forbidden = kinds.find(([, kind]) => forbiddenKinds.includes(kind));
    if (forbidden)
      throw new SetupError(`${namespace} has ${forbidden.join(', a device of kind ')}.`);
  }
}

/** What to type while the demo is left standing. */
export function invitation() {
  heading('The demo stands. Try:');
  const ctl = `node dist/bin/vswitchctl.js --socket ${host1.socket}`;
  const capture = `ip netns exec ${host1.namespace} tshark -i ${host1.underlay} -f 'udp port 4789'`;
  for (const command of [
    `${ctl} status`,
    `${ctl} fdb show net1`,
    `${ctl} top`,
    `${ctl} trace net1 --port net1c1 'ip dst 10.0.0.2 tcp dport 80'`,
    `${ctl} history --since 5m`,
    `${ctl} capture net1 --both -c 10 -w net1.pcapng`,
    'ip netns exec vs-demo-net1c1 ping 10.0.0.2',
    ...(which('tshark') ? [capture] : []),
  ]) {
    say(`$ ${command}`);
  }
  say(`Configuration and logs are in ${folder}. Take it down with: npm start -- --down`);
}

function inside(namespace, ...command) {
  return ['ip', 'netns', 'exec', namespace, ...command];
}

/** Runs a command and shows it with its output; `{ code, output }`. */
async function showing(command, signal) {
  const [program, ...args] = command;
  sayCommand(command.join(' '));
  return told(await run(program, args, { signal }));
}

/** The same for a command that must succeed; returns its output. */
async function shown(command, signal) {
  const { code, output } = await showing(command, signal);
  if (code !== 0) throw new SetupError(`\`${command.join(' ')}\` failed.`);
  return output;
}

async function shownControl(host, args, signal) {
  sayCommand(`vswitchctl --socket ${host.socket} ${args.join(' ')}`);
  const { code, output } = told(await control(host, args, signal));
  if (code !== 0) throw new SetupError(`\`vswitchctl ${args.join(' ')}\` failed.`);
  return output;
}

function told(result) {
  sayOutput(result.output);
  return result;
}
