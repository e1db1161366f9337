// Who may ask the page's server. A browser sends what any website tells it to, so being on this host
// is not enough: a request must name us by address, come from our own page, and bear the token if there
// is one.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SwitchError } from '../model/error.js';
import { parseIp } from '../model/ip.js';

const COOKIE = 'vswitchd';

/**
 * Refuses requests of `server` with FORBIDDEN and UNAUTHORIZED, and sets the headers that bind browsers.
 * With a token, `/?token=TOKEN` is answered with a cookie that stands for it.
 */
export function guardAccess(server: FastifyInstance, token: string | undefined): void {
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    requireAddress(request.headers.host);
    requireSameSite(request);
    if (token !== undefined) return requireToken(request, reply, token);
  });
}

/**
 * A website can give its own name our address (DNS rebinding) and then reads from us as from itself.
 * With an address in the place of the name it cannot.
 */
export function requireAddress(host: string | undefined): void {
  const name = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host ?? '');
  const known = name?.[1] ?? name?.[2] ?? '';
  if (known !== 'localhost' && parseIp(known) === undefined) {
    throw new SwitchError('FORBIDDEN', `for the host ${host ?? ''}`, {
      why: 'a website that turns up under a name of its own shall not read this',
      fix: 'name this host by its address, or as localhost',
    });
  }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/**
 * Browsers tell whose page asks; other programs tell nothing. What they say of the site holds also behind a proxy, which
 * has another name than we; older ones, and those that speak plain HTTP with another host, tell the origin alone.
 */
function requireSameSite({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const isOurs =
    site === undefined || site === 'none'
      ? origin === undefined || hostOf(origin) === host
      : site === 'same-origin';
  if (!isOurs) {
    throw new SwitchError('FORBIDDEN', `from ${origin ?? 'another website'}`, {
      why: 'only our own page may ask',
      fix: 'open the page itself',
    });
  }
}

function requireToken(request: FastifyRequest, reply: FastifyReply, token: string): unknown {
  const [path = '', query] = request.url.split('?', 2);
  const given = new URLSearchParams(query).get('token');
  const session = sessionOf(token);
  if (path === '/' && given !== null && isEqual(given, token)) {
    // Away with it from the address bar, the history and the referrer.
    return reply
      .header('set-cookie', `${COOKIE}=${session}; HttpOnly; SameSite=Strict; Path=/`)
      .redirect('/', 303);
  }
  const [, bearer] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (bearer !== undefined && isEqual(bearer, token)) return undefined;
  const cookies = (request.headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
  if (cookies.some((cookie) => isEqual(cookie, `${COOKIE}=${session}`))) return undefined;
  reply.header('www-authenticate', 'Bearer');
  throw new SwitchError('UNAUTHORIZED', path);
}

/** Stands for the token in a cookie, which other servers of this host get to see too: ports are all one to cookies. */
function sessionOf(token: string): string {
  return createHmac('sha256', token).update('session of the page').digest('base64url');
}

/** Tells by its time neither length nor content. */
function isEqual(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

const HEADERS = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
};
