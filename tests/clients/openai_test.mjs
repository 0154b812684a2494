// REQ: API-1 API-2 API-3 API-4 API-10 API-11
// OpenAI's own SDK for Node, unmodified.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { baseURL, idleWithin, model } from './support.mjs';

const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Tell me a story.' }];

async function gather(stream) {
  const texts = [];
  let last;
  for await (const chunk of stream)
    for (const choice of chunk.choices) {
      texts[choice.index] = (texts[choice.index] ?? '') + (choice.delta.content ?? '');
      last = choice.finish_reason ?? last;
    }
  return { texts, last };
}

test('models are listed and found', async () => {
  const list = await client.models.list();
  assert.ok(list.data.some((m) => m.id === model));
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.models.retrieve('nobody'), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
});

test('a whole answer', async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 12, seed: 1 });
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.equal(typeof answer.choices[0].message.content, 'string');
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.ok(answer._request_id);
});

test('a stream says the same, with usage when asked', async () => {
  const whole = await client.chat.completions.create({ model, messages, max_tokens: 24, seed: 2 });
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 24, seed: 2, stream: true, stream_options: { include_usage: true } });
  let text = '', usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test('the stream helper gathers the final answer', async () => {
  const runner = client.chat.completions.stream({ model, messages, max_tokens: 12, seed: 3 });
  let pieces = '';
  runner.on('content', (delta) => (pieces += delta));
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, pieces);
  assert.ok(['stop', 'length'].includes(final.choices[0].finish_reason));
});

test('n choices, streamed and whole', async () => {
  const body = { model, messages, n: 3, max_tokens: 16, seed: 4, temperature: 1.2 };
  const whole = await client.chat.completions.create(body);
  const streamed = await gather(await client.chat.completions.create({ ...body, stream: true }));
  assert.deepEqual(whole.choices.map((c) => c.message.content), streamed.texts);
});

test('stop', async () => {
  const body = { model, messages, max_tokens: 32, temperature: 0 };
  const text = (await client.chat.completions.create(body)).choices[0].message.content;
  const stop = text.slice(6, 10);
  const cut = await client.chat.completions.create({ ...body, stop });
  assert.equal(cut.choices[0].message.content, text.slice(0, text.indexOf(stop)));
  assert.equal(cut.choices[0].finish_reason, 'stop');
});

test('logprobs', async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 6, logprobs: true, top_logprobs: 4 });
  for (const token of answer.choices[0].logprobs.content) {
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 4);
  }
});

test('a seed repeats', async () => {
  const say = async () => (await client.chat.completions.create({ model, messages, max_tokens: 24, seed: 77 })).choices[0].message.content;
  assert.equal(await say(), await say());
});

test('legacy completions, whole and streamed', async () => {
  const body = { model, prompt: 'Once upon a time', max_tokens: 12, seed: 5 };
  const whole = await client.completions.create(body);
  let text = '';
  for await (const chunk of await client.completions.create({ ...body, stream: true })) text += chunk.choices[0]?.text ?? '';
  assert.equal(text, whole.choices[0].text);
  const scored = await client.completions.create({ model, prompt: 'Once upon a time', max_tokens: 0, echo: true, logprobs: 1 });
  assert.equal(scored.choices[0].logprobs.token_logprobs[0], null);
});

test('embeddings, which the SDK asks for in base64', async () => {
  const plain = await client.embeddings.create({ model, input: ['a dog', 'a cat'], encoding_format: 'float' });
  const packed = await client.embeddings.create({ model, input: ['a dog', 'a cat'] });
  assert.equal(packed.data.length, 2);
  packed.data.forEach((item, i) => assert.deepEqual([...item.embedding].map(Math.fround), plain.data[i].embedding.map(Math.fround)));
});

test('errors arrive as the classes of their status', async () => {
  const cases = [
    [{ model: 'nobody', messages }, OpenAI.NotFoundError, 'model_not_found', 'model'],
    [{ model, messages: [] }, OpenAI.BadRequestError, 'empty_array', 'messages'],
    [{ model, messages, temperature: 7 }, OpenAI.BadRequestError, 'above_max_value', 'temperature'],
    [{ model, messages: [{ role: 'user', content: 'word '.repeat(50000) }] }, OpenAI.BadRequestError, 'context_length_exceeded', 'messages'],
  ];
  for (const [body, kind, code, param] of cases)
    for (const stream of [false, true])
      await assert.rejects(client.chat.completions.create({ ...body, stream }), (e) => {
        assert.ok(e instanceof kind, `${e}`);
        assert.equal(e.code, code);
        assert.equal(e.param, param);
        assert.ok(e.requestID);
        return true;
      });
});

test('structured output comes parsed', async () => {
  const person = z.object({ name: z.string().max(12), age: z.number().int().min(0).max(120), likes: z.array(z.enum(['red', 'blue'])).max(3) });
  const made = await client.chat.completions.parse({ model, messages, seed: 3, response_format: zodResponseFormat(person, 'person') });
  assert.deepEqual(Object.keys(made.choices[0].message.parsed).sort(), ['age', 'likes', 'name']);
});

test('structured output that cannot be held is refused by name', async () => {
  const schema = { type: 'json_schema', json_schema: { name: 'x', schema: { not: {} } } };
  await assert.rejects(client.chat.completions.create({ model, messages, response_format: schema }),
    (e) => e.code === 'unsupported_parameter' && e.param === 'response_format');
});

test('abort of a stream stops the work', async () => {
  const stream = await client.chat.completions.create({ model, messages, n: 16, stream: true, logit_bias: {}, ignore_eos: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break; // leaving the loop aborts the request
  }
  await idleWithin(1000);
});

test('abort of a waiting request stops the work', async () => {
  const aborter = new AbortController();
  const waiting = client.chat.completions.create({ model, messages, n: 64, ignore_eos: true }, { signal: aborter.signal });
  setTimeout(() => aborter.abort(), 30);
  await assert.rejects(waiting, (e) => e instanceof OpenAI.APIUserAbortError);
  await idleWithin(1000);
});
