// Traces: what was asked becomes a frame, the datapath says its way, and we say it in sentences.

import type { TraceAsked, TraceOperations, TraceView } from '../control/traceApi.js';
import type { Datapath } from '../datapath/datapath.js';
import type { Trace, TraceCopy, TracedDatagram } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';
import { completeFlow } from '../model/flowDefaults.js';
import { frameOf } from '../model/flowFrame.js';
import { parseFlow } from '../model/flowText.js';
import { summaryOf } from '../model/frameSummary.js';
import { type Network, udpPortOf } from '../model/network.js';
import { TraceSentences } from '../model/traceSentences.js';
import { VXLAN_HEADER_LENGTH, vxlanDatagram } from '../model/vxlan.js';
import type { Overlay } from '../overlay/overlay.js';
import { peersOf } from '../overlay/plan.js';
import { viewPorts } from './networkViews.js';
import { type Entry, knowledgeOf } from './stations.js';

export interface TraceParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
}

export function tracesOf(parts: TraceParts): TraceOperations {
  const { datapath, overlay } = parts;
  const sentences = new TraceSentences(datapath.dropReasons());
  return {
    trace: (name, asked) => {
      const network = overlay.network(name);
      const entry = entryOf(parts, network, asked);
      const { bytes, assumed } = frameAsked(parts, network, { entry, asked });
      if ('port' in entry) {
        const trace = datapath.trace({ port: entry.port.name, bytes });
        return viewTrace(trace, { bytes, summary: summaryOf(bytes), assumed, sentences });
      }
      const payload = asked.datagram
        ? bytes
        : vxlanDatagram(vniTowards(parts, network, entry.peer), bytes);
      const trace = datapath.trace({
        datagram: envelopeOf(parts, network, { peer: entry.peer, asked }),
        bytes: payload,
      });
      const inner = summaryOf(payload.subarray(VXLAN_HEADER_LENGTH));
      const summary = `from VTEP ${entry.peer}: ${inner}`;
      return viewTrace(trace, { bytes, summary, assumed, sentences });
    },
  };
}

/** Also a VTEP that is no peer may be asked about: the trace says what becomes of its datagrams. */
function entryOf({ datapath, overlay }: TraceParts, network: Network, asked: TraceAsked): Entry {
  if (asked.peer !== undefined) return { peer: asked.peer };
  const name = asked.port ?? '';
  const ports = viewPorts(network, overlay, datapath.counters());
  const port = ports.find((item) => item.name === name);
  if (port === undefined) {
    const why = `network ${network.name} has none of that name`;
    throw new SwitchError('PORT_UNKNOWN', name, { why });
  }
  if (port.state === 'waiting')
    throw new SwitchError('PORT_WAITING', name, { detail: port.reason });
  return { port };
}

interface Asked {
  readonly entry: Entry;
  readonly asked: TraceAsked;
}

interface FrameAsked {
  readonly bytes: Uint8Array;
  readonly assumed: readonly string[];
}

function frameAsked(parts: TraceParts, network: Network, { entry, asked }: Asked): FrameAsked {
  if (asked.hex !== undefined) return { bytes: Buffer.from(asked.hex, 'hex'), assumed: [] };
  const text = asked.flow ?? '';
  const said = parseFlow(text);
  const { flow, assumed } = completeFlow(text, said, knowledgeOf(parts, network, entry));
  const bytes = frameOf(flow);
  if (bytes !== undefined) return { bytes, assumed };
  throw new SwitchError('BAD_FLOW', text.trim(), {
    why: `its headers alone have more than ${flow.length} bytes`,
    fix: 'say a greater len',
  });
}

/** The VNI that the peer uses for the network. */
function vniTowards({ overlay }: TraceParts, network: Network, peer: string): number {
  const known = peersOf(network, overlay.base.vtep).find(({ address }) => address === peer);
  return known?.vni ?? network.vni;
}

function envelopeOf(
  { overlay }: TraceParts,
  network: Network,
  { peer, asked }: { readonly peer: string; readonly asked: TraceAsked },
): TracedDatagram {
  const udpPort = udpPortOf(network, overlay.base.vtep);
  return { source: peer, sourcePort: SOURCE_PORT, udpPort, tos: asked.tos };
}

/** Of RFC 7348's range; the switch does not care. */
const SOURCE_PORT = 49_152;

interface Told {
  readonly bytes: Uint8Array;
  readonly summary: string;
  readonly assumed: readonly string[];
  readonly sentences: TraceSentences;
}

function viewTrace(trace: Trace, { bytes, summary, assumed, sentences }: Told): TraceView {
  const { network, steps, verdict, reason, copies } = trace;
  return {
    ...(network === undefined ? {} : { network }),
    frame: Buffer.from(bytes).toString('hex'),
    summary,
    assumed: [...assumed],
    steps: steps.map((step) => ({ ...step, sentence: sentences.step(step, network) })),
    verdict,
    ...(reason === undefined ? {} : { reason }),
    copies: copies.map((copy) => viewCopy(copy, sentences.copy(copy))),
    sentence: sentences.ending(trace),
  };
}

function viewCopy(copy: TraceCopy, sentence: string): TraceView['copies'][number] {
  const { udpPort, sourcePort, pathMtu, ...same } = copy;
  return {
    ...same,
    sentence,
    ...(udpPort === undefined ? {} : { udp_port: udpPort }),
    ...(sourcePort === undefined ? {} : { source_port: sourcePort }),
    ...(pathMtu === undefined ? {} : { path_mtu: pathMtu }),
  };
}
