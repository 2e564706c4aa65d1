#!/usr/bin/env bash
# Checks the shape of the tree: which folder includes which, no paths of one machine, what lies at the top, file lengths.
# Usage: structure.sh ROOT. Prints one line for each violation; exit 1 if there is one.
set -euo pipefail
cd -- "${1:?usage: structure.sh ROOT}"
violations=0
found() { echo "$1"; violations=$((violations + 1)); }

sources=()
folders=()
for folder in models calibrate sim reports tests scenarios; do
  if [[ -d $folder ]]; then folders+=("$folder"); fi
done
mapfile -t sources < <(find "${folders[@]}" -type f \( -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' \) | sort)
((${#sources[@]})) || { echo "structure: no sources under $PWD, expected some"; exit 1; }

# The folders that a folder may include, as a pattern; these are the links in the CMakeLists.txt files.
allowed_for() {
  case $1 in
    models/base/*) echo '^models/base/' ;;
    models/hardware/*) echo '^models/(base|hardware)/' ;;
    models/profile/*) echo '^models/(base|profile)/' ;;
    models/llm/*) echo '^models/(base|profile|llm)/' ;;
    models/*) echo '^models/' ;;
    calibrate/*) echo '^(models|calibrate)/' ;;
    sim/kernel/*) echo '^(models/base|sim/kernel)/' ;;
    sim/fabric/*) echo '^(models/(base|hardware|profile|cost)|sim/(kernel|fabric))/' ;;
    sim/serving/*) echo '^(models|sim/(kernel|fabric|serving))/' ;;
    sim/scenario/*) echo '^(models|sim/(kernel|fabric|serving|scenario))/' ;;
    sim/planner/*) echo '^(models|sim/(kernel|fabric|serving|scenario|planner))/' ;;
    sim/validation/*) echo '^(models|sim/(kernel|fabric|serving|scenario|planner|validation))/' ;;
    sim/sweep/*) echo '^(models|sim/(kernel|fabric|serving|scenario|planner|sweep))/' ;;
    reports/*) echo '^(models|reports|sim/(kernel|fabric|serving|scenario|planner|sweep|validation))/' ;;
    sim/cli/* | tests/sim/cli/*) echo '^' ;;
    tests/*) echo '^(models|calibrate|sim/(kernel|fabric|serving|scenario|planner|sweep|validation)|reports|tests)/' ;;
    *) echo '^$' ;;
  esac
}

while IFS=: read -r file line include; do
  included=${include#*\"}
  included=${included%%\"*}
  allowed=$(allowed_for "$file")
  [[ $included =~ $allowed ]] || found "$file:$line: includes $included, expected $allowed"
done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "${sources[@]}" || true)

machine_path='/(work|root)/|/tmp/[b]ash'
while IFS= read -r match; do
  found "$match: path of one machine"
done < <(grep -rInoE --exclude-dir='build*' --exclude-dir=.git --exclude-dir=.cache --exclude=.git "$machine_path" . || true)

for entry in *; do
  case $entry in
    sim | models | calibrate | scenarios | reports | tests | CMakeLists.txt | CMakePresets.json | README.md | run | LICENSE | \
      NOTICE | CONTRIBUTING.md | compile_commands.json | build | build-*) ;;
    *) found "$entry: at the top level, expected one of the folders in README.md" ;;
  esac
done

for file in "${sources[@]}"; do
  lines=$(wc -l <"$file")
  ((lines <= 500)) || found "$file: $lines lines, expected 500 at most"
done

echo "structure: ${#sources[@]} sources, $violations violations"
((violations == 0))
