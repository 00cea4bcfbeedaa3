# shellcheck shell=bash
# Runs our client for a check: nothing of the person's own model, address or .env gets in. Needs base.sh, server.sh, and
# $CLIENT from build.sh.

# What the client reads from the environment beside the keys.
CLIENT_SETTINGS=(MODEL OPENAI_API_KEY OPENAI_BASE_URL OPENAI_MODEL MCP_API_KEY MCP_TOKEN_FILE MCP_TOKEN_COMMAND
    MCP_CLIENT_CERT MCP_CLIENT_KEY MCP_CA RUST_LOG)

# alone: forgets the person's settings, of the client and of the server's commands, and leaves the checkout, whose .env
# both would read.
alone() {
    unset "${CLIENT_SETTINGS[@]}" "${SETTINGS[@]}"
    cd "$SCRATCH" || exit
}

# expect_answers FILE USER...: fails unless the demo's output in FILE has the heading, the balance and the newest
# transactions of each user.
expect_answers() {
    local file=$1 user
    shift
    for user in "$@"; do
        case $user in
        bob) expect_in "$file" "=== Testing Bob's Access ===" -200 2024-03-20 2024-03-19 2024-03-18 ;;
        alice) expect_in "$file" "=== Testing Alice's Access ===" 180 2024-03-21 2024-03-20 2024-03-19 ;;
        *) fail "no answers are known for $user" ;;
        esac
    done
}

# expect_in FILE TEXT...: fails unless every TEXT is in FILE.
expect_in() {
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qF -e "$text" "$file" || fail "expected to read: $text"
    done
}
