// The three tools of the demo on FastMCP, the library the original demo was written with: a peer for our client.
//
//   node fastmcp-server.mjs fastmcp          the newest release; its endpoint is /mcp
//   node fastmcp-server.mjs fastmcp-stream   the last release line whose endpoint is /stream
//
// Prints the endpoint's URL when it listens and stops on SIGTERM.
import { createServer } from 'node:net';
import { z } from 'zod/v3';
import { all, balance, holder, latest, text, DEFAULT_LIMIT } from './payments.mjs';

const ENDPOINTS = { fastmcp: '/mcp', 'fastmcp-stream': '/stream' };

const library = process.argv[2];
const endpoint = ENDPOINTS[library];
if (!endpoint) {
  console.error(`say which library: ${Object.keys(ENDPOINTS).join(' or ')}`);
  process.exit(2);
}
const { FastMCP, UserError } = await import(library);

/** FastMCP takes a port number and does not tell which one it got for 0. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const server = new FastMCP({
  name: 'payment-server',
  version: '1.0.0',
  instructions: 'This is a payment transaction server that manages user payment history.',
  authenticate: async (request) => {
    const name = holder(request.headers['x-api-key']);
    if (!name) throw new Response(null, { status: 401, statusText: 'Unauthorized' });
    return { name };
  },
});

server.addTool({
  name: 'getAllTransactions',
  description: 'Get a list of all transactions for the authenticated user',
  parameters: z.object({}),
  annotations: { readOnlyHint: true },
  execute: async (_, { session }) => text(all(session.name)),
});

server.addTool({
  name: 'getLatestTransactions',
  description: 'Get the latest transactions for the authenticated user',
  parameters: z.object({
    limit: z.number().optional().default(DEFAULT_LIMIT).describe('Number of latest transactions to return'),
  }),
  annotations: { readOnlyHint: true },
  execute: async ({ limit }, { session }) => {
    const rows = latest(session.name, limit);
    if (rows.length === 0) throw new UserError(`No transactions found for user ${session.name}`);
    return text(rows);
  },
});

server.addTool({
  name: 'getAccountBalance',
  description: 'Get the current account balance for the authenticated user',
  parameters: z.object({}),
  annotations: { readOnlyHint: true },
  execute: async (_, { session }) => text(balance(session.name)),
});

const port = await freePort();
await server.start({ transportType: 'httpStream', httpStream: { port, host: '127.0.0.1' } });
console.log(`${library} listening on http://127.0.0.1:${port}${endpoint}`);
process.on('SIGTERM', () => process.exit(0));
