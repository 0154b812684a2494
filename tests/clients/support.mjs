// What the tests of clients for JavaScript share: the server under test, and when it has nothing to do.
import assert from 'node:assert/strict';

export const url = process.env.WEIR_URL;
export const baseURL = process.env.WEIR_BASE_URL;
export const model = process.env.WEIR_MODEL;

export async function idleWithin(ms) {
  const start = performance.now();
  for (;;) {
    const page = await (await fetch(`${url}/metrics`)).text();
    const busy = [...page.matchAll(/^weir_(?:engine_requests_running|requests_inflight)(?:\{.*\})? (\S+)$/gm)];
    if (busy.reduce((sum, m) => sum + Number(m[1]), 0) === 0) return;
    assert.ok(performance.now() - start < ms, `still at work after ${ms} ms`);
  }
}
