/** The plugin on a real socket, between a fake dockerd and a fake host. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { type DockerPlugin, startDockerPlugin } from '../../src/docker/plugin.js';
import { type FakeClusterStore, FakeDockerd } from './fakeDockerd.js';
import { FakeDockerHost, FakeMemory, FakeOverlay } from './fakeDockerHost.js';

/** created -> started -> stopped, and started again */
export class PluginHost {
  readonly host: FakeDockerHost;
  readonly memory = new FakeMemory();
  readonly dockerd: FakeDockerd;
  readonly folder: string;
  readonly log: Record<string, unknown>[] = [];
  #plugin: DockerPlugin | undefined;

  private constructor(folder: string, overlay: FakeOverlay, cluster?: FakeClusterStore) {
    this.folder = folder;
    this.host = new FakeDockerHost(overlay);
    const options = { plugin: this.socket, api: join(folder, 'docker.sock') };
    this.dockerd = new FakeDockerd(cluster === undefined ? options : { ...options, cluster });
  }

  /** Both run; `close` it, or create it with `running`. */
  static async create(
    overlay = new FakeOverlay(),
    cluster?: FakeClusterStore,
  ): Promise<PluginHost> {
    const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
    const host = new PluginHost(folder, overlay, cluster);
    await host.dockerd.start();
    await host.start();
    return host;
  }

  /** Goes with the test. */
  static async running(overlay?: FakeOverlay, cluster?: FakeClusterStore): Promise<PluginHost> {
    const host = await PluginHost.create(overlay, cluster);
    onTestFinished(() => host.close());
    return host;
  }

  get socket(): string {
    return join(this.folder, 'vswitch.sock');
  }

  async start(): Promise<void> {
    this.#plugin = await startDockerPlugin({
      host: this.host,
      memory: this.memory,
      settings: { plugin: this.socket, engine: join(this.folder, 'docker.sock') },
      log: pino(
        { base: null, level: 'debug' },
        { write: (line) => void this.log.push(JSON.parse(line)) },
      ),
    });
  }

  async stop(): Promise<void> {
    await this.#plugin?.stop();
    this.#plugin = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.dockerd.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
