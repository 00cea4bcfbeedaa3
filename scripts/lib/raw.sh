# shellcheck shell=bash
# MCP by hand: what `curl` needs to speak to an MCP endpoint. Needs walkthrough.sh.

need curl curl || exit "$CANNOT_RUN"

# No proxy stands before this machine.
export no_proxy='*' NO_PROXY='*'

# The headers that every request carries: MCP answers in one of two formats, and the client must take both.
export ACCEPT='accept: application/json, text/event-stream'
export JSON='content-type: application/json'

export INITIALIZED='{"jsonrpc":"2.0","method":"notifications/initialized"}'
export PING='{"jsonrpc":"2.0","id":9,"method":"ping"}'

# initialize_body REVISION: the request that opens a session.
initialize_body() {
    printf '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"%s",%s}}' "$1" \
        '"capabilities":{},"clientInfo":{"name":"walkthrough","version":"1.0.0"}'
}

# open_session KEY: opens a session without showing how, and exports its id as SESSION.
open_session() {
    local revision=2025-11-25 head=$SCRATCH/head.txt
    curl -sS -m 10 -o /dev/null -D "$head" -H "x-api-key: $1" -H "$ACCEPT" -H "$JSON" \
        -d "$(initialize_body $revision)" "$MCP_URL"
    session_in "$head"
    curl -sS -m 10 -o /dev/null -H "x-api-key: $1" -H "$ACCEPT" -H "$JSON" -H "mcp-session-id: $SESSION" \
        -H "mcp-protocol-version: $revision" -d "$INITIALIZED" "$MCP_URL"
}

# session_in FILE: exports the session id of an answer's head as SESSION.
session_in() {
    SESSION=$(sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: *//p' "$1" | tr -d '\r')
    [ -n "$SESSION" ] || fail "the answer to initialize names no session"
    export SESSION
}
