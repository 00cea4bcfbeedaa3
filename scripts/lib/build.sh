# shellcheck shell=bash disable=SC2034
# Builds the two programs and says where they are. Needs base.sh.

# cargo_build ARGUMENT...: cargo shows its progress on a terminal and is silent elsewhere, but for what goes wrong.
cargo_build() {
    local quiet=(--quiet)
    command -v cargo >/dev/null || fail "cargo is not installed: get Rust from https://rustup.rs and try again"
    [ ! -t 2 ] || quiet=(--color auto)
    # From there: cargo takes its configuration from where it is started.
    (cd "$ROOT" && cargo build "${quiet[@]}" "$@")
}

# target_folder: where cargo puts what it builds, whatever configures it.
target_folder() {
    (cd "$ROOT" && cargo metadata --no-deps --format-version 1) |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# build: sets SERVER and CLIENT to the paths of the two programs, built for development.
build() {
    local folder
    say "${DIM}building server and client; the first time takes a few minutes${PLAIN}"
    cargo_build --package server --package client
    folder=$(target_folder)
    SERVER=$folder/debug/server CLIENT=$folder/debug/client
}
