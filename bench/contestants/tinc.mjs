// tinc as a switch, neither encrypting nor authenticating. Its TAP is the container's interface; it has one only,
// so two containers on one host are not its work.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerMtu, until } from '../lab/site.mjs';

/** Starts it on both hosts, with new keys. */
export async function startTinc(lab, site) {
  const hosts = [site.a, site.b].map((host) => ({ ...host, folder: lab.folder(site.label) }));
  for (const host of hosts) await configure(lab, host, hosts);
  for (const host of hosts) {
    for (const other of hosts.filter((each) => each !== host)) {
      const card = readFileSync(join(other.folder, 'hosts', other.name));
      writeFileSync(join(host.folder, 'hosts', other.name), card);
    }
  }
  const pids = [];
  for (const host of hosts) pids.push(await start(lab, host));
  return { pids, alone: true };
}

async function configure(lab, { name, folder, address }, hosts) {
  mkdirSync(join(folder, 'hosts'));
  const peers = hosts.filter((host) => host.name !== name);
  const settings = [
    'Mode = switch',
    'DeviceType = tap',
    'Interface = tap0',
    'AddressFamily = ipv4',
  ];
  writeFileSync(
    join(folder, 'tinc.conf'),
    lines([`Name = ${name}`, ...settings, ...peers.map((peer) => `ConnectTo = ${peer.name}`)]),
  );
  const card = join(folder, 'hosts', name);
  appendFileSync(card, lines([`Address = ${address}`, 'Cipher = none', 'Digest = none']));
  await lab.exec('tincd', ['-c', folder, '-K', '2048']);
}

async function start(lab, { name, namespace, folder, containers: [container] }) {
  const pidfile = `--pidfile=${join(folder, 'pid')}`;
  const child = lab.spawn(namespace, ['tincd', '-c', folder, '-D', '-d1', pidfile]);
  const exists = () => lab.ip(namespace, ['link show dev tap0']).then(() => true);
  await until(`the TAP of tinc on ${name}`, exists, lab.signal);
  await lab.ip(namespace, [
    `link set dev tap0 netns ${container.namespace} name eth0 mtu ${containerMtu} address ${container.mac}`,
  ]);
  await lab.ip(container.namespace, [
    `address add ${container.address}/24 dev eth0`,
    'link set dev eth0 up',
  ]);
  return child.pid;
}

const lines = (texts) => `${texts.join('\n')}\n`;
