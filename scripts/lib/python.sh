# shellcheck shell=bash disable=SC2034
# Python and what pip installs, for the checks that run programs others wrote. Needs base.sh and build.sh.

# The checkout is not where Python may keep what it compiled.
export PYTHONDONTWRITEBYTECODE=1

# need_python MINOR FOLDER REQUIREMENTS: makes a virtual environment in FOLDER with what the file REQUIREMENTS pins, and
# sets PYTHON to its Python, which is 3.MINOR or newer.
need_python() {
    local minor=$1 folder=$2 requirements=$3 attempt
    need python3 python3 || return
    python3 -c "import sys; sys.exit(sys.version_info < (3, $minor))" || {
        say "this needs Python 3.$minor or newer, not $(python3 --version)" >&2
        return 1
    }
    PYTHON=$folder/bin/python
    ! cmp -s "$requirements" "$folder/.installed" || return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || {
        [ "$(id -u)" = 0 ] &&
            { apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv; } >/dev/null 2>&1
    } || {
        say "Python cannot make virtual environments here: install the package python3-venv and try again" >&2
        return 1
    }
    for attempt in 1 2 3; do
        ! { python3 -m venv "$folder" && within 240 "$PYTHON" -m pip install --quiet --disable-pip-version-check \
            --requirement "$requirements"; } || break
        say "pip could not install it (attempt $attempt)" >&2
        [ "$attempt" -lt 3 ] || return
    done
    cp "$requirements" "$folder/.installed"
}
