// One call of the plugin: all that its commands get.

import type { ControlClient } from '../control/client.js';
import type { Environment, Variables } from './environment.js';
import type { NetworkConfig } from './networkConfig.js';
import type { CniVersion } from './version.js';

export interface Call {
  readonly version: CniVersion;
  readonly environment: Environment;
  readonly config: NetworkConfig;
  /** The configuration as it came, for plugins that we call. */
  readonly input: string;
  /** The whole environment, for programs that we call. */
  readonly variables: Variables;
  readonly client: ControlClient;
}
