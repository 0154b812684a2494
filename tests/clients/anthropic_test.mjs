// REQ: API-5 API-10 API-11
// Anthropic's own SDK for Node, unmodified.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { idleWithin, model, url } from './support.mjs';

const client = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
const body = { model, max_tokens: 24, temperature: 0, messages: [{ role: 'user', content: 'Tell me a story.' }] };

test('whole, streamed and counted', async () => {
  const whole = await client.messages.create(body);
  const stream = client.messages.stream(body);
  let text = '';
  stream.on('text', (delta) => (text += delta));
  const final = await stream.finalMessage();
  assert.equal(text, whole.content[0].text);
  assert.equal(final.content[0].text, text);
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  const { input_tokens: count } = await client.messages.countTokens({ model, messages: body.messages });
  for (const { usage } of [whole, final]) assert.equal(usage.input_tokens + usage.cache_read_input_tokens, count);
  assert.match(whole._request_id, /^req_/);
});

test('models', async () => {
  const ids = [];
  for await (const info of client.models.list()) ids.push(info.id);
  assert.deepEqual(ids, [model]);
});

test('raw events come in order', async () => {
  const names = [];
  for await (const event of await client.messages.create({ ...body, stream: true })) names.push(event.type);
  assert.equal(names[0], 'message_start');
  assert.deepEqual(names.slice(-3), ['content_block_stop', 'message_delta', 'message_stop']);
});

test('a stop sequence', async () => {
  const text = (await client.messages.create(body)).content[0].text;
  const cut = await client.messages.create({ ...body, stop_sequences: [text.slice(6, 9)] });
  assert.equal(cut.stop_reason, 'stop_sequence');
  assert.equal(cut.stop_sequence, text.slice(6, 9));
});

test('errors arrive as the classes of their status', async () => {
  const cases = [
    [{ model: 'nobody' }, Anthropic.NotFoundError, 'not_found_error', 'model_not_found'],
    [{ messages: [] }, Anthropic.BadRequestError, 'invalid_request_error', 'empty_array'],
    [{ temperature: 7 }, Anthropic.BadRequestError, 'invalid_request_error', 'above_max_value'],
  ];
  for (const [fields, kind, type, code] of cases)
    for (const stream of [false, true])
      await assert.rejects(
        client.messages.create({ ...body, ...fields, stream }),
        (e) => e instanceof kind && e.error.error.type === type && e.errorCode === code && /^req_/.test(e.requestID),
      );
});

test('an aborted stream stops the work', async () => {
  const stream = await client.messages.create({ ...body, max_tokens: 4000, stream: true });
  for await (const event of stream) if (event.type === 'content_block_delta') break;
  await idleWithin(500);
});
