// A question that had no answer, to whoever asked it.

import { html } from './dom.js';

/** The sentence of a refusal; nothing when all is well, and nothing when vswitchd is away: the page's head says that. */
export function Trouble({ of }) {
  if (of === undefined || of.name === 'Away') return null;
  return html`<p class="alarm" role="alert">${of.message}</p>`;
}
