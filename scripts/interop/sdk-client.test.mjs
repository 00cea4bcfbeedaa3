// The official TypeScript client against our server, as the original demo used it: a key in `x-api-key` by way of
// `requestInit`. MCP_URL names the endpoint; run it through scripts/interop/run.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { all, balance, latest, required, text } from './payments.mjs';

const ENDPOINT = new URL(required('MCP_URL'));
const KEYS = { bob: required('BOB_API_KEY'), alice: required('ALICE_API_KEY') };
const NOBODYS_KEY = 'mcpay_demo_nobody_0000000000000000000000000000000000';

/** Opens a session and hands it to `use`; the session is ended whatever happens. */
async function connected(key, use, { onStream } = {}) {
  const options = { requestInit: { headers: key ? { 'x-api-key': key } : {} } };
  if (onStream) options.fetch = watching(onStream);
  const transport = new StreamableHTTPClientTransport(ENDPOINT, options);
  const client = new Client({ name: 'interop', version: '1.0.0' });
  try {
    await client.connect(transport);
    return await use(client, transport);
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

/** The platform's fetch, telling of every answer to a GET. */
function watching(onStream) {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (init?.method === 'GET') onStream(response);
    return response;
  };
}

function textOf(result) {
  assert.notEqual(result.isError, true, JSON.stringify(result));
  return result.content[0].text;
}

/** One request as the SDK would send it, for what the SDK itself has no method for. */
function raw(method, { key, session, body }) {
  return fetch(ENDPOINT, {
    method,
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'x-api-key': key,
      ...(session && { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }),
    },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
}

const ping = { jsonrpc: '2.0', id: 'ping', method: 'ping' };

test('the server introduces itself as the original demo did', () =>
  connected(KEYS.bob, (client, transport) => {
    assert.equal(client.getServerVersion().name, 'payment-server');
    assert.equal(client.getServerVersion().version, '1.0.0');
    assert.equal(
      client.getInstructions(),
      'This is a payment transaction server that manages user payment history.',
    );
    assert.ok(client.getServerCapabilities().tools);
    assert.match(transport.sessionId, /^[\x21-\x7e]{16,}$/);
    assert.equal(transport.protocolVersion, '2025-11-25');
  }));

test('a ping is answered', () => connected(KEYS.bob, (client) => client.ping()));

test('the three tools are listed with schemas and as read-only', () =>
  connected(KEYS.bob, async (client) => {
    const { tools } = await client.listTools();
    const byName = Object.fromEntries(tools.map((tool) => [tool.name, tool]));
    const descriptions = {
      getAllTransactions: 'Get a list of all transactions for the authenticated user',
      getLatestTransactions: 'Get the latest transactions for the authenticated user',
      getAccountBalance: 'Get the current account balance for the authenticated user',
    };
    for (const [name, description] of Object.entries(descriptions)) {
      assert.equal(byName[name]?.description, description);
      assert.equal(byName[name].annotations.readOnlyHint, true);
      assert.equal(byName[name].inputSchema.type, 'object');
      assert.equal(byName[name].outputSchema.type, 'object');
    }
    const { limit } = byName.getLatestTransactions.inputSchema.properties;
    assert.equal(limit.description, 'Number of latest transactions to return');
    assert.equal(limit.default, 3);
  }));

// The SDK checks every structuredContent against the tool's outputSchema, so a wrong one fails here too.
for (const name of ['bob', 'alice']) {
  test(`${name} gets the answers of the original demo, as text and as data`, () =>
    connected(KEYS[name], async (client) => {
      await client.listTools();
      const call = (tool, args = {}) => client.callTool({ name: tool, arguments: args });

      const balanced = await call('getAccountBalance');
      assert.equal(textOf(balanced), text(balance(name)));
      assert.deepEqual(balanced.structuredContent, balance(name));

      const listed = await call('getAllTransactions');
      assert.equal(textOf(listed), text(all(name)));
      assert.deepEqual(listed.structuredContent, { transactions: all(name) });

      assert.equal(textOf(await call('getLatestTransactions')), text(latest(name)));
      const one = await call('getLatestTransactions', { limit: 1 });
      assert.equal(textOf(one), text(latest(name, 1)));
      assert.deepEqual(one.structuredContent, { transactions: latest(name, 1) });
    }));
}

test('a wrong argument is a tool error that names the field', () =>
  connected(KEYS.bob, async (client) => {
    for (const limit of [0, -1, 101, 1.5, 'abc']) {
      const refused = await client.callTool({ name: 'getLatestTransactions', arguments: { limit } });
      assert.equal(refused.isError, true, `limit ${limit} was taken`);
      assert.match(refused.content[0].text, /limit/);
    }
  }));

test('an unknown tool is refused with invalid params', () =>
  connected(KEYS.bob, (client) =>
    assert.rejects(client.callTool({ name: 'noSuchTool', arguments: {} }), { code: -32602 })));

test('calls of one session may run at once', () =>
  connected(KEYS.bob, async (client) => {
    const calls = Array.from({ length: 20 }, (_, n) =>
      client.callTool({ name: 'getLatestTransactions', arguments: { limit: (n % 5) + 1 } }));
    for (const [n, result] of (await Promise.all(calls)).entries()) {
      assert.equal(textOf(result), text(latest('bob', (n % 5) + 1)));
    }
  }));

test('without a key there is no session', () =>
  assert.rejects(connected(undefined, () => {}), { code: 401 }));

test('with a wrong key there is no session', () =>
  assert.rejects(connected(NOBODYS_KEY, () => {}), { code: 401 }));

test('a session answers to its owner alone', () =>
  connected(KEYS.bob, async (client, transport) => {
    const session = transport.sessionId;
    assert.equal((await raw('POST', { key: KEYS.alice, session, body: ping })).status, 404);
    assert.equal((await raw('GET', { key: KEYS.alice, session })).status, 404);
    assert.equal((await raw('DELETE', { key: KEYS.alice, session })).status, 404);
    assert.equal((await raw('POST', { key: NOBODYS_KEY, session, body: ping })).status, 401);
    await client.ping();
  }));

test('a session that its client ended is gone', async () => {
  const session = await connected(KEYS.bob, (_, transport) => transport.sessionId);
  assert.ok(session);
  assert.equal((await raw('POST', { key: KEYS.bob, session, body: ping })).status, 404);
});

test('the server offers the stream on which it may speak first', async () => {
  let stream;
  const streamed = new Promise((resolve) => {
    stream = resolve;
  });
  await connected(KEYS.bob, async () => {
    const response = await streamed;
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  }, { onStream: stream });
});
