import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Call } from '../../../src/docker/calls.js';
import { Lanes, within } from '../../../src/docker/deadline.js';
import { buildServer } from '../../../src/docker/server.js';
import { SwitchError } from '../../../src/model/error.js';
import { eventually } from '../../support/eventually.js';

const log = pino({ level: 'silent' });

async function ask(call: Partial<Call>, deadline = 10_000) {
  const whole: Call = { request: z.unknown(), answer: () => ({}), ...call };
  const server = buildServer(new Map([['X.Do', whole]]), { log, deadline });
  const { statusCode, body } = await server.inject({ method: 'POST', url: '/X.Do', payload: '{}' });
  return { status: statusCode, body: JSON.parse(body) as unknown };
}

/** A promise and what settles it. */
function gate<T>() {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

describe('a call', () => {
  it('that takes too long is refused, and what it did in the end is undone', async () => {
    const { promise, open } = gate<{ made: number }>();
    const undone: unknown[] = [];
    const answer = await ask(
      { answer: () => promise, undo: () => (late) => undone.push(late) },
      20,
    );
    expect(answer).toEqual({
      status: 500,
      body: { Err: expect.stringMatching(/^cannot finish X.Do: it took longer/) },
    });
    expect(undone).toEqual([]);
    open({ made: 7 });
    await eventually('it is undone', () => undone.length === 1);
    expect(undone).toEqual([{ made: 7 }]);
  });

  it('that gives something up never fails for dockerd', async () => {
    const fails = () => {
      throw new SwitchError('STORE_DOWN', 'etcd');
    };
    expect(await ask({ answer: fails, isFarewell: true })).toEqual({ status: 200, body: {} });
    const never = () => new Promise<never>(() => {});
    expect(await ask({ answer: never, isFarewell: true }, 20)).toEqual({ status: 200, body: {} });
  });

  it('that meets a bug of ours says so', async () => {
    const fails = () => {
      throw new TypeError('no such\nthing');
    };
    expect(await ask({ answer: fails })).toEqual({
      status: 500,
      body: { Err: expect.stringMatching(/X.Do failed inside vswitchd: .*no such/) },
    });
  });
});

describe('within', () => {
  it('gives what came in time, and its failure', async () => {
    await expect(within({ ms: 10_000, what: 'x' }, Promise.resolve(5))).resolves.toBe(5);
    const failed = Promise.reject(new Error('broken'));
    await expect(within({ ms: 10_000, what: 'x' }, failed)).rejects.toThrow('broken');
  });
});

describe('lanes', () => {
  it('keep the order of one key, and let others pass', async () => {
    const lanes = new Lanes();
    const { promise, open } = gate<void>();
    const order: string[] = [];
    const first = lanes.run('a', () => promise.then(() => void order.push('a1')));
    const second = lanes.run('a', async () => void order.push('a2'));
    await lanes.run('b', async () => void order.push('b1'));
    open();
    await Promise.all([first, second]);
    expect(order).toEqual(['b1', 'a1', 'a2']);
  });

  it('go on after a failure', async () => {
    const lanes = new Lanes();
    const failed = lanes.run('a', () => Promise.reject(new Error('broken')));
    const next = lanes.run('a', async () => 5);
    await expect(failed).rejects.toThrow('broken');
    expect(await next).toBe(5);
  });
});
