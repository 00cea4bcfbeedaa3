# shellcheck shell=bash disable=SC2034
# A real PostgreSQL in a folder of its own, on a free loopback port, under a user without rights. Needs base.sh.

# Sets POSTGRES_BIN to where initdb and postgres are; installs them on Debian, as root or by sudo.
find_postgres() {
    local folder sudo=()
    for folder in "$(dirname "$(command -v initdb || printf /nowhere/initdb)")" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && POSTGRES_BIN=$folder
    done
    [ -z "${POSTGRES_BIN:-}" ] || return 0
    if command -v apt-get >/dev/null; then
        [ "$(id -u)" = 0 ] || sudo=(sudo -n)
        say "installing the package postgresql, for the tests" >&2
        {
            "${sudo[@]}" apt-get update -qq &&
                "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql
        } >/dev/null 2>&1 || true
        for folder in /usr/lib/postgresql/*/bin; do
            [ ! -x "$folder/initdb" ] || POSTGRES_BIN=$folder
        done
    fi
    [ -n "${POSTGRES_BIN:-}" ] || {
        say "PostgreSQL is not installed, and this needs it: install the package postgresql and try again" >&2
        return 1
    }
}

# unprivileged COMMAND...: becomes COMMAND, as a user without rights where this one is root; PostgreSQL refuses root.
unprivileged() {
    [ "$(id -u)" = 0 ] || exec "$@"
    exec setpriv --reuid "$POSTGRES_USER" --regid "$(id -g "$POSTGRES_USER")" --clear-groups -- "$@"
}

# prepare_postgres FOLDER PORT: makes a database in FOLDER unless one is there, and sets POSTGRES_URL.
prepare_postgres() {
    local folder=$1 port=$2 password
    [ ! -e "$folder/data" ] || [ -e "$folder/password" ] || [ -e "$folder/password.new" ] || {
        say "$folder/data was not made by this: name another folder" >&2
        return 1
    }
    find_postgres || return
    POSTGRES_USER=$(id -un)
    if [ "$(id -u)" = 0 ]; then
        POSTGRES_USER=nobody
        ! id postgres >/dev/null 2>&1 || POSTGRES_USER=postgres
        chown "$POSTGRES_USER" "$folder"
    fi
    if [ ! -e "$folder/password" ] || [ ! -e "$folder/data" ]; then
        # What one that broke off has left: `password.new` is only ever made where there is no `data`.
        [ ! -e "$folder/password.new" ] || rm -rf "$folder/data"
        (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$folder/password.new")
        [ "$(id -u)" != 0 ] || chown "$POSTGRES_USER" "$folder/password.new"
        (cd "$folder" && unprivileged "$POSTGRES_BIN/initdb" --pgdata="$folder/data" --username=payments --encoding=UTF8 \
            --locale=C --auth=scram-sha-256 --pwfile="$folder/password.new" --no-sync) >"$folder/initdb.log" 2>&1 || {
            cat "$folder/initdb.log" >&2
            say "initdb failed; what it said is above" >&2
            return 1
        }
        mv "$folder/password.new" "$folder/password"
    fi
    password=$(<"$folder/password")
    POSTGRES_URL=postgres://payments:$password@127.0.0.1:$port/postgres
}

# become_postgres FOLDER PORT: becomes the server of a folder that was prepared. It does not wait for the disk unless
# POSTGRES_FSYNC=on: what it has acknowledged outlives its own death, though not the machine's. POSTGRES_CORES names the
# cores it may use; all of them otherwise.
become_postgres() {
    cd "$1" || return
    [ -z "${POSTGRES_CORES:-}" ] || taskset -pc "$POSTGRES_CORES" "$BASHPID" >/dev/null || return
    unprivileged "$POSTGRES_BIN/postgres" -D "$1/data" -p "$2" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync="${POSTGRES_FSYNC:-off}" -c max_connections=200
}

# start_postgres: starts one that is stopped and gone at the end of the script. Sets POSTGRES_URL, POSTGRES_PID and
# POSTGRES_FOLDER, which its data is in.
start_postgres() {
    local folder port attempt
    folder=$(mktemp -d)
    POSTGRES_FOLDER=$folder
    at_exit rm -rf "$folder"
    for attempt in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        prepare_postgres "$folder" "$port" || return
        : >"$folder/postgres.log"
        (become_postgres "$folder" "$port") >"$folder/postgres.log" 2>&1 </dev/null &
        POSTGRES_PID=$!
        at_exit stop_postgres "$POSTGRES_PID"
        until_true 30 postgres_is_ready_or_gone "$folder/postgres.log" || true
        grep -q 'ready to accept connections' "$folder/postgres.log" && return
        # Most likely somebody else had the port.
        stop_postgres "$POSTGRES_PID"
        [ "$attempt" != 5 ] || cat "$folder/postgres.log" >&2
    done
    say "PostgreSQL did not start; its log is above" >&2
    return 1
}

postgres_is_ready_or_gone() {
    grep -q 'ready to accept connections' "$1" || ! kill -0 "$POSTGRES_PID" 2>/dev/null
}

# stop_postgres PID: ends it without waiting for its clients.
stop_postgres() {
    kill -INT "$1" 2>/dev/null || return 0
    # What has yet to become PostgreSQL takes no notice of that.
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
