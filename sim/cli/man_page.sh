#!/bin/sh
# Writes the man page of a program from what it prints for --help, so that the two never differ.
# Usage: man_page.sh PROGRAM NAME VERSION PAGE
# A program lists its commands as "  NAME  what it does" below "Commands:" or "Verbs:"; each has a --help of its own.
# What cannot be started here (a verb that is not built) has its line in the list alone.
set -eu
program=$1 name=$2 version=$3 page=$4
overview=$("$program" --help)
commands=$(printf '%s\n' "$overview" | awk '/^(Commands|Verbs):$/ { on = 1; next } on && /^$/ { exit } on { print $1 }')

# A help text as roff: options become tagged paragraphs, what is indented stays as it is, the rest is filled.
render() {
  awk '
    function plain(text) {
      gsub(/\\/, "\\e", text); gsub(/-/, "\\-", text); gsub(/\342\200\246/, "...", text)
      sub(/^[.\047]/, "\\\\\\&&", text)
      return text
    }
    function shut() { if (literal) print ".EE"; literal = 0 }
    /^[A-Z][a-z]+:$/ && !/^Example/ { shut(); options = ($0 == "Options:"); print ".PP"; print ".B " plain($0); next }
    /^Examples?/ { shut(); options = 0; print ".PP"; print ".B " plain($0); next }
    /^$/ { shut(); options = 0; print ".PP"; next }
    options && /^  -/ {
      line = substr($0, 3)
      if (match(line, /   *[^ ]/) || match(line, / [a-z]/)) { tag = substr(line, 1, RSTART - 1); rest = substr(line, RSTART) } else { tag = line; rest = "" }
      sub(/^ +/, "", rest); sub(/ +$/, "", tag)
      print ".TP"; print ".B " plain(tag)
      if (rest != "") print plain(rest)
      next
    }
    options { sub(/^ +/, ""); print plain($0); next }
    /^  / { if (!literal) { print ".EX"; literal = 1 } print plain($0); next }
    /^sextant/ { shut(); print plain($0); print ".br"; next }
    { shut(); print plain($0) }
    END { shut() }'
}

{
  upper=$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')
  title=$(printf '%s\n' "$overview" | sed -n '1s/.*: //p')
  printf '.TH %s 1 "" "%s %s" "User Commands"\n' "$upper" "$name" "$version"
  printf '.SH NAME\n%s \\- %s\n' "$name" "$title"
  printf '.SH SYNOPSIS\n'
  printf '%s\n' "$overview" | sed -n '1s/: .*//p' | sed 's/-/\\-/g; s/^/.B /'
  printf '.SH DESCRIPTION\n'
  printf '%s\n' "$overview" | sed 1d | render
  printf '.SH COMMANDS\n'
  for command in $commands; do
    if text=$("$program" "$command" --help 2>/dev/null); then
      printf '.SS "%s %s"\n' "$name" "$command"
      printf '%s\n' "$text" | render
    fi
  done
  printf '.SH SEE ALSO\nThe READMEs of the sources, and the scenarios that are installed beside them.\n'
} >"$page.part"
mv "$page.part" "$page"
