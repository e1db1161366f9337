// The way that one frame would take at this moment, decision by decision. Nothing is sent.

import { ask } from './api.js';
import { html, useState } from './dom.js';
import { Trouble } from './trouble.js';

const EXAMPLE = 'ip src 10.0.0.1 dst 10.0.0.2 tcp dport 80';

export function TraceForm({ networks = [], query }) {
  const [state, setState] = useState({ isAsking: false });
  const [network, setNetwork] = useState(query.network);
  const [from, setFrom] = useState('port');
  const [form, setForm] = useState('flow');
  const chosen = networks.find(({ name }) => name === network) ?? networks[0];
  const submit = async (event) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    setState({ isAsking: true });
    try {
      const path = `/v1/networks/${encodeURIComponent(chosen.name)}/trace`;
      setState({ isAsking: false, trace: await ask(path, { body: bodyOf(fields) }) });
    } catch (trouble) {
      setState({ isAsking: false, trouble });
    }
  };
  if (chosen === undefined) return html`<p class="empty">There is no network to trace in.</p>`;
  const places =
    from === 'port'
      ? chosen.ports.map(({ name }) => name)
      : chosen.peers.map(({ address }) => address);
  return html`
    <section class="columns">
      <form class="card" onSubmit=${submit} aria-label="What to trace">
        <label>Network
          <select name="network" value=${chosen.name} onChange=${(event) => setNetwork(event.currentTarget.value)}>
            ${networks.map(({ name }) => html`<option value=${name}>${name}</option>`)}
          </select>
        </label>
        <fieldset>
          <legend>It comes</legend>
          <${Choice} name="from" value="port" chosen=${from} choose=${setFrom}>from a port<//>
          <${Choice} name="from" value="peer" chosen=${from} choose=${setFrom}>from a peer, out of its tunnel<//>
          <input name="place" list="places" required aria-label=${from === 'port' ? 'Port' : 'Peer'} placeholder=${from === 'port' ? 'port' : 'VTEP address'} key=${`${from} ${chosen.name}`} value=${places[0] ?? ''} />
          <datalist id="places">${places.map((name) => html`<option value=${name}></option>`)}</datalist>
        </fieldset>
        <fieldset>
          <legend>It is</legend>
          <${Choice} name="form" value="flow" chosen=${form} choose=${setForm}>a flow, in words<//>
          <${Choice} name="form" value="hex" chosen=${form} choose=${setForm}>a frame, in hexadecimal digits<//>
          <textarea name="frame" rows="4" required spellcheck=${false} aria-label=${form === 'flow' ? 'Flow' : 'Frame'} placeholder=${form === 'flow' ? EXAMPLE : '02 42 0a 00 00 02 02 42 0a 00 00 01 08 00 …'}></textarea>
          ${from === 'peer' && form === 'hex' && html`<label><input type="checkbox" name="datagram" /> with its VXLAN header</label>`}
        </fieldset>
        <button class="main" disabled=${state.isAsking}>Trace</button>
        <p class="dim">Nothing is sent, learned or counted.</p>
      </form>
      <div class="result" aria-live="polite">
        <${Trouble} of=${state.trouble} />
        ${state.trace === undefined && state.trouble === undefined && html`<p class="empty">Here stands what the switch would do with it, and why.</p>`}
        ${state.trace !== undefined && html`<${Story} trace=${state.trace} />`}
      </div>
    </section>
  `;
}

function Choice({ name, value, chosen, choose, children }) {
  return html`
    <label>
      <input type="radio" name=${name} value=${value} checked=${chosen === value} onChange=${() => choose(value)} />
      ${' '}${children}
    </label>
  `;
}

function bodyOf(fields) {
  return {
    [fields.get('from')]: fields.get('place').trim(),
    [fields.get('form')]: fields.get('frame'),
    ...(fields.has('datagram') && { datagram: true }),
  };
}

function Story({ trace }) {
  const { summary, assumed, steps, copies, sentence, verdict } = trace;
  return html`
    <article class="card story" aria-label="The way of the frame">
      <h2>${summary}</h2>
      ${assumed.length > 0 && html`<ul class="dim">${assumed.map((line) => html`<li>${line}</li>`)}</ul>`}
      <ol class="steps">
        ${steps.map(
          ({ sentence: step, reason, kind }) =>
            html`<li class=${reason === undefined ? '' : 'bad'} data-kind=${kind}>${step}${reason && html` <code>${reason}</code>`}</li>`,
        )}
      </ol>
      ${copies.length > 0 && html`<${Copies} copies=${copies} />`}
      <p class=${`verdict ${verdict === 'drop' ? 'bad' : 'good'}`}>${sentence}</p>
    </article>
  `;
}

function Copies({ copies }) {
  return html`
    <table aria-label="Copies">
      <thead>
        <tr><th scope="col">leaves by</th><th scope="col" class="number">bytes</th><th scope="col">how</th></tr>
      </thead>
      <tbody>
        ${copies.map(
          ({ port, length, sentence, reason }) => html`
            <tr class=${reason === undefined ? '' : 'bad'}>
              <td>${port}</td><td class="number">${length}</td><td class="sentence">${sentence}</td>
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}
