// The MTU of the underlay's link may change while the daemon runs; the ports' MTUs follow.

import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import type { Overlay } from '../overlay/overlay.js';
import { hasAddress } from '../overlay/plan.js';

const INTERVAL_MS = 2000;

/** Looks until the function that it returns is called. Does not keep the process alive. */
export function watchUnderlay(
  datapath: Pick<Datapath, 'interfaces'>,
  overlay: Pick<Overlay, 'base' | 'setUnderlayMtu'>,
  log: Logger,
): () => void {
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      await followUnderlay(datapath, overlay, log);
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'cannot follow the MTU of the underlay');
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), INTERVAL_MS).unref();
  return () => clearInterval(timer);
}

/** One look. An address that is on no interface at this moment says nothing about its MTU. */
export async function followUnderlay(
  datapath: Pick<Datapath, 'interfaces'>,
  overlay: Pick<Overlay, 'base' | 'setUnderlayMtu'>,
  log: Logger,
): Promise<void> {
  const { vtep, underlayMtu: from } = overlay.base;
  const link = datapath.interfaces().find((item) => hasAddress(item, vtep.address));
  if (link === undefined || link.mtu === from) return;
  const { apply } = await overlay.setUnderlayMtu(link.mtu);
  log.info({ from, to: link.mtu, changed: apply.changed }, 'the underlay has another MTU');
}
