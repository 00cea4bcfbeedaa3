// The three tools of the demo on the official TypeScript SDK, stateful, with a session for each client: a peer for our
// client.
//
//   node sdk-server.mjs sse     answers a POST with an event stream, which the SDK does unless told otherwise
//   node sdk-server.mjs json    answers a POST with one JSON body
//
// Prints the endpoint's URL when it listens and stops on SIGTERM. The last line it prints tells how many sessions were
// opened and how many the clients ended.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';
import { all, balance, holder, latest, text, DEFAULT_LIMIT } from './payments.mjs';

const answersIn = process.argv[2];
if (answersIn !== 'sse' && answersIn !== 'json') {
  console.error('say how to answer: sse or json');
  process.exit(2);
}

const transaction = z.object({
  id: z.number().int(),
  from: z.string(),
  to: z.string(),
  amount: z.number(),
  date: z.string(),
});

function result(shown, structuredContent) {
  return { content: [{ type: 'text', text: text(shown) }], structuredContent };
}

function paymentServer(name) {
  const server = new McpServer(
    { name: 'payment-server', version: '1.0.0' },
    { instructions: 'This is a payment transaction server that manages user payment history.' },
  );
  const annotations = { readOnlyHint: true };
  server.registerTool(
    'getAllTransactions',
    {
      description: 'Get a list of all transactions for the authenticated user',
      outputSchema: { transactions: z.array(transaction) },
      annotations,
    },
    async () => result(all(name), { transactions: all(name) }),
  );
  server.registerTool(
    'getLatestTransactions',
    {
      description: 'Get the latest transactions for the authenticated user',
      inputSchema: {
        limit: z.number().int().min(1).max(100).default(DEFAULT_LIMIT)
          .describe('Number of latest transactions to return'),
      },
      outputSchema: { transactions: z.array(transaction) },
      annotations,
    },
    async ({ limit }) => result(latest(name, limit), { transactions: latest(name, limit) }),
  );
  server.registerTool(
    'getAccountBalance',
    {
      description: 'Get the current account balance for the authenticated user',
      outputSchema: { username: z.string(), balance: z.number() },
      annotations,
    },
    async () => result(balance(name), balance(name)),
  );
  return server;
}

/** Session id to what serves it and whose it is. */
const sessions = new Map();
const counted = { opened: 0, ended: 0 };

async function openSession(name) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    enableJsonResponse: answersIn === 'json',
    onsessioninitialized: (id) => {
      counted.opened += 1;
      sessions.set(id, { transport, name });
    },
    onsessionclosed: (id) => {
      counted.ended += 1;
      sessions.delete(id);
    },
  });
  await paymentServer(name).connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  const name = holder(request.headers['x-api-key']);
  const id = request.headers['mcp-session-id'];
  const session = sessions.get(id);
  if (request.url !== '/mcp' || !name || (id && session?.name !== name)) {
    response.writeHead(request.url !== '/mcp' ? 404 : name ? 404 : 401).end();
    return;
  }
  const transport = session?.transport ?? (await openSession(name));
  await transport.handleRequest(request, response);
});

http.listen(0, '127.0.0.1', () => {
  console.log(`sdk-server listening on http://127.0.0.1:${http.address().port}/mcp`);
});
process.on('SIGTERM', () => {
  console.log(`sessions: ${counted.opened} opened, ${counted.ended} ended`);
  process.exit(0);
});
