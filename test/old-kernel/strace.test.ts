/** Reading what strace has written. */

import { expect, test } from 'vitest';
import { finishedCalls, refusedNames } from './strace.js';

const RECORD = `
17 [ 435] clone3({flags=CLONE_VM}, 88) = -1 ENOSYS (Function not implemented)
17 [ 232] epoll_wait(13,  <unfinished ...>
18 [  54] setsockopt(4, SOL_UDP, UDP_GRO, [1], 4 <unfinished ...>
17 [ 232] <... epoll_wait resumed>[], 1, 0) = -1 ENOSYS (Function not implemented)
18 [  54] <... setsockopt resumed>) = -1 ENOPROTOOPT (Protocol not available)
18 [  16] ioctl(5, TUNSETOFFLOAD, 0x6f) = -1 EINVAL (Invalid argument)
18 [  41] socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_ICMP) = -1 EPROTONOSUPPORT (Protocol not supported)
18 [ 257] openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)
18 [   9] mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, -1, 0) = 0x7f7084e6e000
18 [ 231] exit_group(0) = ?
18 +++ exited with 0 +++
`;

test('calls are put together where another came between', () => {
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
