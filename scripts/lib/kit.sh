# shellcheck shell=bash disable=SC2034
# Credentials for services: certificates and tokens, right and wrong, made anew each time. Needs base.sh and build.sh.

# make_kit: makes them and exports KIT, the folder that they are in.
make_kit() {
    export KIT=$SCRATCH/kit
    cargo_build --package server --example kit
    "$(target_folder)/debug/examples/kit" "$KIT"
}

# What makes a server believe the tokens of the kit.
TRUST=(SERVICE_ISSUER=https://issuer.example SERVICE_AUDIENCE=payments)
