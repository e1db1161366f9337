/** idle -> running -> stopped, and no way back. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SwitchError } from '../../src/model/error.js';
import { BROADCAST, ethernet, numberedMac } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab } from './desired.js';
import { MemorySwitch } from './memorySwitch.js';

const hello = ethernet({ dst: BROADCAST, src: numberedMac(1), type: 0x88b5 }, Buffer.from('hello'));
const refused = (code: string) => expect.objectContaining({ code });

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('idle', () => {
  it('answers that there is nothing, and cannot start', () => {
    const idle = new MemorySwitch();
    const { datapath, native } = idle;
    expect(datapath.counters()).toEqual({
      startedAt: expect.any(Number),
      workers: [],
      underlay: {
        datagrams: 0,
        drops: [],
        notes: [],
        retired: 0,
        sourcePorts: [],
        receiveBuffer: 0,
        path: 'udp',
      },
      networks: [],
      vteps: [],
    });
    expect(Math.abs(datapath.counters().startedAt - Date.now())).toBeLessThan(60_000);
    expect([datapath.fdb(), datapath.drain(10), datapath.fdbFlush('net')]).toEqual([[], [], 0]);
    const error = thrownBy(() => datapath.start(() => {}));
    expect(error).toBeInstanceOf(SwitchError);
    expect(error).toEqual(refused('BAD_VALUE'));
    expect(() => native.inject('a', hello)).toThrow('BAD_VALUE');
    expect(() => native.memoryTake('a')).toThrow('BAD_VALUE');
    expect(() => native.underlayTake()).toThrow('BAD_VALUE');
  });

  it('moves nothing before the start', async () => {
    const idle = new MemorySwitch();
    await testScope().defer('the switch', () => idle.datapath.stop());
    await idle.apply(desired(lab()));
    expect(() => idle.native.inject('a', hello)).toThrow('BAD_VALUE');
    expect((await idle.settled()).networks[0]?.flooded).toBe(0);
  });
});

describe('running', () => {
  it('starts once', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    expect(thrownBy(() => running.datapath.start(() => {}))).toEqual(refused('STOPPED'));
  });

  it.each([1, 2, 3])('keeps %i workers through every apply', async (workers) => {
    const state = desired(lab());
    const several = { ...state, engine: { ...state.engine, workers } };
    const running = await MemorySwitch.running(testScope(), several);
    await running.enter('a', hello);
    await running.apply({ ...several, engine: { ...several.engine, workers: workers + 1 } });
    expect((await running.enter('b', hello)).workers).toHaveLength(workers);
  });

  it('names the port that a frame cannot enter', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    expect(() => running.native.inject('nowhere', hello)).toThrow(/BAD_VALUE.*port nowhere/);
    expect(() => running.native.memoryTake('nowhere')).toThrow(/BAD_VALUE.*port nowhere/);
    const wrong = {
      source: 'x',
      sourcePort: 1,
      destination: 'y',
      destinationPort: 1,
      payload: hello,
    };
    expect(() => running.native.underlayInject([wrong])).toThrow('BAD_VALUE');
  });
});

describe('stopped', () => {
  it('stops any number of times, also at once and unused', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    await Promise.all([running.datapath.stop(), running.datapath.stop()]);
    await running.datapath.stop();
    const idle = new MemorySwitch();
    await idle.datapath.stop();
    await idle.datapath.stop();
  });

  it('refuses what would start it again and answers the rest', async () => {
    const { datapath, native } = await MemorySwitch.running(testScope(), desired(lab()));
    await datapath.stop();
    await expect(datapath.apply(desired(lab()))).rejects.toEqual(refused('STOPPED'));
    expect(thrownBy(() => datapath.start(() => {}))).toEqual(refused('STOPPED'));
    expect(() => native.inject('a', hello)).toThrow('BAD_VALUE');
    expect(() => native.memoryTake('a')).toThrow('BAD_VALUE');
    expect([datapath.fdb(), datapath.drain(10), datapath.fdbFlush('net')]).toEqual([[], [], 0]);
    expect(datapath.counters().networks).toEqual([]);
  });

  it('an apply that is under way is done or refused, never left half', async () => {
    const { datapath } = await MemorySwitch.running(testScope(), desired(lab()));
    const applies = Array.from({ length: 10 }, () => datapath.apply(desired(lab())));
    const settled = Promise.allSettled(applies);
    await datapath.stop();
    for (const result of await settled) {
      if (result.status === 'rejected') expect(result.reason).toEqual(refused('STOPPED'));
    }
    expect(datapath.counters().networks).toEqual([]);
  });

  it('leaves neither thread nor descriptor behind', async () => {
    const before = descriptors();
    for (let n = 0; n < 20; n += 1) {
      const one = await MemorySwitch.running(testScope(), desired(lab()));
      await one.enter('a', hello);
      expect(workers()).not.toEqual([]);
      await one.datapath.stop();
      expect(workers()).toEqual([]);
    }
    expect(descriptors()).toEqual(before);
  });
});

/** Names of the threads that are the datapath's. */
function workers(): string[] {
  const tasks = readdirSync('/proc/self/task');
  const names = tasks.map((task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim());
  return names.filter((name) => name.startsWith('vswitch'));
}

/** What kind of thing each open descriptor is that the datapath could have made, without the descriptor's number. */
function descriptors(): string[] {
  const kinds = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return 'the folder itself, closed again';
    }
  });
  return kinds.filter((kind) => kind.startsWith('anon_inode:')).sort();
}
