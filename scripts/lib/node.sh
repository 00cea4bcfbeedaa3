# shellcheck shell=bash
# Node.js and what npm installs, for the checks that run programs others wrote. Needs base.sh and build.sh.

# Where the machine has no Node.js that is new enough, this one comes from npm, which carries the program itself.
NODE_VERSION=24.21.0

# need_node MAJOR: puts Node.js of MAJOR or newer first in PATH, and npm beside it.
need_node() {
    local carried
    need node nodejs && need npm npm || return
    # Node.js brings its own list of authorities; what this machine trusts beyond it is in the system's.
    if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ]; then
        export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
    fi
    [ "$(node_major)" -lt "$1" ] || return 0
    carried=$(target_folder)/counterparts/node
    # The only package here whose install script runs: it is what puts the program for this machine in place.
    [ -x "$carried/node_modules/.bin/node" ] || npm_install "$carried" --ignore-scripts=false "node@$NODE_VERSION" ||
        return
    PATH=$carried/node_modules/.bin:$PATH
    [ "$(node_major)" -ge "$1" ] || {
        say "this needs Node.js $1 or newer, not $(node --version)" >&2
        return 1
    }
}

# node_major: the major version of the Node.js that is first in PATH.
node_major() { node -p 'process.versions.node.split(".")[0]'; }

# npm_install FOLDER ARGUMENT...: installs into FOLDER what the arguments name, or what its package.json does. Versions
# are pinned by whoever calls; no package's install script runs.
npm_install() {
    local folder=$1 attempt
    shift
    mkdir -p "$folder"
    for attempt in 1 2 3; do
        ! within 240 npm install --prefix "$folder" --no-package-lock --ignore-scripts --no-audit --no-fund --silent "$@" ||
            return 0
        say "npm could not install it (attempt $attempt)" >&2
    done
    return 1
}

# install_node_counterparts: puts what scripts/interop/package.json pins beside it.
install_node_counterparts() {
    local folder=$ROOT/scripts/interop
    ! cmp -s "$folder/package.json" "$folder/node_modules/.installed" || return 0
    say "installing the counterparts from npm"
    npm_install "$folder" || return
    cp "$folder/package.json" "$folder/node_modules/.installed"
}
