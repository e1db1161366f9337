/** Reading what strace has written. */

import { expect, test } from 'vitest';
import { finishedCalls, refusedNames } from './strace.js';

const RECORD = `
[ 435] clone3({flags=CLONE_VM}, 88) = -1 ENOSYS (Function not implemented)
[ 232] epoll_wait(13, [], 1, 0)         = -1 ENOSYS (Function not implemented)
[  54] setsockopt(4, SOL_UDP, UDP_GRO, [1], 4) = -1 ENOPROTOOPT (Protocol not available)
[  16] ioctl(5, TUNSETOFFLOAD, 0x6f) = -1 EINVAL (Invalid argument)
[  41] socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_ICMP) = -1 EPROTONOSUPPORT (Protocol not supported)
[ 257] openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)
[   9] mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, -1, 0) = 0x7f7084e6e000
[ 232] epoll_wait(13,  <unfinished ...>) = ?
[ 231] exit_group(0)                    = ?
[ 231] +++ exited with 0 +++
`;

test('calls are those that came back', () => {
  const calls = finishedCalls(RECORD);
  const names = 'clone3 epoll_wait setsockopt ioctl socket openat mmap';
  expect(calls.map(({ name }) => name).join(' ')).toBe(names);
  expect(calls[2]).toEqual({
    ...{ number: 54, name: 'setsockopt', args: '4, SOL_UDP, UDP_GRO, [1], 4' },
    errno: 'ENOPROTOOPT',
  });
  expect(calls[6]?.errno).toBeUndefined();
});

test('what a release does not have is told from other failures', () => {
  expect(refusedNames(finishedCalls(RECORD), 333)).toEqual([
    ...['IPPROTO_ICMP', 'TUNSETOFFLOAD', 'UDP_GRO', 'clone3'],
  ]);
});
