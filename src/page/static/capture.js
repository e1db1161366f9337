// A capture to download, or the command for one that runs longer.

import { refusalOfDownload, withQuery } from './api.js';
import { html, useState } from './dom.js';
import { Trouble } from './trouble.js';

export function CaptureForm({ networks = [] }) {
  const [asked, setAsked] = useState({ side: 'inner', seconds: '10' });
  const [state, setState] = useState({});
  const change = (name) => (event) => {
    const { type, checked, value } = event.currentTarget;
    setAsked({ ...asked, [name]: type === 'checkbox' ? checked : value.trim() });
  };
  const path = pathOf(asked);
  const download = async (event) => {
    event.preventDefault();
    setState({ isAsking: true });
    const trouble = await refusalOfDownload(path);
    if (trouble === undefined) save(path);
    setState({ trouble, path: trouble === undefined ? path : undefined });
  };
  const chosen = networks.filter(
    ({ name }) => asked.network === undefined || asked.network === '' || name === asked.network,
  );
  return html`
    <section class="columns">
      <form class="card" onSubmit=${download} aria-label="What to capture">
        <label>Network
          <select onChange=${change('network')}>
            <option value="">all</option>
            ${networks.map(({ name }) => html`<option value=${name}>${name}</option>`)}
          </select>
        </label>
        <label>Port
          <input list="ports" placeholder="any" onInput=${change('port')} />
          <datalist id="ports">${chosen.flatMap(({ ports }) => ports).map(({ name }) => html`<option value=${name}></option>`)}</datalist>
        </label>
        <label>Peer
          <input list="peers" placeholder="any" onInput=${change('peer')} />
          <datalist id="peers">${[...new Set(chosen.flatMap(({ peers }) => peers.map(({ address }) => address)))].map((address) => html`<option value=${address}></option>`)}</datalist>
        </label>
        <label>Side
          <select onChange=${change('side')}>
            <option value="inner">inner: frames of containers</option>
            <option value="outer">outer: datagrams of tunnels</option>
            <option value="both">both, linked</option>
          </select>
        </label>
        <label>Filter <input placeholder="tcp port 80" spellcheck=${false} onInput=${change('filter')} /></label>
        <label><input type="checkbox" onChange=${change('drops')} /> only what is dropped</label>
        <label>Packets, at most <input type="number" min="1" placeholder="any number" onInput=${change('count')} /></label>
        <label>Bytes of each <input type="number" min="1" max="262144" placeholder="all" onInput=${change('snaplen')} /></label>
        <label>Seconds <input type="number" min="1" max="60" required value=${asked.seconds} onInput=${change('seconds')} /></label>
        <button class="main" disabled=${state.isAsking}>Capture and download</button>
      </form>
      <div class="result" aria-live="polite">
        <${Trouble} of=${state.trouble} />
        ${state.path !== undefined && html`<p>The capture runs; your browser saves it as pcapng.</p>`}
        <div class="card">
          <h2>The same, live in Wireshark</h2>
          <pre tabindex="0">${commandOf(asked)}</pre>
          <p class="dim">
            Each packet carries the switch's verdict as a comment: the FDB entry and its origin, the drop reason, the
            tunnel. Capturing never slows forwarding: what the reader is too slow for is left out and counted in the file.
          </p>
        </div>
      </div>
    </section>
  `;
}

/** Where the download is. */
export function pathOf({ network, port, peer, side, filter, drops, count, snaplen, seconds }) {
  return withQuery('/v1/capture.pcapng', {
    ...{ network, port, peer, side, filter, count, snaplen, seconds },
    drops: drops ? 'true' : undefined,
  });
}

/** The command line that captures the same until it is ended. */
export function commandOf({ network, port, peer, side, filter, drops, count, snaplen }) {
  const option = (name, value) => (value ? [name, quoted(value)] : []);
  return [
    'vswitchctl capture',
    ...(network ? [quoted(network)] : []),
    ...option('--port', port),
    ...option('--peer', peer),
    ...(side === 'inner' ? [] : [`--${side}`]),
    ...(drops ? ['--drops'] : []),
    ...option('--filter', filter),
    ...option('-c', count),
    ...option('--snaplen', snaplen),
    '-w - | wireshark -k -i -',
  ].join(' ');
}

function quoted(word) {
  return /^[\w.:/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function save(path) {
  const link = document.createElement('a');
  link.href = path;
  // Under the name that the answer gives.
  link.download = '';
  link.click();
}
