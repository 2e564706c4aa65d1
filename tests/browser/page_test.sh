#!/usr/bin/env bash
# HTML reports in headless Chromium. Usage: page_test.sh SEXTANT ROOT [TEST], page_test.mjs where none is named. Skipped (77), with the reason, where there is no
# browser, Node.js or package registry.
set -euo pipefail
sextant=$1 root=$2
here=$root/tests/browser
skip() { echo "skipped: $1"; exit 77; }
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium (Debian: chromium)"
command -v node >/dev/null && command -v npm >/dev/null || skip "no Node.js with npm (Debian: nodejs npm)"
if [[ ! -d $here/node_modules/playwright-core || ! -d $here/node_modules/axe-core ]]; then
  (cd "$here" && timeout 120 npm ci --no-audit --no-fund >/dev/null 2>&1) || skip "npm ci could not install the packages of tests/browser"
fi
exec node "$here/${3:-page_test.mjs}" "$sextant" "$root" "$chromium"
