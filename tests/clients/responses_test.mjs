// REQ: API-6 API-10 API-11
// OpenAI's own SDK for Node, unmodified, over /v1/responses.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { baseURL, idleWithin, model } from './support.mjs';

const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
const body = { model, input: 'Tell me a story.', max_output_tokens: 24, temperature: 0 };

test('whole and streamed', async () => {
  const whole = await client.responses.create(body);
  let text = '';
  for await (const event of await client.responses.create({ ...body, stream: true }))
    if (event.type === 'response.output_text.delta') text += event.delta;
  assert.ok(whole.output_text.length > 0);
  assert.equal(text, whole.output_text);
});

test('the stream helper follows every event', async () => {
  const stream = client.responses.stream(body);
  let snapshot = '';
  stream.on('response.output_text.delta', (event) => (snapshot = event.snapshot));
  const final = await stream.finalResponse();
  assert.equal(final.output_text, snapshot);
  assert.ok(['completed', 'incomplete'].includes(final.status));
});

test('output goes back as input', async () => {
  const input = [{ role: 'user', content: 'Tell me a story.' }];
  const first = await client.responses.create({ ...body, input });
  const second = await client.responses.create({ ...body, input: [...input, ...first.output, { role: 'user', content: 'Go on.' }] });
  assert.ok(second.usage.input_tokens > first.usage.total_tokens);
});

test('errors arrive as the classes of their status', async () => {
  const cases = [
    [{ previous_response_id: 'resp_1' }, OpenAI.BadRequestError, 'unsupported_parameter'],
    [{ model: 'nobody' }, OpenAI.NotFoundError, 'model_not_found'],
  ];
  for (const [fields, kind, code] of cases)
    for (const stream of [false, true])
      await assert.rejects(client.responses.create({ ...body, ...fields, stream }), (e) => e instanceof kind && e.code === code);
});

test('an aborted stream stops the work', async () => {
  const stream = await client.responses.create({ ...body, max_output_tokens: 4000, stream: true });
  for await (const event of stream) if (event.type === 'response.output_text.delta') break;
  await idleWithin(500);
});
