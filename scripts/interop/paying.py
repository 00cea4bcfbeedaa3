"""Paying through the official Python client: the question reaches the person behind it, and the answer decides. MCP_URL
names the endpoint and PROTOCOL the revision. Run it through scripts/interop/run."""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult
from payments import keys

ENDPOINT = os.environ["MCP_URL"]
PROTOCOL = os.environ["PROTOCOL"]
MODE = "legacy" if PROTOCOL == "2025-11-25" else PROTOCOL
KEY = next(key for key, name in keys().items() if name == "bob")
# An amount that no other run pays, so that it is not taken for a duplicate.
CENTS = 500 + 10 * ["2025-11-25", "2026-07-28", "auto"].index(PROTOCOL)


async def told(client, tool, arguments):
    """What a tool answered, as data."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.structured_content


async def pays(amount, action, status):
    """Pays, and answers the question with an action."""
    questions = []

    async def answer(_context, params):
        questions.append(params.message)
        return ElicitResult(action=action, content={} if action == "accept" else None)

    async with httpx2.AsyncClient(headers={"x-api-key": KEY}, timeout=30) as http:
        transport = streamable_http_client(ENDPOINT, http_client=http)
        async with Client(transport, mode=MODE, cache=None, elicitation_callback=answer) as client:
            made = await told(client, "createPayment", {"to": "alice", "amount": amount, "memo": "lunch"})
            confirmed = await told(client, "confirmPayment", {"paymentId": made["paymentId"]})
            assert confirmed["status"] == status, confirmed
            assert len(questions) == 1, questions
            assert questions[0].startswith(f"Pay {amount:.2f} USD to alice?\nMemo: lunch"), questions
    print(f"{PROTOCOL}: {action} is {status}")


async def main():
    """Yes, then no."""
    await pays((CENTS + 1) / 100, "accept", "succeeded")
    await pays((CENTS + 2) / 100, "decline", "declined")


asyncio.run(main())
