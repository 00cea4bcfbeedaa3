"""The official Python client against our server, in one era of the protocol. MCP_URL names the endpoint and PROTOCOL the
revision: 2025-11-25 opens a session, 2026-07-28 knows none, and with `auto` the client finds out by itself that the
server speaks the newer. Run it through scripts/interop/run."""

import asyncio
import os
import sys
import traceback
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from payments import balance, every, keys, latest, text

ENDPOINT = os.environ["MCP_URL"]
PROTOCOL = os.environ["PROTOCOL"]
AGREED = "2026-07-28" if PROTOCOL == "auto" else PROTOCOL
MODE = "legacy" if PROTOCOL == "2025-11-25" else PROTOCOL
NOBODYS_KEY = "mcpay_demo_nobody_0000000000000000000000000000000000"
KEY_OF = {name: key for key, name in keys().items()}


@asynccontextmanager
async def connected(key, answers=None):
    """A client with a key in `x-api-key`; what our server answers it with is added to `answers`."""

    async def watch(response):
        if answers is not None:
            answers.append(response)

    headers = {"x-api-key": key} if key else {}
    async with httpx2.AsyncClient(headers=headers, timeout=30, event_hooks={"response": [watch]}) as http:
        transport = streamable_http_client(ENDPOINT, http_client=http)
        async with Client(transport, mode=MODE, cache=None) as client:
            yield client


async def answer(client, tool, arguments):
    """What a tool answered, as text and as data."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.content[0].text, result.structured_content


async def the_server_introduces_itself_in_the_revision_that_was_asked_for():
    async with connected(KEY_OF["bob"]) as client:
        assert client.protocol_version == AGREED, client.protocol_version
        # With a pinned revision this client asks nothing before the first call: there is no introduction.
        if PROTOCOL != "2026-07-28":
            assert client.server_info.name == "payment-server", client.server_info
            assert client.server_info.version == "1.0.0", client.server_info
            said = "This is a payment transaction server that manages user payment history."
            assert client.instructions == said, client.instructions


async def the_tools_are_listed_as_read_only_with_both_schemas():
    async with connected(KEY_OF["bob"]) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        for name in ("getAllTransactions", "getLatestTransactions", "getAccountBalance"):
            assert tools[name].annotations.read_only_hint is True, name
            assert tools[name].input_schema["type"] == "object", name
            assert tools[name].output_schema["type"] == "object", name


async def each_key_gets_exact_answers_as_text_and_as_data():
    for name, key in KEY_OF.items():
        async with connected(key) as client:
            # Listed first, so that the SDK checks what is structured against the tool's outputSchema.
            await client.list_tools()
            said, told = await answer(client, "getAccountBalance", {})
            assert (said, told) == (text(balance(name)), balance(name)), (said, told)
            said, told = await answer(client, "getAllTransactions", {})
            assert (said, told) == (text(every(name)), {"transactions": every(name)}), (said, told)
            said, told = await answer(client, "getLatestTransactions", {"limit": 1})
            assert (said, told) == (text(latest(name, 1)), {"transactions": latest(name, 1)}), (said, told)


async def a_wrong_argument_is_a_tool_error_that_names_the_field():
    async with connected(KEY_OF["bob"]) as client:
        refused = await client.call_tool("getLatestTransactions", {"limit": 101})
        assert refused.is_error and "limit" in refused.content[0].text, refused


async def an_unknown_tool_is_refused_with_invalid_params():
    async with connected(KEY_OF["bob"]) as client:
        try:
            await client.call_tool("noSuchTool", {})
        except MCPError as refused:
            assert refused.error.code == -32602, refused.error
        else:
            raise AssertionError("the tool was called")


async def calls_may_run_at_once():
    async with connected(KEY_OF["bob"]) as client:
        limits = [n % 5 + 1 for n in range(20)]
        answers = await asyncio.gather(*(answer(client, "getLatestTransactions", {"limit": n}) for n in limits))
        for limit, (said, _) in zip(limits, answers, strict=True):
            assert said == text(latest("bob", limit)), (limit, said)


async def without_a_key_or_with_one_that_nobody_knows_nothing_is_answered():
    for key in (None, NOBODYS_KEY):
        answers = []
        try:
            async with connected(key, answers) as client:
                await client.list_tools()
        except* MCPError:
            assert {answer.status_code for answer in answers} == {401}, answers
        else:
            raise AssertionError(f"{key} was taken")


async def only_the_older_revision_has_a_session():
    answers = []
    async with connected(KEY_OF["bob"], answers) as client:
        await client.call_tool("getAccountBalance", {})
        posts = [answer for answer in answers if answer.request.method == "POST"]
        assert all(answer.is_success for answer in posts), posts
        headers = posts[-1].request.headers
        assert headers["mcp-protocol-version"] == AGREED, headers
        assert ("mcp-session-id" in headers) == (AGREED == "2025-11-25"), headers


CHECKS = [
    the_server_introduces_itself_in_the_revision_that_was_asked_for,
    the_tools_are_listed_as_read_only_with_both_schemas,
    each_key_gets_exact_answers_as_text_and_as_data,
    a_wrong_argument_is_a_tool_error_that_names_the_field,
    an_unknown_tool_is_refused_with_invalid_params,
    calls_may_run_at_once,
    without_a_key_or_with_one_that_nobody_knows_nothing_is_answered,
    only_the_older_revision_has_a_session,
]

failed = 0
for check in CHECKS:
    try:
        asyncio.run(asyncio.wait_for(check(), 30))
        print(f"ok      {check.__name__.replace('_', ' ')}")
    except Exception:
        failed += 1
        print(f"FAILED  {check.__name__.replace('_', ' ')}\n{traceback.format_exc()}")
print(f"{len(CHECKS) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
