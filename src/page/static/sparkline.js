// The last minute and a half of a port, in and out, as small as a word.

import { html } from './dom.js';
import { bitRate } from './format.js';
import { portKey } from './rates.js';

const WIDTH = 96;
const HEIGHT = 18;
/** Moments from the left edge to the right. */
const MOMENTS = 90;

export function Sparkline({ book, network, port }) {
  const past = book.past(portKey(network, port));
  const most = Math.max(1, ...past.flatMap(({ rx_bytes, tx_bytes }) => [rx_bytes, tx_bytes]));
  const line = (name) =>
    past
      .map((rates, index) => {
        const x = WIDTH - ((past.length - 1 - index) * WIDTH) / (MOMENTS - 1);
        return `${x.toFixed(1)},${(HEIGHT - 1 - (rates[name] / most) * (HEIGHT - 2)).toFixed(1)}`;
      })
      .join(' ');
  return html`
    <svg class="spark" width=${WIDTH} height=${HEIGHT} role="img" aria-label=${`Up to ${bitRate(most)}`}>
      <polyline class="out" points=${line('rx_bytes')} />
      <polyline class="in" points=${line('tx_bytes')} />
    </svg>
  `;
}
