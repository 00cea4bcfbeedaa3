// The three tools of the demo on the second major of the official TypeScript SDK, for both eras of the protocol and
// without sessions in either: a peer for our client.
//
//   node sdk2-server.mjs both      legacy clients are served too, each request by itself
//   node sdk2-server.mjs modern    only 2026-07-28 is spoken
//
// Prints the endpoint's URL when it listens and stops on SIGTERM. The last line it prints counts the requests it answered
// in each era.
import { createServer } from 'node:http';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { z } from 'zod';
import { all, balance, holder, latest, text, DEFAULT_LIMIT } from './payments.mjs';

const spoken = process.argv[2];
if (spoken !== 'both' && spoken !== 'modern') {
  console.error('say what to speak: both or modern');
  process.exit(2);
}

const rows = z.object({
  transactions: z.array(
    z.object({ id: z.number().int(), from: z.string(), to: z.string(), amount: z.number(), date: z.string() }),
  ),
});
const wanted = z.object({
  limit: z.number().int().min(1).max(100).default(DEFAULT_LIMIT).describe('Number of latest transactions to return'),
});
const account = z.object({ username: z.string(), balance: z.number() });
const counted = { legacy: 0, modern: 0 };

function result(shown, structuredContent) {
  return { content: [{ type: 'text', text: text(shown) }], structuredContent };
}

/** A server for one request: the key in it says for whom. */
function paymentServer({ era, requestInfo }) {
  counted[era] += 1;
  const name = holder(requestInfo.headers.get('x-api-key'));
  const server = new McpServer(
    { name: 'payment-server', version: '1.0.0' },
    { instructions: 'This is a payment transaction server that manages user payment history.' },
  );
  const annotations = { readOnlyHint: true };
  server.registerTool(
    'getAllTransactions',
    { description: 'Get a list of all transactions for the authenticated user', outputSchema: rows, annotations },
    async () => result(all(name), { transactions: all(name) }),
  );
  server.registerTool(
    'getLatestTransactions',
    {
      description: 'Get the latest transactions for the authenticated user',
      inputSchema: wanted,
      outputSchema: rows,
      annotations,
    },
    async ({ limit }) => result(latest(name, limit), { transactions: latest(name, limit) }),
  );
  server.registerTool(
    'getAccountBalance',
    {
      description: 'Get the current account balance for the authenticated user',
      outputSchema: account,
      annotations,
    },
    async () => result(balance(name), balance(name)),
  );
  return server;
}

const handler = createMcpHandler(paymentServer, { legacy: spoken === 'both' ? 'stateless' : 'reject' });
const mcp = toNodeHandler(handler);
const http = createServer((request, response) => {
  if (request.url !== '/mcp') return response.writeHead(404).end();
  if (!holder(request.headers['x-api-key'])) return response.writeHead(401).end();
  return mcp(request, response);
});

http.listen(0, '127.0.0.1', () => {
  console.log(`sdk2-server listening on http://127.0.0.1:${http.address().port}/mcp`);
});
process.on('SIGTERM', () => {
  console.log(`requests: ${counted.legacy} legacy, ${counted.modern} modern`);
  process.exit(0);
});
