# shellcheck shell=bash
# The demo keys, as .env.example publishes them, for the server, the client and curl alike. Needs base.sh.

# published NAME: the value that .env.example gives a variable.
published() { sed -n "s/^$1=//p" "$ROOT/.env.example"; }

BOB_API_KEY=$(published BOB_API_KEY)
ALICE_API_KEY=$(published ALICE_API_KEY)
CHARLIE_API_KEY=$(published CHARLIE_API_KEY)
AUDITOR_API_KEY=$(published AUDITOR_API_KEY)
export BOB_API_KEY ALICE_API_KEY CHARLIE_API_KEY AUDITOR_API_KEY
