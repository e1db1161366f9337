// Debian packages whose programs the build, the demo and the tests call.
import { SetupError, which } from './child.mjs';

const packageOf = {
  'c++': 'g++',
  make: 'make',
  python3: 'python3',
  ip: 'iproute2',
  ping: 'iputils-ping',
  iperf3: 'iperf3',
  tshark: 'tshark',
  ethtool: 'ethtool',
  'ovs-vsctl': 'openvswitch-switch',
  tcpdump: 'tcpdump',
  tcpreplay: 'tcpreplay',
  nft: 'nftables',
  iptables: 'iptables',
  tincd: 'tinc',
  docker: 'docker.io',
  dockerd: 'docker.io',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
  busybox: 'busybox-static',
  openssl: 'openssl',
};

/** What compiles: rustc links with the C compiler, raw-socket is built by node-gyp. */
export const buildPrograms = ['c++', 'make', 'python3'];
export const nativePrograms = ['c++', 'ip'];
export const demoPrograms = [...buildPrograms, 'ip', 'ping', 'iperf3'];
const peerPrograms = ['ovs-vsctl', 'tshark', 'tcpdump', 'tcpreplay', 'ethtool', 'nft'];
export const testPrograms = [...demoPrograms, ...peerPrograms];
export const storePrograms = ['etcd', 'etcdctl', 'openssl'];
const labPrograms = ['docker', 'dockerd', 'etcd', 'etcdctl', 'busybox', 'iptables'];
export const dockerPrograms = [...demoPrograms, ...labPrograms, 'tshark', 'tcpdump'];

/** Makes sure that these programs are there, by apt-get where that is possible. */
export function debianPackages(programs) {
  const missing = programs.filter((program) => which(program) === undefined);
  const packages = [...new Set(missing.map((program) => packageOf[program]))];
  return {
    title: `Installing Debian packages: ${packages.join(' ')}`,
    isFresh: () => missing.length === 0,
    work: async (command) => {
      if (process.getuid() !== 0 || which('apt-get') === undefined) {
        throw new SetupError(
          `These programs are missing: ${missing.join(', ')}. Install them as root, on Debian or Ubuntu with ` +
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
