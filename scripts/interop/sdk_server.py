"""The three tools of the demo on the official Python SDK, for both eras of the protocol: a peer for our client.

    python sdk_server.py sse     answers a POST with an event stream, which the SDK does unless told otherwise
    python sdk_server.py json    answers a POST with one JSON body

Prints the endpoint's URL when it listens and stops on SIGTERM."""

import asyncio
import sys
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from payments import DEFAULT_LIMIT, balance, every, keys, latest, text
from pydantic import Field
from starlette.responses import Response

ANSWERS_IN = sys.argv[1] if len(sys.argv) == 2 else ""
if ANSWERS_IN not in ("sse", "json"):
    sys.exit("say how to answer: sse or json")

server = MCPServer(
    "payment-server",
    version="1.0.0",
    instructions="This is a payment transaction server that manages user payment history.",
    log_level="WARNING",
)
READ_ONLY = ToolAnnotations(read_only_hint=True)
HOLDERS = keys()


def holder(context):
    return HOLDERS[context.headers["x-api-key"]]


def result(shown, structured):
    return CallToolResult(content=[TextContent(type="text", text=text(shown))], structured_content=structured)


@server.tool(
    "getAllTransactions",
    description="Get a list of all transactions for the authenticated user",
    annotations=READ_ONLY,
)
async def all_transactions(context: Context) -> CallToolResult:
    rows = every(holder(context))
    return result(rows, {"transactions": rows})


@server.tool(
    "getLatestTransactions",
    description="Get the latest transactions for the authenticated user",
    annotations=READ_ONLY,
)
async def latest_transactions(
    context: Context,
    limit: Annotated[int, Field(ge=1, le=100, description="Number of latest transactions to return")] = DEFAULT_LIMIT,
) -> CallToolResult:
    rows = latest(holder(context), limit)
    return result(rows, {"transactions": rows})


@server.tool(
    "getAccountBalance",
    description="Get the current account balance for the authenticated user",
    annotations=READ_ONLY,
)
async def account_balance(context: Context) -> CallToolResult:
    return result(balance(holder(context)), balance(holder(context)))


def guarded(app):
    """Nobody reaches the SDK without a key."""

    async def guard(scope, receive, send):
        key = dict(scope.get("headers", [])).get(b"x-api-key", b"").decode()
        if scope["type"] == "http" and key not in HOLDERS:
            return await Response(status_code=401)(scope, receive, send)
        return await app(scope, receive, send)

    return guard


class Announced(uvicorn.Server):
    """Says where it listens, once it does."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"sdk_server listening on http://127.0.0.1:{port}/mcp", flush=True)


app = guarded(server.streamable_http_app(json_response=ANSWERS_IN == "json"))
config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=2)
asyncio.run(Announced(config).serve())
