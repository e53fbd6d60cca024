#!/usr/bin/env bash
# Checks licences, sources and bans of every dependency, and known vulnerabilities where the
# database that lists them can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --locked check bans licenses sources

database=https://github.com/RustSec/advisory-db
if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --exit-code "$database" HEAD >/dev/null 2>&1; then
    cargo deny --locked check advisories
else
    echo "advisories: NOT CHECKED, $database cannot be reached"
fi
