// REQ: API-1 API-4 API-10 API-11 API-12
// LangChain's client for OpenAI, unmodified.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { HumanMessage, SystemMessage } from '@langchain/core/messages';
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai';

const configuration = { baseURL: process.env.WEIR_BASE_URL };
const common = { model: process.env.WEIR_MODEL, apiKey: 'none', configuration, maxRetries: 0 };
const chat = (fields = {}) => new ChatOpenAI({ ...common, maxTokens: 24, ...fields });
const messages = [new SystemMessage('You are friendly.'), new HumanMessage('Tell me a story.')];

test('invoke', async () => {
  const answer = await chat().invoke(messages);
  assert.equal(typeof answer.content, 'string');
  assert.ok(answer.usage_metadata.output_tokens > 0);
});

test('stream says what invoke says', async () => {
  const whole = await chat().invoke(messages, { seed: 8 });
  let text = '', usage;
  for await (const chunk of await chat().stream(messages, { seed: 8 })) {
    text += chunk.content;
    usage = chunk.usage_metadata ?? usage;
  }
  assert.equal(text, whole.content);
  assert.equal(usage.output_tokens, whole.usage_metadata.output_tokens);
});

test('batch answers in order', async () => {
  const questions = ['Hello', 'Who are you?', 'Tell me a story.'];
  const model = chat({ temperature: 0 });
  const alone = [];
  for (const q of questions) alone.push((await model.invoke(q)).content);
  assert.deepEqual((await model.batch(questions)).map((a) => a.content), alone);
});

test('stop and logprobs', async () => {
  const plain = (await chat({ temperature: 0 }).invoke(messages)).content;
  const cut = await chat({ temperature: 0 }).invoke(messages, { stop: [plain.slice(5, 8)] });
  assert.equal(cut.content, plain.slice(0, plain.indexOf(plain.slice(5, 8))));
  const scored = await chat({ logprobs: true, topLogprobs: 2 }).invoke(messages);
  assert.equal(scored.response_metadata.logprobs.content[0].top_logprobs.length, 2);
});

test('n choices', async () => {
  const result = await chat({ n: 2, temperature: 1.2 }).generate([messages]);
  assert.equal(result.generations[0].length, 2);
});

test('errors', async () => {
  await assert.rejects(chat({ model: 'nobody' }).invoke('x'), (e) => e.status === 404 && e.code === 'model_not_found');
  await assert.rejects(async () => { for await (const _ of await chat({ model: 'nobody' }).stream('x')); }, (e) => e.status === 404);
});

test('abort', async () => {
  const aborter = new AbortController();
  setTimeout(() => aborter.abort(), 30);
  await assert.rejects(chat({ maxTokens: undefined, n: 64 }).invoke(messages, { signal: aborter.signal }));
});

test('legacy completions', async () => {
  const text = await new OpenAI({ ...common, maxTokens: 8 }).invoke('Once upon a time');
  assert.equal(typeof text, 'string');
});

test('embeddings', async () => {
  const embedder = new OpenAIEmbeddings({ ...common });
  const [one, two] = await embedder.embedDocuments(['a dog', 'a cat']);
  assert.equal(one.length, two.length);
  assert.deepEqual(await embedder.embedQuery('a dog'), one);
});
