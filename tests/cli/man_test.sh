#!/usr/bin/env bash
# The man pages: every command and every option of --help is in them, and a formatter takes them without a complaint.
#   man_test.sh path/to/man/folder path/to/sextant path/to/sextant-measure
set -u
folder=$1
failed=0
fail() { echo "FAILED: $1"; failed=$((failed + 1)); }

for program in "$2" "$3"; do
  name=$(basename "$program")
  page=$folder/$name.1
  [[ -s $page ]] || { fail "$page is empty"; continue; }
  text=$(sed 's/\\-/-/g; s/\\e/\\/g' "$page")
  for command in $("$program" --help | awk '/^(Commands|Verbs):$/ { on = 1; next } on && /^$/ { exit } on { print $1 }'); do
    grep -q "^ *$command  " <<<"$text" || fail "$name.1 lacks the command $command"
    options=$("$program" "$command" --help 2>/dev/null) || continue
    grep -qF ".SS \"$name $command\"" <<<"$text" || fail "$name.1 lacks the section of $command"
    while read -r option; do
      grep -qF -- "$option" <<<"$text" || fail "$name.1 lacks $option of $command"
    done < <(grep -oE '^  .*' <<<"$options" | grep -oE -- '--[a-z][a-z-]+' | sort -u)
  done
  if command -v mandoc >/dev/null; then
    complaints=$(mandoc -T lint -W error "$page" 2>&1) || fail "mandoc: $complaints"
  fi
  if command -v groff >/dev/null && groff -man -Tutf8 /dev/null >/dev/null 2>&1; then
    complaints=$(groff -man -ww -z -Tutf8 "$page" 2>&1)
    [[ -z $complaints ]] || fail "groff: $complaints"
  elif ! command -v mandoc >/dev/null; then
    echo "not formatted: neither mandoc nor groff is installed"
  fi
done

# What cmake installs: programs that run from where they lie, their pages, profiles, catalogues and scenarios.
if [[ ${4-} ]]; then
  prefix=$(mktemp -d)
  trap 'rm -rf "$prefix"' EXIT
  cmake --install "$4" --prefix "$prefix" >/dev/null || fail "cmake --install $4"
  "$prefix/bin/sextant" catalog gpus >/dev/null || fail "the installed sextant does not run"
  for file in bin/sextant-measure share/man/man1/sextant.1 share/man/man1/sextant-measure.1 share/sextant/profiles/gpu.h200-sxm.json \
    share/sextant/catalogue/hardware/gpus.json share/sextant/catalogue/llm share/sextant/scenarios/part1-405b.json; do
    [[ -e $prefix/$file ]] || fail "not installed: $file"
  done
fi
((failed == 0)) && echo "all passed"
exit $((failed > 0))
