// Wireshark's extcap protocol (its developer's guide, chapter 8): what stands in the interface list, with which options,
// as text. An interface is a place of the overlay; its name alone says which.

/** Something that can be captured; exactly one, or everything. */
export interface ExtcapPlace {
  readonly network?: string;
  readonly port?: string;
  /** Address of a VTEP. */
  readonly peer?: string;
  /** What is dropped, wherever. */
  readonly drops?: true;
}

/** What the running vswitchd has. */
export interface ExtcapPlaces {
  readonly networks: readonly string[];
  readonly ports: readonly { readonly name: string; readonly network: string }[];
  readonly peers: readonly string[];
}

/**
 * The answer to `--extcap-interfaces`. Without places, where no vswitchd answers: still the interface of everything, so
 * that whoever captures there reads why nothing comes.
 */
export function interfacesText(version: string, places: ExtcapPlaces | undefined): string {
  return lines([
    sentence('extcap', { version, display: 'vswitchd' }),
    entry('vswitchd', 'all networks'),
    ...(places === undefined
      ? []
      : [
          entry('vswitchd-drops', 'what is dropped'),
          ...places.networks.map((name) => entry(`${NETWORK}${name}`, `network ${name}`)),
          ...places.ports.map(({ name, network }) =>
            entry(`${PORT}${name}`, `port ${name} of ${network}`),
          ),
          ...places.peers.map((address) => entry(`${PEER}${address}`, `VTEP ${address}`)),
        ]),
  ]);
}

/** What the interface of that name captures; undefined = we have none of that name. */
export function placeOf(value: string): ExtcapPlace | undefined {
  if (value === 'vswitchd') return {};
  if (value === 'vswitchd-drops') return { drops: true };
  for (const [prefix, made] of PREFIXES) {
    if (value.length > prefix.length && value.startsWith(prefix)) {
      return made(value.slice(prefix.length));
    }
  }
  return undefined;
}

/** The answer to `--extcap-dlts`: what every packet of frames is. Datagrams bring their own, pcapng says which. */
export const LINK_TYPES = lines([
  sentence('dlt', { number: '1', name: 'EN10MB', display: 'Ethernet' }),
]);

/** The answer to `--extcap-config`, for every interface. */
export function configText(socket: string): string {
  const sides = [
    { value: 'inner', display: 'Frames', default: 'true' },
    { value: 'outer', display: 'Datagrams', default: 'false' },
    { value: 'both', display: 'Both, linked by packet ID', default: 'false' },
  ];
  return lines([
    ...[
      { call: '--side', display: 'Capture', type: 'selector' },
      {
        ...{ call: '--drops', display: 'Only what is dropped', type: 'boolflag' },
        default: 'false',
      },
      {
        ...{ call: '--snaplen', display: 'Bytes of each packet', type: 'unsigned' },
        ...{ range: '1,262144', default: '262144' },
      },
      {
        ...{ call: '--socket', display: 'Control socket of vswitchd', type: 'string' },
        default: socket,
      },
    ].map((argument, number) => sentence('arg', { number: `${number}`, ...argument })),
    ...sides.map((side) => sentence('value', { arg: '0', ...side })),
  ]);
}

/**
 * What Wireshark finds in its folder. It answers itself what is the same for every interface, because Wireshark asks once
 * for each; everything else goes to `command`.
 */
export function scriptText(command: readonly string[], socket: string): string {
  return `#!/bin/sh
${SCRIPT_MARK}
case " $* " in
*' --extcap-dlts '*)
  cat <<'END'
${LINK_TYPES}END
  ;;
*' --extcap-config '*)
  cat <<'END'
${configText(socket)}END
  ;;
*)
  exec ${command.map(quoted).join(' ')} --socket ${quoted(socket)} extcap "$@"
  ;;
esac
`;
}

/** By which a script is known as ours. */
export const SCRIPT_MARK =
  '# Made by `vswitchctl extcap install`: the interfaces of vswitchd in Wireshark and tshark.';

function entry(value: string, what: string): string {
  return sentence('interface', { value, display: `vswitchd, ${what}` });
}

/** `keyword {name=value}{name=value}` */
function sentence(keyword: string, facts: Readonly<Record<string, string>>): string {
  // There is no way to write a closing brace or the end of a line.
  const texts = Object.entries(facts).map(
    ([name, value]) => `{${name}=${value.replace(/[}\p{Cc}]/gu, '_')}}`,
  );
  return `${keyword} ${texts.join('')}`;
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

/** As one word of a shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

const NETWORK = 'vswitchd-network-';
const PORT = 'vswitchd-port-';
const PEER = 'vswitchd-peer-';
const PREFIXES: readonly (readonly [string, (name: string) => ExtcapPlace])[] = [
  [NETWORK, (network) => ({ network })],
  [PORT, (port) => ({ port })],
  [PEER, (peer) => ({ peer })],
];
