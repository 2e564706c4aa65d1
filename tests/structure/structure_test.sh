#!/usr/bin/env bash
# structure.sh must pass a good tree and name each of the faults of a bad one.
set -euo pipefail
check=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/structure.sh
tree=$(mktemp -d)
trap 'rm -rf -- "$tree"' EXIT
mkdir -p "$tree"/{models/base,sim/kernel,sim/cli,tests/sim/kernel}
echo '#include "models/base/error.hpp"' >"$tree/sim/kernel/clock.hpp"
echo '#include "sim/kernel/clock.hpp"' >"$tree/sim/cli/main.cpp"
echo '#include "sim/kernel/clock.hpp"' >"$tree/tests/sim/kernel/clock_test.cpp"
bash "$check" "$tree" >/dev/null || { echo "a good tree was refused"; exit 1; }

expect_fault() {  # FILE TEXT PATTERN: with TEXT in FILE the check fails and prints PATTERN
  printf '%s\n' "$2" >"$tree/$1"
  local output
  if output=$(bash "$check" "$tree"); then echo "accepted: $1"; exit 1; fi
  [[ $output == *"$3"* ]] || { printf 'expected "%s" in:\n%s\n' "$3" "$output"; exit 1; }
  rm -- "${tree:?}/$1"
}
expect_fault models/base/bad.hpp '#include "sim/kernel/clock.hpp"' 'models/base/bad.hpp:1: includes sim/kernel/clock.hpp'
expect_fault sim/kernel/bad.cpp '  #  include "models/llm/memory.hpp"' 'sim/kernel/bad.cpp:1: includes models/llm/memory.hpp'
expect_fault tests/sim/kernel/bad.cpp '#include "sim/cli/main.hpp"' 'tests/sim/kernel/bad.cpp:1: includes sim/cli/main.hpp'
expect_fault sim/kernel/bad.json "{\"path\": \"/ro""ot/file\"}" 'sim/kernel/bad.json:1'
expect_fault notes.txt 'a note' 'notes.txt: at the top level'
expect_fault sim/kernel/long.cpp "$(seq 501)" 'sim/kernel/long.cpp: 501 lines'
echo "structure_test: all faults found"
