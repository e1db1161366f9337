// What the Docker demo shows, step by step. Each step checks what it shows and throws when it is not so.
import { join } from 'node:path';
import { dockerCommand, vswitchctl } from '../lab/dockerLab.mjs';
import { until } from '../lab/namespace.mjs';
import { SetupError } from '../setup/child.mjs';
import { heading, say, sayCommand, sayOutput } from './voice.mjs';

const forbiddenKinds = ['vxlan', 'openvswitch', 'geneve'];
const networks = [
  { name: 'net1', subnet: '10.0.1.0/24', madeOn: 0, containers: ['web1', 'web2'] },
  { name: 'net2', subnet: '10.0.2.0/24', madeOn: 1, containers: ['db1', 'db2'] },
];
const [net1, net2] = networks;
/** How commands are typed and how they are run. */
const programs = { docker: dockerCommand, vswitchctl };

/** Tells the whole story on a lab that is not built yet; `signal` (an AbortSignal) ends it early by an AbortError. */
export async function tell(lab, signal) {
  const story = new Story(lab, signal);
  await story.hosts();
  await story.networks();
  await story.containers();
  await story.pings();
  await story.isolation();
  await story.connection();
  await story.tables();
  await story.wire();
  await story.devices();
  await story.powerCut();
  await story.comeback();
}

class Story {
  #lab;
  #signal;

  constructor(lab, signal) {
    this.#lab = lab;
    this.#signal = signal;
  }

  async hosts() {
    const { etcd, hosts, scope } = this.#lab;
    heading('Two hosts, on each a vswitchd and a dockerd, and an etcd');
    await this.#lab.up(this.#signal);
    say(`${etcd.address}  etcd`);
    for (const { name, address } of hosts) say(`${address}    ${name}: vswitchd, dockerd`);
    if (scope === 'global')
      say('dockerd has the etcd as its cluster store, so a network has global scope: made once.');
    else
      say('dockerd has no cluster store, so each host is told of a network; vswitchd joins them.');
    await this.#shown(hosts[0], ['docker', 'version', '-f', '{{.Server.Version}}']);
    await this.#shown(hosts[0], ['vswitchctl', 'status']);
  }

