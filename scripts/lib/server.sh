# shellcheck shell=bash disable=SC2034
# Starts and stops servers by process id, ours and the ones that are counterparts. Needs base.sh; start_server needs
# $SERVER from build.sh.

# What a server reads from the environment. The scripts set what they mean and let nothing else in.
SETTINGS=(HOST PORT DATABASE_URL DATABASE_CONNECTIONS DATABASE_CA KEY_PEPPER PAYMENTS_DEMO ALLOWED_HOSTS
    ALLOWED_ORIGINS SESSION_IDLE_SECS SESSION_MAX_SECS MAX_SESSIONS_PER_KEY MAX_SESSIONS RATE_LIMIT MAX_REFUSED_KEYS_PER_MINUTE
    MAX_INITIALIZE_PER_MINUTE MAX_CALLS_PER_MINUTE MAX_CONCURRENT_CALLS TRUSTED_PROXIES TLS_CERT TLS_KEY CLIENT_CA
    SERVICE_ISSUER SERVICE_AUDIENCE SERVICE_KEYS SERVICE_ALGORITHM RUST_LOG LOG_FORMAT
    RISK_URL RISK_THRESHOLD RISK_TOKEN_FILE RISK_TOKEN_COMMAND RISK_CLIENT_CERT RISK_CLIENT_KEY RISK_CA RISK_TIMEOUT_MS
    RISK_HOST RISK_PORT RISK_DATABASE_URL RISK_AUDIENCE RISK_PAYMENT_LIMIT RISK_EXPOSURE_LIMIT)

# launch LOG COMMAND...: starts COMMAND with its output in LOG and waits until it says where it listens, in a line that
# ends in `listening on URL`. Sets LAUNCHED_PID and LAUNCHED_URL. It is in a process group of its own: Ctrl-C is for what
# runs in the foreground, and the script ends the server.
launch() {
    local log=$1
    shift
    : >"$log"
    set -m
    "$@" >>"$log" 2>&1 </dev/null &
    set +m
    LAUNCHED_PID=$!
    LAUNCHED_URL=
    at_exit stop "$LAUNCHED_PID"
    until_true 30 listening_or_gone "$log" || true
    [ -n "$LAUNCHED_URL" ] || {
        show_log "$log"
        fail "a server did not start; its log is above"
    }
}

# listening_or_gone LOG: whether there is nothing more to wait for. Sets LAUNCHED_URL if the server listens.
listening_or_gone() {
    local line
    while IFS= read -r line; do
        [[ ! $line =~ listening\ on\ (https?:[^[:space:]]+) ]] || LAUNCHED_URL=${BASH_REMATCH[1]}
    done <"$1"
    [ -n "$LAUNCHED_URL" ] || gone "$LAUNCHED_PID"
}

# show_log LOG: what a server said, for the one who has to find out why.
show_log() {
    say "---- the server's log" >&2
    cat "$1" >&2
    say "---- end of the log" >&2
}

# stop PID: asks a process that this shell started to end, and ends it after 10 seconds. A process that has ended, or that
# is not ours, is left alone. Its exit status is in STOPPED_STATUS.
stop() {
    STOPPED_STATUS=0
    gone "$1" || kill -TERM "$1" 2>/dev/null || true
    until_true 10 gone "$1" || kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || STOPPED_STATUS=$?
}

# with_ctrl_c PROGRAM...: runs a program that makes of Ctrl-C what it means to, be it that it goes on; the script goes on
# after it. Every other signal ends both at once: Bash heeds none while it waits for what runs in the foreground. Ctrl-C is
# ignored here, not trapped: a wait that a trap has interrupted may never tell how the program ended.
with_ctrl_c() {
    local pid status=0
    trap '' INT
    "$@" <&0 &
    pid=$!
    at_exit stop "$pid"
    wait "$pid" || status=$?
    trap 'exit 130' INT
    return "$status"
}

# kill_hard PID: ends a process as a power cut would.
kill_hard() {
    kill -KILL "$1"
    wait "$1" 2>/dev/null || true
}

