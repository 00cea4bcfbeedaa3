# shellcheck shell=bash
# What the scripts that measure stand on: cores apart, a folder on a disk, and nothing of the person's own settings.
# Needs base.sh, server.sh and client.sh.

# can_measure: sets LOAD_CORE to the last of the cores that this script may use, and SERVER_CORES to the others, with commas
# between them. Fails, and says why, where this machine cannot measure.
can_measure() {
    local range ranges core cores=()
    need taskset util-linux && need setpriv util-linux || return
    IFS=, read -ra ranges < <(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
    for range in "${ranges[@]}"; do
        for ((core = ${range%-*}; core <= ${range#*-}; core++)); do cores+=("$core"); done
    done
    [ "${#cores[@]}" -ge 2 ] || {
        say "this needs two cores, one for the servers and one for the load: there is ${#cores[@]} here" >&2
        return 1
    }
    LOAD_CORE=${cores[${#cores[@]} - 1]}
    unset "cores[${#cores[@]} - 1]"
    SERVER_CORES=$(IFS=, && printf '%s' "${cores[*]}")
}

# measure FOLDER PROGRAM COMMAND ARGUMENT...: runs a command of `bench`, which is PROGRAM, on the load's core. The databases
# that it makes are in FOLDER, in a folder of this run alone that is gone at the end.
measure() {
    local disk
    mkdir -p "$1"
    disk=$(mktemp -d "$1/run.XXXXXX")
    at_exit rm -rf "$disk"
    unset "${SETTINGS[@]}" "${CLIENT_SETTINGS[@]}" BOB_API_KEY ALICE_API_KEY CHARLIE_API_KEY AUDITOR_API_KEY
    # No proxy stands before this machine.
    export no_proxy='*' NO_PROXY='*'
    taskset -c "$LOAD_CORE" "$2" "$3" --disk "$disk" --cores "$SERVER_CORES" "${@:4}"
}
