# One boot for everything.
total=0
for script in faults fabric agree; do
  begin=$(cut -d. -f1 /proc/uptime)
  sh $script.sh
  failures=$?
  total=$((total + failures))
  echo "$script: $failures failures in $(($(cut -d. -f1 /proc/uptime) - begin)) s"
done
exit $total
