// What `vswitchctl port add --rootless` runs inside a container, as the container's user: makes the TAP there and hands
// it over to vswitchd, then sets it up as the port turned out to be.
//
//   argv     handover socket, PID of the container, interface name
//   stdout   {"given": {"ticket", "ifindex"}}                  one line each; {"refused": ...} in the place of any
//   stdin    the port's `Furniture`, one line
//   stdout   {"furnished": true}
//
// An input that ends early ends this too, and vswitchd gives up a TAP that has no port by then.

import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { loadAddon } from '../datapath/binding.js';
import { furnishTap, giveTap } from '../datapath/datapath.js';
import type { Furniture } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';

export interface Talk {
  readonly input: Readable;
  /** One line, without its line feed. */
  readonly say: (text: string) => void;
}

/** Resolves to the exit code: 0 the TAP is the port's, 1 refused. */
export async function runHandover(args: readonly string[], talk: Talk): Promise<number> {
  try {
    const addon = loadAddon();
    const [socket = '', pid = '', ifname = ''] = args;
    const tap = giveTap(addon, socket, Number(pid), ifname);
    talk.say(JSON.stringify({ given: { ticket: tap.ticket, ifindex: tap.ifindex } }));
    for await (const line of createInterface({ input: talk.input })) {
      furnishTap(tap, JSON.parse(line) as Furniture);
      talk.say(JSON.stringify({ furnished: true }));
      return 0;
    }
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    const { code, subject, facts } = error;
    talk.say(JSON.stringify({ refused: { code, subject, facts } }));
  }
  return 1;
}
