import { afterAll, onTestFinished } from 'vitest';
import { Scope } from './scope.js';

/** A scope for what all tests of this file share. Call it at the top level of the file. */
export function fileScope(): Scope {
  const scope = new Scope();
  afterAll(() => scope.close(), 60_000);
  return scope;
}

/** A scope that ends with the running test. Call it inside the test. */
export function testScope(): Scope {
  const scope = new Scope();
  onTestFinished(() => scope.close(), 60_000);
  return scope;
}
