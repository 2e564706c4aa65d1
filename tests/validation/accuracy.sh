#!/usr/bin/env bash
# The accuracy table of the top README, computed from the recorded measurements.
#   accuracy.sh SEXTANT            prints it
#   accuracy.sh SEXTANT --write    puts it between the markers of README.md
#   accuracy.sh SEXTANT --check    fails, with the difference, where README.md has another
set -euo pipefail
sextant=$(readlink -f "$1")
mode=${2-}
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.."
begin='<!-- accuracy: tests/validation/accuracy.sh build/sextant --write -->' end='<!-- end of accuracy -->'

# What was run; the files; kind, part and GPU of the row that is shown, as validate names them.
rows=(
  'Llama 3.1 8B, vLLM 0.19, one RTX PRO 6000, 300 requests, saturated: throughput and latencies|tests/validation/vllm-0.19-rtx-pro-6000.jsonl|serving||rtx-pro-6000-server'
  'five dense models, vLLM 0.15.1, H100 at tp 1 and 4: mean E2EL|tests/validation/vllm-0.15.1-h100.jsonl|serving|mean_e2el_ms|h100-sxm'
  'the same: mean TTFT|tests/validation/vllm-0.15.1-h100.jsonl|serving|mean_ttft_ms|h100-sxm'
  'Llama 4 Scout, vLLM 0.15.1, H100 at tp 2: mean E2EL|tests/validation/vllm-0.15.1-h100-experts.jsonl|serving|mean_e2el_ms|h100-sxm'
  'TensorRT-LLM at full load, RTX PRO 6000 (70B in pipelines of 1 to 8, Qwen3-30B-A3B; NVFP4): output throughput|tests/validation/trtllm-1.0.jsonl|serving|output_throughput|rtx-pro-6000-server'
  'the same on H200 (70B, 8B; FP8)|tests/validation/trtllm-1.0.jsonl|serving|output_throughput|h200-sxm'
  'the same on H100 (70B at tp 2, 8B; FP8)|tests/validation/trtllm-1.0.jsonl|serving|output_throughput|h100-sxm'
  'the same on B200 (70B; NVFP4)|tests/validation/trtllm-1.0.jsonl|serving|output_throughput|b200-sxm'
  'the same, Qwen3-30B-A3B on 2, 4, 8 RTX PRO 6000, attention data-parallel, experts shared|tests/validation/trtllm-1.0-experts.jsonl|serving|output_throughput|rtx-pro-6000-server'
  'steps of 8B, 70B and 405B on H200, tp 1 to 4, pp 1 to 4: decode|calibrate/measurements/h200-sxm.steps.jsonl.gz|step|decode|h200-sxm'
  'the same: prefill|calibrate/measurements/h200-sxm.steps.jsonl.gz|step|prefill|h200-sxm'
  'steps of Qwen3-30B-A3B and Mixtral 8x7B on H200|calibrate/measurements/h200-sxm.moe-steps.jsonl.gz|step||h200-sxm'
  'the same with whole experts on each of two cards|calibrate/measurements/h200-sxm.ep-steps.jsonl.gz|step||h200-sxm'
  'collectives over NVLink on H200|calibrate/measurements/h200-sxm.nccl.jsonl.gz|collective||h200-sxm'
  "all-reduces over PCIe on other people's hosts|tests/validation/links.jsonl|collective||rtx-pro-6000-workstation"
)

table() {
  echo '| what | values | median error % | 90th % | worst % | in the 90 % interval |'
  echo '|---|---:|---:|---:|---:|---:|'
  local row what file kind part gpu last='' found=''
  for row in "${rows[@]}"; do
    IFS='|' read -r what file kind part gpu <<<"$row"
    [[ $file == "$last" ]] || found=$("$sextant" validate "$file" --markdown -)
    last=$file
    sed 's/\\_/_/g' <<<"$found" | awk -F' *[|] *' -v what="$what" -v kind="$kind" -v part="$part" -v gpu="$gpu" '
      $2 == kind && $3 == gpu && $4 == part {
        split($10, within, " of "); number = within[2] == "" ? $5 : within[2]
        printf "| %s | %s | %.1f | %.1f | %.1f | %s |\n", what, number, $6, $7, $8, $10; seen = 1
      }
      END { if (!seen) { print "accuracy: no row of " kind " " part " on " gpu > "/dev/stderr"; exit 1 } }'
  done
}

made=$(mktemp)
trap 'rm -f "$made" "$made.readme"' EXIT
table >"$made"
case $mode in
  '') cat "$made" ;;
  --write)
    awk -v begin="$begin" -v end="$end" -v made="$made" '
      $0 == begin { print; print ""; while ((getline line < made) > 0) print line; print ""; skip = 1; next }
      $0 == end { skip = 0 }
      !skip { print }' README.md >"$made.readme"
    grep -qxF -- "$end" "$made.readme" || { echo "accuracy: README.md has no markers" >&2; exit 1; }
    cat "$made.readme" >README.md ;;
  --check)
    awk -v begin="$begin" -v end="$end" '$0 == end { on = 0 } on && NF { print } $0 == begin { on = 1 }' README.md |
      diff - "$made" || { echo "README.md: its accuracy table is stale: tests/validation/accuracy.sh build/sextant --write" >&2; exit 1; } ;;
  *) echo "accuracy: found $mode, expected --write or --check" >&2; exit 2 ;;
esac
