# shellcheck shell=bash disable=SC2034
# What every script here stands on: where the project is, words on the terminal, a scratch folder, and an end that
# cleans up however it comes. Source it first, after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') RED=$(printf '\033[31m') PLAIN=$(printf '\033[0m')
else
    BOLD='' DIM='' RED='' PLAIN=''
fi

# The exit code of a check that this machine cannot run, which scripts/test counts apart from one that failed.
CANNOT_RUN=77

# say TEXT...: one line for the person.
say() { printf '%s\n' "$*"; }

# title TEXT...: what comes next.
title() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }

# fail TEXT...: the reason on stderr, and the end of the script.
fail() {
    printf '%s%s: %s%s\n' "$RED" "${0##*/}" "$*" "$PLAIN" >&2
    exit 1
}

CLEANUPS=()

# at_exit COMMAND...: run at the end, last in first out, whether the script ends well, fails or is interrupted.
at_exit() { CLEANUPS+=("$(printf '%q ' "$@")"); }

run_cleanups() {
    local status=$? index
    trap - EXIT
    trap '' INT QUIT TERM HUP
    set +e
    for ((index = ${#CLEANUPS[@]} - 1; index >= 0; index--)); do
        eval "${CLEANUPS[index]}"
    done
    exit "$status"
}
trap run_cleanups EXIT
trap 'exit 130' INT
trap 'exit 131' QUIT
trap 'exit 143' TERM
trap 'exit 129' HUP

# A folder of this run alone, gone at the end.
SCRATCH=$(mktemp -d)
at_exit rm -rf "$SCRATCH"
# Whatever is started in it finds this one, and looks no further up for somebody's.
: >"$SCRATCH/.env"

# now_ms: milliseconds on a clock that is good for differences. Whole seconds where date knows no fractions.
now_ms() {
    local now
    now=$(date +%s%N)
    case $now in
    *N) printf '%s000\n' "$(date +%s)" ;;
    *) printf '%s\n' "$((now / 1000000))" ;;
    esac
}

# until_true SECONDS COMMAND...: tries COMMAND until it succeeds; fails when the time is up.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.01
    done
}

# within SECONDS PROGRAM...: runs a program (not a function) and ends it when the time is up, where `timeout` is there.
within() {
    local seconds=$1
    shift
    if command -v timeout >/dev/null; then
        timeout --foreground --kill-after=5 "$seconds" "$@"
    else
        "$@"
    fi
}

# beside COMMAND...: runs it silently in the background, as $!, in a process group of its own, which ends with the script.
beside() {
    set -m
    "$@" >/dev/null 2>&1 </dev/null &
    set +m
    at_exit stop_group "$!"
}
stop_group() { ! kill -0 -- "-$1" 2>/dev/null || kill -- "-$1"; }

# need PROGRAM PACKAGE: makes sure that PROGRAM is there. As root on Debian it is installed; else the person is told.
need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $2, which $1 comes with" >&2
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$2"; } >/dev/null 2>&1 || true
    fi
    command -v "$1" >/dev/null || {
        say "$1 is not installed, and this needs it: install the package $2 and try again" >&2
        return 1
    }
}
