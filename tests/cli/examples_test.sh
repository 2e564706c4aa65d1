#!/usr/bin/env bash
# Every example of every command's --help, run as it stands in a copy of the folders it names. Lines that need hardware, a
# cluster or files of the reader's own are skipped, with the reason.
#   examples_test.sh path/to/sextant path/to/repository
set -u
sextant=$(readlink -f "$1")
repository=$(readlink -f "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
for folder in scenarios tests calibrate models; do ln -s "$repository/$folder" "$folder"; done
mkdir bin && ln -s "$sextant" bin/sextant
PATH=$scratch/bin:$PATH
ran=0 failed=0

# Why an example cannot run here; nothing where it can.
obstacle() {
  case $1 in
    *" --submit slurm"*) command -v sbatch >/dev/null || echo "no sbatch" ;;
    *" --submit "*) echo "needs a cluster" ;;
    *"tables/h200_sxm"*) echo "needs a folder of kernel tables, which the repository does not hold" ;;
    *"deployed.json"*) echo "needs a benchmark's result of the reader's own" ;;
    *"--root /"*) echo "looks at this machine, whatever that is" ;;
  esac
}

commands=$(sextant --help | awk '/^Commands:$/ { on = 1; next } on && /^$/ { exit } on { print $1 }')
for command in $commands; do
  # Lines of two blanks and the program's name; a backslash at the end goes on in the next line.
  mapfile -t examples < <(sextant "$command" --help | sed -e ':again' -e '/\\$/{N;s/\\\n *//;bagain' -e '}' | sed -n '/^Example/,$s/^  \(sextant .*\)/\1/p')
  ((${#examples[@]})) || { echo "FAILED: sextant $command --help has no example"; failed=$((failed + 1)); }
  for example in "${examples[@]}"; do
    why=$(obstacle "$example")
    if [[ -n $why ]]; then echo "skipped: $why: $example"; continue; fi
    bash -c "$example" >out 2>err </dev/null
    code=$?
    ran=$((ran + 1))
    # doctor's examples show what it finds: 4 is what its help says of that.
    if [[ $code != 0 && ! ($command == doctor && $code == 4) ]]; then
      echo "FAILED ($code): $example"
      sed 's/^/  /' err | head -5
      failed=$((failed + 1))
    fi
  done
done
# The line of the output that is a README's line but for its numbers; the README's own where there is none.
same_shape() {
  awk -v shown="$1" '
    function shape(text) { gsub(/[0-9][0-9.,]*/, "#", text); gsub(/[ -]+/, " ", text); return text }
    BEGIN { wanted = shape(shown) }
    shape($0) == wanted { print; found = 1; exit }
    END { if (!found) print shown }' out
}

# With SEXTANT_UPDATE_README=1 the numbers are brought up to date instead of compared.
check_tour() {
  local line now code=0 on=
  while IFS= read -r line; do
    case $line in
      '```console') on=yes ;;
      '```') on= ;;
    esac
    now=$line
    if [[ $on && $line == '$ ./run '* ]]; then
      bash -c "sextant ${line#\$ ./run }" >out 2>&1 </dev/null
      code=$? ran=$((ran + 1))
      [[ $code == 0 ]] || { echo "FAILED ($code): README.md: $line"; failed=$((failed + 1)); }
    elif [[ $on && $line && $line != '```console' && $line != '…' ]]; then
      [[ ${SEXTANT_UPDATE_README-} ]] && now=$(same_shape "$line")
      grep -qxF -- "$now" out || { echo "FAILED: README.md shows a line that is not printed: $line"; failed=$((failed + 1)); }
    fi
    printf '%s\n' "$now" >&3
  done <"$repository/README.md" 3>readme.new
  if [[ ${SEXTANT_UPDATE_README-} ]]; then cat readme.new >"$repository/README.md"; fi
}
check_tour

echo "examples: $((ran - failed)) passed, $failed failed"
((failed == 0 && ran > 10))
