import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../../src/cni/environment.js';
import { refusalOf } from './refusals.js';

const ADD = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin:/usr/lib/cni',
};

describe('the environment', () => {
  it('is read', () => {
    expect(readEnvironment({ ...ADD, CNI_ARGS: 'A=1;B=x=y' })).toEqual({
      command: 'ADD',
      attachment: { containerId: 'c0ffee', ifname: 'eth0' },
      netns: '/run/netns/x',
      path: ['/opt/cni/bin', '/usr/lib/cni'],
      args: new Map([
        ['A', '1'],
        ['B', 'x=y'],
      ]),
    });
  });

  it.each([
    ['CNI_COMMAND', 'add'],
    ['CNI_COMMAND', undefined],
    ['CNI_CONTAINERID', '-c'],
    ['CNI_CONTAINERID', ''],
    ['CNI_NETNS', 'run/netns/x'],
    ['CNI_NETNS', undefined],
    ['CNI_IFNAME', 'sixteen-letters-'],
    ['CNI_IFNAME', '..'],
    ['CNI_IFNAME', 'a b'],
    ['CNI_ARGS', 'no-equals-sign'],
  ])('with %s=%s is refused with code 4', (name, value) => {
    expect(refusalOf(() => readEnvironment({ ...ADD, [name]: value })).code).toBe(4);
  });

  it('needs no namespace at DEL', () => {
    expect(readEnvironment({ ...ADD, CNI_COMMAND: 'DEL', CNI_NETNS: '' }).netns).toBe('');
    const gone = { ...ADD, CNI_COMMAND: 'DEL', CNI_CONTAINERID: '' };
    expect(refusalOf(() => readEnvironment(gone)).details).toBe('CNI_CONTAINERID is missing');
  });

  it.each(['VERSION', 'GC', 'STATUS'])('may say anything of a container to %s', (command) => {
    const dummy = { CNI_COMMAND: command, CNI_NETNS: 'dummy', CNI_IFNAME: 'du/my' };
    expect(readEnvironment(dummy).command).toBe(command);
  });
});
