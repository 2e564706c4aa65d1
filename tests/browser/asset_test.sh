#!/usr/bin/env bash
# The committed assets of HTML reports are what reports/page/build makes. Usage: asset_test.sh ROOT. Skipped (77), with the
# reason, without npm or its registry.
set -euo pipefail
page=$1/reports/page
skip() { echo "skipped: $1"; exit 77; }
command -v node >/dev/null && command -v npm >/dev/null || skip "no Node.js with npm (Debian: nodejs npm)"
if [[ ! -x $page/node_modules/.bin/esbuild ]]; then
  (cd "$page" && timeout 120 npm ci --no-audit --no-fund >/dev/null 2>&1) || skip "npm ci could not install the packages of reports/page"
fi
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
"$page/build" "$scratch"
for asset in page.html page.css page.js; do
  cmp "$page/asset/$asset" "$scratch/$asset" || { echo "reports/page/asset/$asset is not what reports/page/build makes: run it and commit"; exit 1; }
done
echo "the assets are what the build makes"
