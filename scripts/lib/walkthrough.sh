# shellcheck shell=bash
# What the walkthrough's scripts are made of. Source it as the only one: it brings the rest, builds, and leaves the
# person's own settings outside.
#
# On a terminal each step waits for Enter. Anywhere else, and with CI=true, nothing waits and each script only checks.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"
. "$ROOT/scripts/lib/build.sh"
. "$ROOT/scripts/lib/server.sh"
. "$ROOT/scripts/lib/client.sh"
. "$ROOT/scripts/lib/demo_keys.sh"

if [ -t 0 ] && [ -t 1 ] && [ "${CI:-}" != true ]; then ATTENDED=1; else ATTENDED=; fi

# scene TITLE: opens the script.
scene() {
    build
    alone
    # So that commands are shown, and can be typed, as `client …`.
    PATH=$(dirname "$CLIENT"):$PATH
    export SCRATCH
    title "$(basename "$0"): $1"
}

# tell TEXT: what to say.
tell() { printf '\n%ssay%s   %s\n' "$BOLD" "$PLAIN" "$*"; }

# watch TEXT: what to look at in the output that follows.
watch() { printf '%slook%s  %s\n' "$BOLD" "$PLAIN" "$*"; }

# pause: waits for Enter where somebody can press it.
pause() {
    [ -n "$ATTENDED" ] || return 0
    printf '%s[Enter]%s ' "$DIM" "$PLAIN"
    read -r _ || true
}

# run COMMAND: shows a command and runs it as it is shown. What it printed is in the file $SHOWN, its exit code in
# STATUS. The variables it may use are MCP_URL, BOB_API_KEY, ALICE_API_KEY and what the script exports.
run() {
    SHOWN=$SCRATCH/shown.txt STATUS=0
    printf '\n%s$ %s%s\n' "$BOLD" "$1" "$PLAIN"
    pause
    within "${LIMIT:-60}" bash -c "$1" >"$SHOWN" 2>&1 </dev/null || STATUS=$?
    cat "$SHOWN"
    # What curl prints may lack the end of its line.
    [ ! -s "$SHOWN" ] || [ -z "$(tail -c 1 "$SHOWN")" ] || say
}

# expect STATUS TEXT...: fails unless the last command ended with that exit code and printed every TEXT.
expect() {
    [ "$STATUS" = "$1" ] || fail "expected exit code $1, not $STATUS"
    shift
    expect_in "$SHOWN" "$@"
}

# expect_not TEXT...: fails if the last command printed any TEXT.
expect_not() {
    local text
    for text in "$@"; do
        ! grep -qF -e "$text" "$SHOWN" || fail "expected not to read: $text"
    done
}

# held TEXT: the script's last words.
held() { printf '\n%sheld%s  %s\n' "$BOLD" "$PLAIN" "$*"; }
