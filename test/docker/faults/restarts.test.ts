/** vswitchd and dockerd end and come back, by themselves or killed, while containers run and talk. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type DockerScope,
  sharedLab,
  type TestContainer,
  type TestLab,
} from '../../support/dockerLab.js';
import { Pinger } from '../../support/pinger.js';
import type { Scope } from '../../support/scope.js';
import { testScope } from '../../support/testScope.js';

describe.each<DockerScope>(['global', 'local'])('with networks of %s scope', (dockerScope) => {
  let lab: TestLab;
  sharedLab({ scope: dockerScope }, (made) => {
    lab = made;
  });
  beforeEach(async () => {
    for (const host of lab.hosts) {
      if (!(await host.host.runs('vswitchd'))) await host.startVswitchd();
      if (!(await host.host.runs('dockerd'))) await host.startDockerd();
    }
  });
  afterEach(() => lab.agreed(30_000));

  const pair = async (scope: Scope, network: string, flags: readonly string[] = []) => {
    const [h1, h2] = lab.hosts;
    await lab.network(scope, network);
    const near = await lab.run(scope, h1, { name: `${network}-a`, network, flags });
    const far = await lab.run(scope, h2, { name: `${network}-b`, network, flags });
    return { near, far };
  };

  it('a restart of vswitchd is a pause, and Docker goes on with it', async () => {
    const scope = testScope();
    const { near, far } = await pair(scope, 'pause');
    const traffic = await Pinger.start(scope, near, await far.address());
    const before = await near.exec('ip', 'addr', 'show', 'eth0');
    await near.host.host.stop('vswitchd');
    await near.host.startVswitchd();
    await traffic.goesOn();
    expect(await near.exec('ip', 'addr', 'show', 'eth0')).toBe(before);
    const late = await lab.run(scope, near.host, { name: 'pause-c', network: 'pause' });
    await far.reaches(late.name);
    await near.host.docker('rm', '-f', near.name);
    expect(await near.host.taps()).toEqual([]);
  });

  it('a killed vswitchd takes up its 20 containers again, under traffic', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'twenty');
    const containers: TestContainer[] = [];
    for (const host of [h1, h2]) {
      for (let n = 0; n < 10; n += 1) {
        containers.push(
          await lab.run(scope, host, { name: `${host.name}-${n}`, network: 'twenty' }),
        );
      }
    }
    const pingers: Pinger[] = [];
    for (const [n, container] of containers.entries()) {
      const partner = containers[(n + 10) % 20]!;
      pingers.push(await Pinger.start(scope, container, await partner.address()));
    }
    await h1.host.stop('vswitchd', 'KILL');
    await h1.startVswitchd();
    for (const pinger of pingers) await pinger.goesOn();
    await lab.agreed();
    await h1.docker('rm', '-f', ...containers.slice(0, 10).map(({ name }) => name));
    expect(await h1.taps()).toEqual([]);
  });

  it('what Docker removes while vswitchd is away leaves nothing', async () => {
    const scope = testScope();
    const { near, far } = await pair(scope, 'away');
    await near.host.host.stop('vswitchd', 'KILL');
    await near.host.docker('rm', '-f', near.name);
    await near.host.startVswitchd();
    // dockerd, which gave up telling us, is asked what it still has.
    await lab.agreed(60_000);
    expect(await near.host.taps()).toEqual([]);
    const again = await lab.run(scope, near.host, { name: 'away-c', network: 'away' });
    await again.reaches(far.name);
  }, 200_000);

  it('vswitchd starts before dockerd and after it', async () => {
    const scope = testScope();
    const { near, far } = await pair(scope, 'order', ['--restart', 'always']);
    const { host } = near.host;
    await host.stop('dockerd');
    await host.stop('vswitchd');
    await near.host.startVswitchd();
    await near.host.startDockerd();
    await far.reaches(near.name, 30_000);
    await host.stop('dockerd');
    await host.stop('vswitchd');
    await near.host.startDockerd();
    await near.host.startVswitchd();
    // dockerd has given up on it, for want of its driver.
    await near.host.docker('start', near.name);
    await far.reaches(near.name);
  }, 200_000);

  it.each(['TERM', 'KILL'])(
    'containers that dockerd starts again after SIG%s are found',
    async (signal) => {
      const scope = testScope();
      const name = `back-${signal.toLowerCase()}`;
      const { near, far } = await pair(scope, name, ['--restart', 'always']);
      await near.reaches(far.name);
      await far.host.host.stop('dockerd', signal);
      await far.host.startDockerd();
      await near.reaches(far.name, 30_000);
      await near.reaches(await far.address());
      expect(await far.host.taps()).toEqual([]);
    },
  );

  it('containers that a killed dockerd does not start again leave nothing', async () => {
    const scope = testScope();
    const { far } = await pair(scope, 'lost');
    await far.host.host.stop('dockerd', 'KILL');
    await far.host.startDockerd();
    await lab.agreed(30_000);
    expect(await far.host.taps()).toEqual([]);
  });

  it.each(['TERM', 'KILL'])(
    'with live-restore traffic goes on without dockerd after SIG%s',
    async (signal) => {
      const scope = testScope();
      const [h1] = lab.hosts;
      await h1.host.stop('dockerd');
      await h1.startDockerd(['--live-restore']);
      const name = `live-${signal.toLowerCase()}`;
      const { near, far } = await pair(scope, name);
      const traffic = await Pinger.start(scope, near, await far.address());
      await h1.host.stop('dockerd', signal);
      await traffic.goesOn();
      await h1.startDockerd(['--live-restore']);
      await traffic.goesOn();
      await lab.agreed(30_000);
      await h1.docker('rm', '-f', near.name);
      expect(await h1.taps()).toEqual([]);
    },
  );
});

// With a cluster store Docker goes on counting what it could not tell its driver, and keeps the network for ever.
describe('a dockerd of local scope that ended without vswitchd', () => {
  let lab: TestLab;
  sharedLab({ scope: 'local' }, (made) => {
    lab = made;
  });

  it('is asked what it could not tell', async () => {
    const scope = testScope();
    const network = await lab.network(scope, 'untold');
    const [h1, h2] = lab.hosts;
    const near = await lab.run(scope, h1, { name: 'untold-a', network });
    const far = await lab.run(scope, h2, { name: 'untold-b', network });
    await h1.host.stop('vswitchd');
    await h1.host.stop('dockerd');
    await h1.startDockerd();
    await h1.startVswitchd();
    await h1.docker('start', near.name);
    await far.reaches(near.name, 60_000);
    await lab.agreed(60_000);
    expect(await h1.taps()).toEqual([]);
  }, 200_000);
});