  async networks() {
    const { hosts, scope } = this.#lab;
    heading('net1 made on h1 and net2 on h2, both seen on both');
    const driver = ['-d', 'vswitch', ...(scope === 'local' ? ['--ipam-driver', 'vswitch'] : [])];
    const create = (host, ...rest) =>
      this.#shown(host, ['docker', 'network', 'create', ...driver, ...rest]);
    for (const { name, subnet, madeOn } of networks) {
      await create(hosts[madeOn], '--subnet', subnet, name);
      if (scope === 'local') await create(hosts[1 - madeOn], name);
    }
    for (const host of hosts) {
      for (const program of ['docker', 'vswitchctl']) {
        const command = [program, 'network', 'ls'];
        await this.#settled(host, command, ({ output }) =>
          networks.every(({ name }) => output.includes(name)),
        );
        await this.#shown(host, command);
      }
    }
  }

  async containers() {
    heading('A container of each network on each host');
    for (const network of networks) {
      for (const [n, name] of network.containers.entries())
        await this.#runContainer(n, name, network);
    }
    for (const host of this.#lab.hosts)
      await this.#shown(host, ['docker', 'ps', '--format', '{{.Names}}: {{.Status}}']);
  }

  async pings() {
    heading('They reach each other by address and by name');
    const [h1, h2] = this.#lab.hosts;
    for (const network of networks) {
      const [near, far] = network.containers;
      await this.#shown(h1, inContainer(near, ping(2, await this.#addressOf(h2, far, network))));
      await this.#shownOnceSettled(h1, inContainer(near, ping(2, far)));
      await this.#shownOnceSettled(h2, inContainer(far, ping(2, near)));
    }
  }

  async isolation() {
    heading('The networks do not see each other');
    const [h1, h2] = this.#lab.hosts;
    const address = await this.#addressOf(h2, 'db2', net2);
    await this.#refused(h1, inContainer('web1', ping(1, 'db2')), 'net1 knows a name of net2.');
    await this.#refused(
      h1,
      inContainer('web1', ping(1, address)),
      'net1 reached an address of net2.',
    );
  }

  async connection() {
    heading('web1 is connected to net2 while it runs, and disconnected again');
    const [h1, h2] = this.#lab.hosts;
    const address = await this.#addressOf(h2, 'db2', net2);
    await this.#shown(h1, ['docker', 'network', 'connect', 'net2', 'web1']);
    await this.#shownOnceSettled(h1, inContainer('web1', ping(2, 'db2')));
    await this.#shownOnceSettled(h1, inContainer('web1', ping(2, 'web2')));
    await this.#shown(h1, ['docker', 'network', 'disconnect', 'net2', 'web1']);
    await this.#refused(h1, inContainer('web1', ping(1, address)), 'web1 still reaches net2.');
  }

  async tables() {
    heading('What every host knows of the others, from the store');
    const [h1, h2] = this.#lab.hosts;
    const mac = await this.#macOf(h2, 'web2', net1);
    const fdb = await this.#shown(h1, ['vswitchctl', 'fdb', 'show', 'net1']);
    expectLine(fdb, [mac, h2.address, 'control'], 'The FDB of h1 has no entry for web2.');
    const neighbors = await this.#shown(h1, ['vswitchctl', 'neighbor', 'show', 'net1']);
    expectLine(
      neighbors,
      [await this.#addressOf(h2, 'web2', net1), mac],
      'h1 has no neighbor web2.',
    );
    await this.#shown(h1, ['vswitchctl', 'endpoint', 'ls']);
    await this.#shown(h1, ['vswitchctl', 'host', 'ls']);
  }

  async wire() {
    heading('One ping on the wire between the hosts, as tshark decodes it');
    const [h1, h2] = this.#lab.hosts;
    const file = join(h1.folder, 'ping.pcap');
    const capture = [
      'tcpdump',
      '-i',
      'eth0',
      '-w',
      file,
      '-Z',
      'root',
      '-U',
      '--immediate-mode',
      'udp',
      'port',
      '4789',
    ];
    const isReady = (written) => written.includes('listening on');
    await h1.start('tcpdump', capture, { isReady, signal: this.#signal });
    await this.#shown(h1, inContainer('web1', ping(1, 'web2')));
    const tshark = ['tshark', '-n', '-r', file, '-Y', 'icmp'];
    await this.#settled(h1, tshark, ({ stdout }) => stdout.includes('reply'));
    await h1.stop('tcpdump', 'INT');
    sayCommand('tcpdump -i eth0 -w ping.pcap udp port 4789', 'h1#');
    await this.#shown(h1, [...tshark.slice(0, -1), 'icmp.type == 8', '-V', '-O', 'vxlan']);
    const fields = ['ip.src', 'ip.dst', 'udp.dstport', 'vxlan.vni', 'icmp.type'];
    const table = [
      ...tshark,
      '-T',
      'fields',
      '-E',
      'header=y',
      ...fields.flatMap((field) => ['-e', field]),
    ];
    const output = await this.#shown(h1, table);
    const near = await this.#addressOf(h1, 'web1', net1);
    const far = await this.#addressOf(h2, 'web2', net1);
    const vni = await this.#vniOf(h1, net1);
    const request = [`${h1.address},${near}`, `${h2.address},${far}`, '4789', vni, '8'];
    const reply = [`${h2.address},${far}`, `${h1.address},${near}`, '4789', vni, '0'];
    for (const line of [request, reply]) {
      if (!output.includes(line.join('\t')))
        throw new SetupError(`The capture lacks: ${line.join(' ')}`);
    }
  }

  async devices() {
    heading('No vxlan or openvswitch device in any namespace: ip -d -j link');
    for (const host of this.#lab.hosts) {
      for (const [where, links] of await this.#linksOf(host)) {
        const kinds = links.map(
          ({ ifname, linkinfo }) => `${ifname} (${linkinfo?.info_kind ?? 'no kind'})`,
        );
        say(`${host.name}  ${where.padEnd(12)}  ${kinds.join(', ')}`);
        const forbidden = links.find(({ linkinfo }) =>
          forbiddenKinds.includes(linkinfo?.info_kind),
        );
        if (forbidden)
          throw new SetupError(`${forbidden.ifname} is a ${forbidden.linkinfo.info_kind}.`);
      }
    }
    say('The bridges are those of Docker itself, for the way out of the host.');
  }

  async powerCut() {
    heading('The power of h2 fails');
    const [h1, h2] = this.#lab.hosts;
    const began = Date.now();
    await h2.powerOff();
    const fdb = ['vswitchctl', 'fdb', 'show'];
    await this.#settled(h1, fdb, ({ output }) => !output.includes(h2.address));
    say(`After ${Math.round((Date.now() - began) / 1000)} s its entries are gone from h1:`);
    await this.#shown(h1, fdb);
    await this.#shown(h1, ['vswitchctl', 'host', 'ls']);
    await this.#shown(h1, ['vswitchctl', 'endpoint', 'ls']);
  }

  async comeback() {
    heading('h2 is switched on again, with an empty disk');
    const [h1, h2] = this.#lab.hosts;
    await this.#lab.boot(h2, this.#signal);
    if (this.#lab.scope === 'global') {
      say("Docker's cluster store still holds the names of the containers that died with h2:");
      for (const { name, containers } of networks) {
        await this.#shown(h1, ['docker', 'network', 'disconnect', '-f', name, containers[1]]);
      }
    } else {
      for (const { name } of networks) {
        await this.#shown(h2, [
          'docker',
          'network',
          'create',
          '-d',
          'vswitch',
          '--ipam-driver',
          'vswitch',
          name,
        ]);
      }
    }
    for (const network of networks) await this.#runContainer(1, network.containers[1], network);
    await this.#shownOnceSettled(h1, inContainer('web1', ping(2, 'web2')));
  }

  #runContainer(n, name, network) {
    const command = ['docker', 'run', '-d', '--name', name, '--net', network.name, 'bb'];
    return this.#shown(this.#lab.hosts[n], command);
  }

  async #addressOf(host, container, network) {
    return await this.#attachmentOf(host, container, network, 'IPAddress');
  }

  async #macOf(host, container, network) {
    return await this.#attachmentOf(host, container, network, 'MacAddress');
  }

  async #attachmentOf(host, container, { name }, field) {
    const format = `{{(index .NetworkSettings.Networks "${name}").${field}}}`;
    return (await host.must([...dockerCommand, 'inspect', '-f', format, container])).trim();
  }

  async #vniOf(host, { name }) {
    const command = [...vswitchctl, '--json', 'network', 'show', name];
    return String(JSON.parse(await host.must(command)).vni);
  }

  /** The links of a host's namespace and of each container's: pairs of where and what. */
  async #linksOf(host) {
    const links = (prefix) => host.must([...prefix, 'ip', '-d', '-j', 'link']).then(JSON.parse);
    const sandboxes = (await host.must(['ls', '/run/docker/netns'])).split('\n').filter(Boolean);
    const found = [['host', await links([])]];
    for (const name of sandboxes) {
      found.push([name, await links(['nsenter', `--net=/run/docker/netns/${name}`])]);
    }
    return found;
  }

  /** Runs a command on a host and shows it with its output; as `run`. */
  async #showing(host, command) {
    sayCommand(command.map(quoted).join(' '), `${host.name}#`);
    const result = await this.#run(host, command);
    // What tshark has to say beside its answer is about being root.
    sayOutput(command[0] === 'tshark' ? result.stdout : result.output);
    return result;
  }

  /** The same for a command that must succeed; returns its output. */
  async #shown(host, command) {
    const { code, output } = await this.#showing(host, command);
    if (code !== 0) throw new SetupError(`\`${command.join(' ')}\` failed on ${host.name}.`);
    return output;
  }

  /** The same for a command that must fail, which would be as `otherwise` says. */
  async #refused(host, command, otherwise) {
    if ((await this.#showing(host, command)).code === 0) throw new SetupError(otherwise);
  }

  /** Names and tables reach the other host in moments. */
  async #shownOnceSettled(host, command) {
    await this.#settled(host, command, ({ code }) => code === 0);
    await this.#shown(host, command);
  }

  async #settled(host, command, holds) {
    const what = `\`${command.join(' ')}\` on ${host.name} shows it`;
    await until(what, async () => holds(await this.#run(host, command)), this.#signal);
  }

  #run(host, [program, ...args]) {
    const command = [...(programs[program] ?? [program]), ...args];
    return host.exec(command, { signal: this.#signal });
  }
}

/** What to type while the demo is left standing. */
export function invitation(lab) {
  heading('The demo stands. Try:');
  for (const host of lab.hosts)
    say(`$ ${host.inside(['bash']).join(' ')}      # a shell on ${host.name}`);
  const ctl = vswitchctl.join(' ');
  for (const command of [
    'docker network ls',
    'docker exec -it web1 sh',
    `${ctl} endpoint ls`,
    `${ctl} stats --watch`,
  ]) {
    say(`h1# ${command}`);
  }
  say(
    `Configuration and logs are in ${lab.folder}. Take it down with: npm run demo:docker -- --down`,
  );
}

function inContainer(name, command) {
  return ['docker', 'exec', name, ...command];
}

function ping(count, to) {
  return ['ping', '-c', String(count), '-W', '1', to];
}

/** A word as a shell takes it. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

function expectLine(output, words, otherwise) {
  const found = output.split('\n').some((line) => words.every((word) => line.includes(word)));
  if (!found) throw new SetupError(otherwise);
}
