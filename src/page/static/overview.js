// The first view: the picture, and below it what is chosen in it, or else what is going on.

import { Details } from './details.js';
import { html, useState } from './dom.js';
import { bitRate, moment, perSecond } from './format.js';
import { Picture } from './picture.js';
import { useHistory } from './polling.js';
import { dropKey } from './rates.js';
import { routeTo } from './route.js';
import { sceneOf } from './scene.js';
import { Sparkline } from './sparkline.js';

const BUSIEST = 5;
const NEWEST = 6;

export function Overview({ status, networks, counters, hosts, drops, book }) {
  const [selected, setSelected] = useState(undefined);
  const scene = sceneOf({ status, networks, counters, hosts, book });
  return html`
    <section class="overview">
      <${Picture} scene=${scene} selected=${selected} onSelect=${setSelected} />
      ${
        selected === undefined
          ? html`<div class="cards">
            <${Busiest} scene=${scene} book=${book} />
            <${Dropping} drops=${drops} book=${book} />
            <${Newest} epoch=${counters.started_at} />
          </div>`
          : html`<${Details} selected=${selected} scene=${scene} onClose=${() => setSelected(undefined)} />`
      }
    </section>
  `;
}

function Busiest({ scene, book }) {
  const ports = scene.networks.flatMap(({ name, colour, ports }) =>
    ports.map((port) => ({ ...port, network: name, colour })),
  );
  const load = ({ rates }) => (rates?.rx_bytes ?? 0) + (rates?.tx_bytes ?? 0);
  const busiest = ports.filter((port) => load(port) > 0).sort((a, b) => load(b) - load(a));
  return html`
    <section class="card">
      <h2>Busiest ports</h2>
      ${busiest.length === 0 && html`<p class="dim">Nothing is sent at this moment.</p>`}
      <table>
        <tbody>
          ${busiest.slice(0, BUSIEST).map(
            ({ name, network, colour, rates }) => html`
              <tr>
                <td class="grow">
                  <span class=${`swatch colour${colour}`}></span>
                  <a href=${routeTo('ports', { q: name })}>${name}</a>
                </td>
                <td class="number">↓ ${bitRate(rates.tx_bytes)}</td>
                <td class="number">↑ ${bitRate(rates.rx_bytes)}</td>
                <td><${Sparkline} book=${book} network=${network} port=${name} /></td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </section>
  `;
}

function Dropping({ drops = [], book }) {
  const rate = ({ reason }) => book.of(dropKey(reason))?.frames ?? 0;
  const now = drops.filter((drop) => rate(drop) >= 0.05).sort((a, b) => rate(b) - rate(a));
  return html`
    <section class="card">
      <h2>Dropped at this moment</h2>
      ${now.length === 0 && html`<p class="dim">Nothing. <a href=${routeTo('drops')}>All reasons</a></p>`}
      <dl class="reasons">
        ${now.slice(0, BUSIEST).map(
          (drop) => html`
            <dt><code>${drop.reason}</code> <span class="bad">${perSecond(rate(drop))}</span></dt>
            <dd>${drop.sentence}</dd>
          `,
        )}
      </dl>
    </section>
  `;
}

function Newest({ epoch }) {
  const { answer } = useHistory({}, 3, epoch);
  const lines = (answer?.lines ?? []).slice(-NEWEST).reverse();
  return html`
    <section class="card">
      <h2>What has changed</h2>
      ${lines.length === 0 && html`<p class="dim">Nothing so far.</p>`}
      <ol class="lines">
        ${lines.map(
          ({ seq, at, sentence }) =>
            html`<li key=${seq}><time datetime=${at}>${moment(at)}</time> ${sentence}</li>`,
        )}
      </ol>
    </section>
  `;
}
