import { describe } from 'vitest';
import { interop } from './interopSuite.js';

describe('[A22] with another vswitchd over IPv4', () => {
  interop({ peer: 'vswitchd', family: 4 });
});

describe('with another vswitchd over IPv6', () => {
  interop({ peer: 'vswitchd', family: 6 });
});
