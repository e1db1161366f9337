// Debian packages whose programs the build, the demo and the tests call, and whose libraries they open.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError, which } from './child.mjs';

const packageOf = {
  'c++': 'g++',
  make: 'make',
  python3: 'python3',
  xz: 'xz-utils',
  ip: 'iproute2',
  ping: 'iputils-ping',
  iperf3: 'iperf3',
  tshark: 'tshark',
  ethtool: 'ethtool',
  'ovs-vsctl': 'openvswitch-switch',
  tcpdump: 'tcpdump',
  'pcap-config': 'libpcap-dev',
  tcpreplay: 'tcpreplay',
  nft: 'nftables',
  strace: 'strace',
  iptables: 'iptables',
  tincd: 'tinc',
  docker: 'docker.io',
  dockerd: 'docker.io',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
  busybox: 'busybox-static',
  openssl: 'openssl',
  tmux: 'tmux',
  'libpcap.so.0.8': 'libpcap0.8',
  chromium: 'chromium',
  'qemu-system-x86_64': 'qemu-system-x86',
  cpio: 'cpio',
  modinfo: 'kmod',
  podman: 'podman',
  runc: 'runc',
  newuidmap: 'uidmap',
  curl: 'curl',
  nsenter: 'util-linux',
  mandoc: 'mandoc',
  'qemu-aarch64-static': 'qemu-user-static',
  capsh: 'libcap2-bin',
  '/lib/systemd/systemd': 'systemd',
  '/usr/share/bash-completion/bash_completion': 'bash-completion',
  '/usr/lib/cni/host-local': 'containernetworking-plugins',
};

/** What compiles: rustc links with the C compiler, raw-socket and pcap are built by node-gyp, a linker comes in xz. */
export const buildPrograms = ['c++', 'make', 'python3', 'xz'];
/** What runs that of the other platforms, and the units. */
export const packageTestPrograms = [
  ...buildPrograms,
  ...['mandoc', 'qemu-aarch64-static', '/lib/systemd/systemd', 'capsh', 'ip', 'ping', 'nsenter'],
];
/** The manual is checked, and bash asks vswitchctl. */
export const unitPrograms = [
  ...buildPrograms,
  'mandoc',
  '/usr/share/bash-completion/bash_completion',
];
/** The datapath compiles capture filters with libpcap where there is one; its tests compare with it. */
const filterLibraries = ['libpcap.so.0.8'];
export const nativePrograms = ['c++', 'ip', ...filterLibraries];
export const demoPrograms = [...buildPrograms, 'ip', 'ping', 'iperf3'];
const peerPrograms = ['ovs-vsctl', 'tshark', 'tcpdump', 'tcpreplay', 'ethtool', 'nft'];
export const testPrograms = [
  ...demoPrograms,
  ...peerPrograms,
  ...filterLibraries,
  'pcap-config',
  'strace',
  'tmux',
  'chromium',
];
export const storePrograms = ['etcd', 'etcdctl', 'openssl'];
export const pagePrograms = [...buildPrograms, 'chromium'];
export const screensPrograms = [...demoPrograms, 'etcd', 'etcdctl', 'chromium'];
const labPrograms = ['docker', 'dockerd', 'etcd', 'etcdctl', 'busybox', 'iptables'];
export const dockerPrograms = [...demoPrograms, ...labPrograms, 'tshark', 'tcpdump'];
export const microvmPrograms = [
  ...demoPrograms,
  ...['qemu-system-x86_64', 'cpio', 'modinfo', 'busybox', 'tshark'],
];
export const oldKernelPrograms = [...demoPrograms, 'ethtool', 'strace'];
export const rootlessPrograms = [
  ...demoPrograms,
  ...['nsenter', 'curl', 'etcd', 'podman', 'runc', 'newuidmap', 'busybox'],
];
export const cniPrograms = [
  ...demoPrograms,
  ...['etcd', 'podman', 'runc', 'nsenter', 'busybox', 'iptables'],
  '/usr/lib/cni/host-local',
];

/** A program in PATH, a library, or what stands outside of both by its path. */
function isThere(name) {
  if (name.startsWith('/')) return existsSync(name);
  return name.includes('.so.') ? isLibraryThere(name) : which(name) !== undefined;
}

/** In the folders where Debian, and most others, have libraries. */
function isLibraryThere(name) {
  const top = '/usr/lib';
  const below = existsSync(top)
    ? readdirSync(top).filter((folder) => folder.includes('-linux-'))
    : [];
  const folders = [top, '/usr/lib64', ...below.map((folder) => join(top, folder))];
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** Makes sure that these programs and libraries are there, by apt-get where that is possible. */
export function debianPackages(programs) {
  const missing = programs.filter((program) => !isThere(program));
  const packages = [...new Set(missing.map((program) => packageOf[program]))];
  return {
    title: `Installing Debian packages: ${packages.join(' ')}`,
    isFresh: () => missing.length === 0,
    work: async (command) => {
      if (process.getuid() !== 0 || which('apt-get') === undefined) {
        throw new SetupError(
          `These are missing: ${missing.join(', ')}. Install them as root, on Debian or Ubuntu with ` +
            `\`apt-get install ${packages.join(' ')}\`, and run this again.`,
        );
      }
      const env = { DEBIAN_FRONTEND: 'noninteractive' };
      await command('apt-get', ['update', '-q'], { env });
      await command('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], {
        env,
      });
    },
  };
}
