// What the demo builds, as data.
//
//   vs-demo-host1  10.200.0.1 ---- underlay, a veth pair, MTU 1500 ---- 10.200.0.2  vs-demo-host2
//     vswitchd                                                              vswitchd
//     |- net1 (VNI 256): vs-demo-net1c1  10.0.0.1                           |- vs-demo-net1c2  10.0.0.2
//     `- net2 (VNI 257): vs-demo-net2c1  10.0.0.1                           `- vs-demo-net2c2  10.0.0.2, 10.0.0.3

/** Holds configuration, logs, process ids and control sockets while the demo stands. */
export const folder = '/run/vs-demo';

export const networks = [
  { name: 'net1', vni: 256 },
  { name: 'net2', vni: 257 },
];

const host1 = {
  namespace: 'vs-demo-host1',
  address: '10.200.0.1',
  peer: '10.200.0.2',
  underlay: 'underlay0',
  containers: [
    container('net1c1', { network: 'net1', mac: '02:00:00:00:01:01', addresses: ['10.0.0.1/24'] }),
    container('net2c1', { network: 'net2', mac: '02:00:00:00:02:01', addresses: ['10.0.0.1/24'] }),
  ],
};

const host2 = {
  namespace: 'vs-demo-host2',
  address: '10.200.0.2',
  peer: '10.200.0.1',
  underlay: 'underlay0',
  containers: [
    container('net1c2', { network: 'net1', mac: '02:00:00:00:01:02', addresses: ['10.0.0.2/24'] }),
    container('net2c2', {
      network: 'net2',
      mac: '02:00:00:00:02:02',
      addresses: ['10.0.0.2/24', '10.0.0.3/24'],
    }),
  ],
};

export const hosts = [host1, host2].map((host) => ({
  ...host,
  configFile: `${folder}/${host.namespace}.yaml`,
  socket: `${folder}/${host.namespace}.sock`,
  logFile: `${folder}/${host.namespace}.log`,
  pidFile: `${folder}/${host.namespace}.pid`,
}));

export const namespaces = hosts.flatMap((host) => [
  host.namespace,
  ...host.containers.map(({ namespace }) => namespace),
]);

function container(name, rest) {
  return { name, namespace: `vs-demo-${name}`, ...rest };
}

/** A host's vswitchd.yaml. */
export function configOf(host) {
  const lines = [
    'vtep:',
    `  address: ${host.address}`,
    'control:',
    `  socket: ${host.socket}`,
    'networks:',
  ];
  for (const { name, vni } of networks) {
    lines.push(`  - name: ${name}`, `    vni: ${vni}`, `    peers: [${host.peer}]`, '    ports:');
    for (const port of host.containers.filter(({ network }) => network === name)) {
      lines.push(
        `      - name: ${port.name}`,
        `        netns: ${port.namespace}`,
        '        ifname: eth0',
        `        mac: "${port.mac}"`,
        `        addresses: [${port.addresses.join(', ')}]`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
