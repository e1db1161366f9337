import fc from 'fast-check';
import { distance } from 'fastest-levenshtein';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { networkSchema } from '../../src/config/networkSchema.js';
import { parseConfig } from '../../src/config/parse.js';
import { type Problem, SwitchError } from '../../src/model/error.js';
import { network } from '../support/arbitrary.js';

/** The problems, or none; anything but a refusal with problems fails the test. */
function judge(text: string): readonly Problem[] {
  try {
    parseConfig(text, 'test');
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(SwitchError);
    const { code, facts, message } = error as SwitchError;
    expect(code).toBe('CONFIG_INVALID');
    expect(facts.problems?.length).toBeGreaterThan(0);
    expect(message.split('\n')).toHaveLength(1 + facts.problems!.length);
    return facts.problems!;
  }
}

it('a network parsed, written and parsed again is the same network', () => {
  fc.assert(
    fc.property(network, (input) => {
      const once = networkSchema.parse(input);
      expect(networkSchema.parse(once)).toEqual(once);
      expect(networkSchema.parse(JSON.parse(JSON.stringify(once)))).toEqual(once);
    }),
  );
});

it('a valid network is accepted from YAML as it is from an object', () => {
  fc.assert(
    fc.property(network, (input) => {
      fc.pre(new Set(input.ports?.map((port) => port.mac)).size === (input.ports?.length ?? 0));
      const text = stringify({ vtep: { address: '10.200.0.1' }, networks: [input] });
      // Ports may still share an interface; that is judged elsewhere.
      if (judge(text).length > 0) return;
      expect(parseConfig(text, 'test').config.networks).toEqual([networkSchema.parse(input)]);
    }),
  );
});

it('any document is accepted or refused with problems', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => void judge(stringify(value))));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void judge(text)));
});

it('any value at any place is accepted or refused with the line where it stands', () => {
  const place = fc.constantFrom(
    ['vtep', 'address'],
    ['vtep', 'source_ports'],
    ['store'],
    ['control', 'socket'],
    ['datapath', 'workers'],
    ['networks'],
    ['networks', 0],
    ['networks', 0, 'vni'],
    ['networks', 0, 'peers', 0],
    ['networks', 0, 'inner_vlan'],
    ['networks', 0, 'ports', 0],
    ['networks', 0, 'ports', 0, 'netns'],
    ['networks', 0, 'ports', 0, 'addresses'],
    ['networks', 0, 'fdb', 0, 'mac'],
    ['networks', 0, 'group'],
  );
  fc.assert(
    fc.property(
      place,
      fc.oneof(fc.jsonValue(), fc.integer(), fc.double(), fc.string()),
      (path, value) => {
        const file = {
          vtep: { address: '10.200.0.1', source_ports: { min: 50000 } },
          store: 'local',
          control: { socket: '/x.sock' },
          datapath: { workers: 2 },
          networks: [
            {
              ...{ name: 'n', vni: 5, peers: ['10.200.0.2'], inner_vlan: 'allow' },
              ...{ ports: [{ name: 'p', netns: 'c1', addresses: ['10.0.0.1/8'] }] },
              fdb: [{ mac: '02:00:00:00:00:01', vtep: '10.200.0.2' }],
              group: { address: '239.1.1.1', interface: 'eth0' },
            },
          ],
        };
        let parent: unknown = file;
        for (const step of path.slice(0, -1))
          parent = (parent as Record<string | number, unknown>)[step];
        (parent as Record<string | number, unknown>)[path.at(-1)!] = value;
        for (const problem of judge(stringify(file)))
          expect(problem.line, problem.path).toBeGreaterThan(0);
      },
    ),
    { numRuns: 300 },
  );
});

it('[N240] a key with one letter wrong is refused, and the nearest known key is named', () => {
  const keys = Object.keys(networkSchema.shape).filter((key) => key.length > 4);
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.nat(), (key, at) => {
      const wrong = `${key.slice(0, at % key.length)}q${key.slice((at % key.length) + 1)}`;
      const text = stringify({
        vtep: { address: '10.200.0.1' },
        networks: [{ name: 'n', vni: 5, [wrong]: 1 }],
      });
      const [problem, ...others] = judge(text);
      expect(others).toEqual([]);
      expect(problem?.path).toBe(`networks[0].${wrong}`);
      // Another key may be just as near.
      expect(distance(wrong, problem?.nearest ?? '')).toBeLessThanOrEqual(distance(wrong, key));
    }),
  );
});
