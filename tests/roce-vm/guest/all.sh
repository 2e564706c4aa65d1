# One boot for everything.
sh faults.sh
faults=$?
sh agree.sh
agree=$?
echo "roce-vm: $faults faults and $agree comparisons failed"
exit $((faults + agree))
