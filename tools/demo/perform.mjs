// A demo from its first to its last word: told once, and nothing is left unless that was asked for.

/**
 * Calls `tell(signal)`; whatever happens, Ctrl-C included, `takeDown()` follows unless the story was told and
 * `keep` is set. Returns the exit code, `told` whether the story came to its end.
 */
export async function perform({ tell, takeDown, keep }) {
  const abort = new AbortController();
  let signalled;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      signalled ??= name;
      abort.abort();
    });
  }
  let told = false;
  try {
    await tell(abort.signal);
    told = true;
  } catch (error) {
    if (signalled === undefined) throw error;
    console.error(`\nEnded by ${signalled}, cleaning up.`);
  } finally {
    if (!(told && keep)) await takeDown();
  }
  return { told, code: told ? 0 : 130 };
}
