// The official TypeScript client of the second major against our server, in one era of the protocol. MCP_URL names the
// endpoint and PROTOCOL the revision: 2025-11-25 opens a session, 2026-07-28 is pinned and knows none, and with `auto`
// the client finds out by itself that the server speaks the newer. Run it through scripts/interop/run.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { all, balance, latest, required, text } from './payments.mjs';

const ENDPOINT = new URL(required('MCP_URL'));
const PROTOCOL = required('PROTOCOL');
const KEYS = { bob: required('BOB_API_KEY'), alice: required('ALICE_API_KEY') };
const NOBODYS_KEY = 'mcpay_demo_nobody_0000000000000000000000000000000000';
const MODES = { '2025-11-25': 'legacy', '2026-07-28': { pin: '2026-07-28' }, auto: 'auto' };
const AGREED = PROTOCOL === 'auto' ? '2026-07-28' : PROTOCOL;
const MODERN = AGREED === '2026-07-28';

/** Connects and hands the client to `use`; whatever was opened is ended whatever happens. */
async function connected(key, use) {
  const exchanges = [];
  const transport = new StreamableHTTPClientTransport(ENDPOINT, {
    requestInit: { headers: key ? { 'x-api-key': key } : {} },
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      exchanges.push({ method: init.method ?? 'GET', headers: new Headers(init.headers), status: response.status });
      return response;
    },
  });
  const client = new Client({ name: 'interop', version: '2.0.0' }, { versionNegotiation: { mode: MODES[PROTOCOL] } });
  try {
    await client.connect(transport);
    return await use(client, exchanges);
  } finally {
    if (!MODERN) await transport.terminateSession();
    await client.close();
  }
}

function textOf(result) {
  assert.notEqual(result.isError, true, JSON.stringify(result));
  return result.content[0].text;
}

test('the server introduces itself, in the revision that was asked for', () =>
  connected(KEYS.bob, (client) => {
    assert.equal(client.getNegotiatedProtocolVersion(), AGREED);
    assert.equal(client.getProtocolEra(), MODERN ? 'modern' : 'legacy');
    assert.equal(client.getServerVersion().name, 'payment-server');
    assert.equal(client.getServerVersion().version, '1.0.0');
    assert.equal(
      client.getInstructions(),
      'This is a payment transaction server that manages user payment history.',
    );
    assert.ok(client.getServerCapabilities().tools);
  }));

test('the tools are listed as read-only, with both schemas', () =>
  connected(KEYS.bob, async (client) => {
    const { tools } = await client.listTools();
    for (const name of ['getAllTransactions', 'getLatestTransactions', 'getAccountBalance']) {
      const tool = tools.find((each) => each.name === name);
      assert.equal(tool?.annotations.readOnlyHint, true, name);
      assert.equal(tool.inputSchema.type, 'object');
      assert.equal(tool.outputSchema.type, 'object');
    }
  }));

// The SDK checks every structuredContent against the tool's outputSchema, so a wrong one fails here too.
for (const name of ['bob', 'alice']) {
  test(`${name} gets exact answers, as text and as data`, () =>
    connected(KEYS[name], async (client) => {
      await client.listTools();
      const call = (tool, args = {}) => client.callTool({ name: tool, arguments: args });

      const balanced = await call('getAccountBalance');
      assert.equal(textOf(balanced), text(balance(name)));
      assert.deepEqual(balanced.structuredContent, balance(name));

      const listed = await call('getAllTransactions');
      assert.equal(textOf(listed), text(all(name)));
      assert.deepEqual(listed.structuredContent, { transactions: all(name) });

      const one = await call('getLatestTransactions', { limit: 1 });
      assert.equal(textOf(one), text(latest(name, 1)));
      assert.deepEqual(one.structuredContent, { transactions: latest(name, 1) });
    }));
}

test('a wrong argument is a tool error that names the field', () =>
  connected(KEYS.bob, async (client) => {
    const refused = await client.callTool({ name: 'getLatestTransactions', arguments: { limit: 101 } });
    assert.equal(refused.isError, true);
    assert.match(refused.content[0].text, /limit/);
  }));

test('an unknown tool is refused with invalid params', () =>
  connected(KEYS.bob, (client) =>
    assert.rejects(client.callTool({ name: 'noSuchTool', arguments: {} }), { code: -32602 })));

test('calls may run at once', () =>
  connected(KEYS.bob, async (client) => {
    const calls = Array.from({ length: 20 }, (_, n) =>
      client.callTool({ name: 'getLatestTransactions', arguments: { limit: (n % 5) + 1 } }));
    for (const [n, result] of (await Promise.all(calls)).entries()) {
      assert.equal(textOf(result), text(latest('bob', (n % 5) + 1)));
    }
  }));

test('without a key, or with one that nobody knows, there is no connection', async () => {
  for (const key of [undefined, NOBODYS_KEY]) {
    await assert.rejects(connected(key, () => {}), (error) => /401/.test(`${error.code} ${error.message}`) || error.status === 401);
  }
});

test(MODERN ? 'every request says for itself what it is' : 'every request after the first names the session', () =>
  connected(KEYS.bob, async (client, exchanges) => {
    await client.callTool({ name: 'getAccountBalance', arguments: {} });
    const posts = exchanges.filter(({ method }) => method === 'POST');
    assert.ok(posts.every(({ status }) => status < 300), JSON.stringify(posts.map(({ status }) => status)));
    const [first, ...rest] = posts;
    const last = rest.at(-1);
    assert.equal(last.headers.get('mcp-protocol-version'), AGREED);
    assert.equal(first.headers.get('mcp-session-id'), null);
    assert.equal(last.headers.get('mcp-method'), MODERN ? 'tools/call' : null);
    assert.equal(last.headers.get('mcp-session-id') === null, MODERN);
  }));
