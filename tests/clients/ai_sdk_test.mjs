// REQ: API-1 API-4 API-10 API-11
// Vercel's AI SDK with its provider for OpenAI-compatible servers, unmodified.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embed, embedMany, generateText, streamText } from 'ai';

const provider = createOpenAICompatible({ name: 'weir', baseURL: process.env.WEIR_BASE_URL, apiKey: 'none', includeUsage: true });
const model = provider(process.env.WEIR_MODEL);
const settings = { model, prompt: 'Tell me a story.', maxOutputTokens: 24, seed: 6, maxRetries: 0 };

test('generateText', async () => {
  const answer = await generateText(settings);
  assert.ok(['stop', 'length'].includes(answer.finishReason), answer.finishReason);
  assert.ok(answer.usage.outputTokens > 0 && answer.usage.inputTokens > 0);
});

test('streamText says the same, with usage', async () => {
  const whole = await generateText(settings);
  const stream = streamText(settings);
  let text = '';
  for await (const delta of stream.textStream) text += delta;
  assert.equal(text, whole.text);
  assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
  assert.equal(await stream.finishReason, whole.finishReason);
});

test('a seed repeats', async () => {
  assert.equal((await generateText(settings)).text, (await generateText(settings)).text);
});

test('stop sequences', async () => {
  const plain = await generateText({ ...settings, temperature: 0, seed: undefined });
  const stop = plain.text.slice(4, 7);
  const cut = await generateText({ ...settings, temperature: 0, seed: undefined, stopSequences: [stop] });
  assert.equal(cut.text, plain.text.slice(0, plain.text.indexOf(stop)));
  assert.equal(cut.finishReason, 'stop');
});

test('errors of a whole answer and of a stream', async () => {
  const nobody = provider('nobody');
  await assert.rejects(generateText({ ...settings, model: nobody }), (e) => APICallError.isInstance(e) && e.statusCode === 404 && /does not exist/.test(e.message));
  const errors = [];
  const stream = streamText({ ...settings, model: nobody, onError: ({ error }) => errors.push(error) });
  await stream.consumeStream();
  assert.equal(errors.length, 1);
  assert.equal(errors[0].statusCode, 404);
});

test('abort of a stream', async () => {
  const aborter = new AbortController();
  const stream = streamText({ ...settings, maxOutputTokens: undefined, abortSignal: aborter.signal });
  let seen = 0;
  try {
    for await (const part of stream.fullStream) {
      if (part.type === 'text-delta' && ++seen === 2) aborter.abort();
      if (part.type === 'abort') break;
    }
  } catch (e) {
    assert.equal(e.name, 'AbortError');
  }
  assert.ok(seen >= 2);
});

test('embeddings', async () => {
  const embedder = provider.textEmbeddingModel(process.env.WEIR_MODEL);
  const one = await embed({ model: embedder, value: 'a dog' });
  const many = await embedMany({ model: embedder, values: ['a cat', 'a dog'] });
  assert.deepEqual(many.embeddings[1], one.embedding);
});
