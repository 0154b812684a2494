// REQ: API-5 API-10 API-11
// Ollama's own client for JavaScript, unmodified.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Ollama } from 'ollama';

import { idleWithin, model, url } from './support.mjs';

const client = new Ollama({ host: url });
const messages = [{ role: 'user', content: 'Tell me a story.' }];
const options = { temperature: 0, num_predict: 16 };

test('chat, whole and streamed', async () => {
  const whole = await client.chat({ model, messages, options });
  let text = '', last;
  for await (const part of await client.chat({ model, messages, options, stream: true })) {
    text += part.message.content;
    last = part;
  }
  assert.equal(text, whole.message.content);
  assert.equal(last.done, true);
  assert.equal(last.eval_count, whole.eval_count);
});

test('generate, whole and streamed', async () => {
  const body = { model, prompt: 'Once upon a time', raw: true, options };
  const whole = await client.generate(body);
  let text = '';
  for await (const part of await client.generate({ ...body, stream: true })) text += part.response;
  assert.equal(text, whole.response);
});

test('embeddings', async () => {
  const both = await client.embed({ model, input: ['a dog', 'a cat'] });
  assert.equal(both.embeddings.length, 2);
  assert.deepEqual((await client.embeddings({ model, prompt: 'a dog' })).embedding, both.embeddings[0]);
});

test('models', async () => {
  assert.deepEqual((await client.list()).models.map((m) => m.name), [model]);
  assert.deepEqual((await client.ps()).models.map((m) => m.name), [model]);
  assert.ok((await client.show({ model })).capabilities.includes('completion'));
  assert.ok((await client.version()).version);
});

test('errors', async () => {
  const cases = [
    [() => client.chat({ model: 'nobody', messages }), 404],
    [() => client.chat({ model: 'nobody', messages, stream: true }), 404],
    [() => client.generate({ model, prompt: 'x', suffix: 'y' }), 400],
  ];
  for (const [call, status] of cases) await assert.rejects(call, (e) => e.status_code === status && e.message.length > 0);
});

test('an aborted stream stops the work', async () => {
  const stream = await client.chat({ model, messages, stream: true });
  await assert.rejects(async () => {
    for await (const part of stream) if (part.message.content) stream.abort();
  });
  await idleWithin(500);
});
