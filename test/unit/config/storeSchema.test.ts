import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.js';
import { storeSchema } from '../../../src/config/storeSchema.js';
import type { SwitchError } from '../../../src/model/error.js';

const VTEP = 'vtep: {address: 10.200.0.1}\n';

const storeOf = (text: string) =>
  parseConfig(`${VTEP}store: ${text}\n`, 'vswitchd.yaml').config.store;

function problemsOf(text: string) {
  try {
    storeOf(text);
  } catch (error) {
    return (error as SwitchError).facts.problems ?? [];
  }
  throw new Error('accepted');
}

describe('the store setting', () => {
  it('is the local store by default', () => {
    expect(parseConfig(VTEP, 'vswitchd.yaml').config.store).toEqual({
      kind: 'local',
      url: 'local',
    });
    expect(storeOf('local')).toEqual({ kind: 'local', url: 'local' });
    expect(storeOf('{url: local}')).toEqual({ kind: 'local', url: 'local' });
  });

  it.each([
    ['etcd://h', 'etcd', ['h:2379'], 'vswitchd'],
    ['etcd://h:1/', 'etcd', ['h:1'], 'vswitchd'],
    [
      'etcd://a.b-c_d:1,[fd00::1]:2,10.0.0.1/p',
      'etcd',
      ['a.b-c_d:1', '[fd00::1]:2', '10.0.0.1:2379'],
      'p',
    ],
    ['etcd://h/a/b.c/', 'etcd', ['h:2379'], 'a/b.c'],
    ['consul://h/p', 'consul', ['h:8500'], 'p'],
    ['consul://[::1]:65535', 'consul', ['[::1]:65535'], 'vswitchd'],
  ])('%s', (url, kind, addresses, prefix) => {
    expect(storeOf(`"${url}"`)).toEqual({ kind, url, addresses, prefix, tls: false });
  });

  it.each([
    '""',
    'Local',
    'redis://h/p',
    'etcd:h',
    'etcd://',
    'etcd:///p',
    'etcd://h:0/p',
    'etcd://h:65536/p',
    'etcd://h:/p',
    '"etcd://h,/p"',
    'etcd://user:secret@h/p',
    'etcd://h//p',
    'etcd://h/a/../b',
    'etcd://h/p//q',
    'etcd://h/p?x=1',
    '"etcd://h/a b"',
    '"consul://a,b/p"',
    '7',
    '[local]',
  ])('%s is none', (url) => {
    expect(problemsOf(url)).toMatchObject([
      { path: expect.stringMatching(/^store/), line: 2, allowed: expect.any(String) },
    ]);
  });

  it('shows what a URL looks like, and that secrets have no place in it', () => {
    expect(problemsOf('etcd://user:secret@h/p')[0]?.allowed).toMatch(
      /etcd:.*consul:.*without user and password/,
    );
  });

  it.each([
    ['ca: /c', true],
    ['cert: /c, key: /k', true],
    ['tls: true', true],
    ['tls: false', false],
    ['user: u, password_file: /p', false],
  ])('TLS with {%s}: %s', (more, tls) => {
    expect(storeOf(`{url: "etcd://h", ${more}}`)).toMatchObject({ kind: 'etcd', tls });
  });

  it.each([
    ['etcd://h', 'user: u', ['store.password_file']],
    ['etcd://h', 'password_file: /p', ['store.user']],
    ['etcd://h', 'user: "", password_file: /p', ['store.user']],
    ['etcd://h', 'cert: /c', ['store.key']],
    ['etcd://h', 'key: /c', ['store.cert']],
    ['etcd://h', 'ca: /c, tls: false', ['store.tls']],
    ['etcd://h', 'token_file: /t', ['store.token_file']],
    ['etcd://h', 'ca: c', ['store.ca']],
    ['etcd://h', 'colour: red', ['store.colour']],
    [
      'etcd://h',
      'user: u, cert: /c, token_file: /t',
      ['store.token_file', 'store.password_file', 'store.key'],
    ],
    ['consul://h', 'user: u, password_file: /p', ['store.user', 'store.password_file']],
    ['local', 'tls: true, ca: /c', ['store.tls', 'store.ca']],
  ])('%s with {%s} has problems', (url, more, paths) => {
    expect(problemsOf(`{url: "${url}", ${more}}`).map(({ path }) => path)).toEqual(paths);
  });

  it('keeps only paths of secrets', () => {
    const settings = storeSchema.parse({ url: 'consul://h', token_file: '/t' });
    expect(settings).toMatchObject({ token_file: '/t' });
  });
});