# gone PID: whether no child of this shell with that id is running.
gone() { [[ $'\n'$(jobs -pr)$'\n' != *$'\n'"$1"$'\n'* ]]; }

# start_server FOLDER [SETTING=VALUE...]: starts the payment server on a free port with its database in FOLDER, where an
# earlier one is taken up again, and waits until it is ready. Sets SERVER_PID, SERVER_LOG and MCP_URL. It runs in
# FOLDER, so that no .env of the checkout is read, unless IN_CHECKOUT=1.
start_server() {
    local folder=$1 home=$1 setting clean=()
    shift
    mkdir -p "$folder"
    SERVER_LOG=$folder/server.log
    for setting in "${SETTINGS[@]}"; do clean+=(-u "$setting"); done
    [ "${IN_CHECKOUT:-}" != 1 ] || home=$ROOT
    pushd "$home" >/dev/null || exit
    launch "$SERVER_LOG" env "${clean[@]}" HOST=127.0.0.1 PORT=0 DATABASE_URL="sqlite://$folder/payments.db" \
        PAYMENTS_DEMO=true "$@" "$SERVER"
    popd >/dev/null || exit
    SERVER_PID=$LAUNCHED_PID
    export MCP_URL=$LAUNCHED_URL
    until_true 15 answers_ready "$MCP_URL" || {
        show_log "$SERVER_LOG"
        fail "the server listens but does not get ready (GET /readyz)"
    }
}

# start_risk FOLDER [SETTING=VALUE...]: starts the risk service with its database in FOLDER and waits until it listens: on
# a free port, and later on the same one. Sets RISK_PID, RISK_LOG and RISK_AT, the address of its endpoint.
start_risk() {
    local folder=$1 setting clean=() port=0
    shift
    mkdir -p "$folder"
    RISK_LOG=$folder/risk.log
    for setting in "${SETTINGS[@]}"; do clean+=(-u "$setting"); done
    [ -z "${RISK_AT:-}" ] || { port=${RISK_AT##*:} port=${port%%/*}; }
    launch "$RISK_LOG" env "${clean[@]}" RISK_PORT="$port" RISK_DATABASE_URL="sqlite://$folder/risk.db" "$@" \
        "$SERVER" risk
    RISK_PID=$LAUNCHED_PID RISK_AT=$LAUNCHED_URL
}

# operate COMMAND...: what an operator does with the database of the server that start_server started.
operate() {
    local setting clean=()
    for setting in "${SETTINGS[@]}"; do clean+=(-u "$setting"); done
    (cd "$(dirname "$SERVER_LOG")" && env "${clean[@]}" DATABASE_URL="sqlite://$PWD/payments.db" "${OPERATED_WITH[@]}" \
        "$SERVER" "$@")
}

# Settings that `operate` gives to the server's commands.
OPERATED_WITH=()

# stop_server: stops the payment server as an operator would; anything but a clean exit is a failure.
stop_server() {
    stop "$SERVER_PID"
    [ "$STOPPED_STATUS" = 0 ] || {
        show_log "$SERVER_LOG"
        fail "the server did not stop cleanly on SIGTERM (exit code $STOPPED_STATUS)"
    }
}

# answers_ready URL: whether the server behind URL answers GET /readyz with 200. Bash alone, so that a bare machine will
# do; in a shell of its own, which a server that goes away while it is asked may end.
answers_ready() {
    local authority=${1#*://}
    authority=${authority%%/*}
    # With TLS a connection is all that Bash can try.
    [[ $1 != https:* ]] || { : 3<>"/dev/tcp/${authority%:*}/${authority##*:}"; } 2>/dev/null || return 1
    [[ $1 != https:* ]] || return 0
    (
        printf 'GET /readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$authority" >&3
        read -r -t 5 status <&3 && [[ $status == *' 200 '* ]]
    ) 2>/dev/null 3<>"/dev/tcp/${authority%:*}/${authority##*:}"
}
