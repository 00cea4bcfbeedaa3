// Paying through clients that others wrote: the question reaches the person behind the official TypeScript client, in
// both of its majors, and the answer decides. MCP_URL names the endpoint, PROTOCOL the revision; MAJOR is 1 or 2. Run it
// through scripts/interop/run.
import assert from 'node:assert/strict';
import test from 'node:test';
import { required } from './payments.mjs';

const ENDPOINT = new URL(required('MCP_URL'));
const PROTOCOL = required('PROTOCOL');
const MODES = { '2025-11-25': 'legacy', '2026-07-28': { pin: '2026-07-28' }, auto: 'auto' };

/** The classes of a major, and how it is told what to do when the server asks. */
async function major() {
  if (required('MAJOR') === '2') {
    const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
    const options = { versionNegotiation: { mode: MODES[PROTOCOL] } };
    return { Client, Transport: StreamableHTTPClientTransport, options, asked: 'elicitation/create' };
  }
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
  return { Client, Transport: StreamableHTTPClientTransport, options: {}, asked: ElicitRequestSchema };
}

/** Bob's client, whose person answers every question with `action`; without one, nobody can be asked. */
async function bob(action, use) {
  const { Client, Transport, options, asked } = await major();
  const transport = new Transport(ENDPOINT, { requestInit: { headers: { 'x-api-key': required('BOB_API_KEY') } } });
  const capabilities = action ? { elicitation: { form: {} } } : {};
  const client = new Client({ name: 'interop', version: '1.0.0' }, { capabilities, ...options });
  const questions = [];
  if (action) {
    client.setRequestHandler(asked, async ({ params }) => {
      questions.push(params.message);
      return action === 'accept' ? { action, content: {} } : { action };
    });
  }
  await client.connect(transport);
  try {
    return await use(client, questions);
  } finally {
    await client.close();
  }
}

async function told(client, name, args) {
  const result = await client.callTool({ name, arguments: args });
  assert.notEqual(result.isError, true, JSON.stringify(result));
  return result.structuredContent;
}

const balance = async (client) => (await told(client, 'getAccountBalance', {})).balance;

// Amounts that no other run pays, so that none is taken for a duplicate.
let cents = 100 + 10 * ['1', '2'].indexOf(required('MAJOR')) + 3 * Object.keys(MODES).indexOf(PROTOCOL);

for (const [action, status, paid] of [
  ['accept', 'succeeded', true],
  ['decline', 'declined', false],
  [undefined, 'requires_action', false],
]) {
  test(`a payment that is answered with ${action ?? 'nothing, for want of a person'} is ${status}`, () =>
    bob(action, async (client, questions) => {
      const amount = ++cents / 100;
      const before = await balance(client);
      const made = await told(client, 'createPayment', { to: 'alice', amount, memo: 'lunch' });
      assert.equal(made.status, 'requires_confirmation');
      const confirmed = await told(client, 'confirmPayment', { paymentId: made.paymentId });
      assert.equal(confirmed.status, status);
      assert.equal(questions.length, action ? 1 : 0);
      if (action) assert.match(questions[0], new RegExp(`^Pay ${amount.toFixed(2)} USD to alice\\?\nMemo: lunch`));
      assert.equal((await balance(client)).toFixed(2), (paid ? before - amount : before).toFixed(2));
      assert.equal((await told(client, 'getPayment', { paymentId: made.paymentId })).status, status);
    }));
}
