/** The built addon runs on systems as old as RHEL 7: it asks for glibc 2.17 at most, and that glibc's loader takes it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { glibcVersionsOf, kernelOf, tooNewFor } from '../../tools/package/glibc.mjs';
import { glibcToolchain } from '../../tools/setup/toolchain.mjs';

const addon = fileURLToPath(new URL('../../dist/native/vswitchd.node', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'vswitchd-glibc-'));
afterAll(() => rmSync(folder, { recursive: true }));

const toolchain = glibcToolchain(process.arch);
// Elsewhere the addon is linked as the machine links, and is nobody else's.
if (toolchain !== undefined) {
  describe('the addon', () => {
    it('asks for glibc 2.17 and Linux 3.2.0 at most', () => {
      expect(glibcVersionsOf(addon)).not.toEqual([]);
      expect(tooNewFor(addon)).toEqual([]);
    });

    it("is taken by glibc 2.17's own loader, every symbol bound", () => {
      const { folder: gcc, triple } = toolchain;
      const libraries = join(gcc, triple, 'sysroot/lib');
      const loading = join(folder, 'loading');
      writeFileSync(`${loading}.c`, LOADING);
      execFileSync(join(gcc, 'bin', `${triple}-gcc`), [`${loading}.c`, '-o', loading, '-ldl']);
      const loader = join(libraries, 'ld-2.17.so');
      const said = execFileSync(loader, ['--library-path', libraries, loading, addon], {
        encoding: 'utf8',
      });
      expect(said).toBe('2.17: loaded\n');
    });
  });
}

describe('what a program asks for', () => {
  it('is found where it is too new', () => {
    // What runs these tests asks for glibc 2.28 in official builds, and has an ABI note.
    const [newest] = glibcVersionsOf(process.execPath).slice(-1);
    expect(kernelOf(process.execPath)).toMatch(/^\d+\.\d+\.\d+$/);
    expect(tooNewFor(process.execPath).join(' ')).toContain(`needs glibc ${newest}, above 2.17.`);
  });
});

const LOADING = `
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
int main(int count, char **arguments) {
  void *addon = dlopen(arguments[count - 1], RTLD_NOW);
  int is_addon = addon != NULL && dlsym(addon, "napi_register_module_v1") != NULL;
  printf("%s: %s\\n", gnu_get_libc_version(), is_addon ? "loaded" : dlerror());
  return !is_addon;
}
`;
