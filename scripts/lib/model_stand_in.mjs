// Stands in for a language model where there is none: an OpenAI-compatible endpoint that streams its answers. It asks
// for the tool that a question names by a keyword, and then repeats what the tool answered. It never answers who asks it to
// wait. Node.js alone, no packages.
//
// Prints its base URL when it listens, and the headers and body of every request, so that a script can check what was
// sent. Stops on SIGTERM.
import { createServer } from 'node:http';

const TOOLS = [
  [/balance/i, 'getAccountBalance'],
  [/transactions/i, 'getLatestTransactions'],
];

const NEVER = /wait/i;

/** What a model would do next: call the tool that the question is about, or answer with what the tool said. */
function nextTurn(messages) {
  const last = messages.at(-1);
  if (last.role === 'tool') return { text: `The server answered:\n\n${contentOf(last)}` };
  const question = questionIn(messages);
  const tool = TOOLS.find(([keyword]) => keyword.test(question))?.[1];
  return tool ? { tool } : { text: 'I am a stand-in and know two questions: balance and transactions.' };
}

function questionIn(messages) {
  return contentOf(messages.findLast((message) => message.role === 'user'));
}

/** The text of a message, which OpenAI allows as a string or in parts. */
function contentOf({ content }) {
  return typeof content === 'string' ? content : content.map((part) => part.text).join('');
}

/** The pieces of a turn as a model streams them: words, or a tool call whose arguments come apart. */
function deltas({ text, tool }) {
  if (text) return text.match(/\S+\s*/g).map((content) => ({ content }));
  const call = (fields) => ({ tool_calls: [{ index: 0, ...fields }] });
  return [
    call({ id: 'call_1', type: 'function', function: { name: tool, arguments: '' } }),
    call({ function: { arguments: '{' } }),
    call({ function: { arguments: '}' } }),
  ];
}

function stream(response, turn, model) {
  const send = (delta, finish_reason = null) => {
    const choices = [{ index: 0, delta, finish_reason }];
    const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 0, model, choices };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send({ role: 'assistant' });
  for (const delta of deltas(turn)) send(delta);
  send({}, turn.tool ? 'tool_calls' : 'stop');
  response.end('data: [DONE]\n\n');
}

const server = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  for (const [name, value] of Object.entries(request.headers)) console.log(`${name}: ${value}`);
  console.log(body);
  if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
    response.writeHead(404).end();
    return;
  }
  const { messages, model } = JSON.parse(body);
  if (!NEVER.test(questionIn(messages))) stream(response, nextTurn(messages), model);
});

server.listen(0, '127.0.0.1', () => {
  console.log(`stand-in listening on http://127.0.0.1:${server.address().port}/v1`);
});
process.on('SIGTERM', () => process.exit(0));
