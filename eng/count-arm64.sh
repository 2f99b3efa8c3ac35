#!/usr/bin/env bash
# Counts the instructions of the kernels' inner loops on ARM64, on any machine: no board is needed to see a spill.
#   eng/count-arm64.sh            builds the program for ARM64, with symbols, and disassembles it
#   eng/count-arm64.sh PROGRAM    disassembles this one, which has its symbols
# Needs gcc-aarch64-linux-gnu and binutils-aarch64-linux-gnu. The last line says how many loops are above 1.15 times their ideal.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-}
if [ -z "$program" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # The linker is called as clang would be; gcc has no --target.
  printf '#!/usr/bin/env bash\nargs=()\nfor a in "$@"; do [[ $a == --target=* ]] || args+=("$a"); done\nexec aarch64-linux-gnu-gcc "${args[@]}"\n' \
    > "$work/link"
  chmod +x "$work/link"
  dotnet publish Mamba.Cli -c Release -r linux-arm64 -p:PublishAot=true -p:StripSymbols=false -p:CppCompilerAndLinker="$work/link" \
    -p:LinkerFlavor=bfd -p:ObjCopyName=aarch64-linux-gnu-objcopy -o "$work/out" -v q --nologo >&2
  program=$work/out/mamba
fi

# One kernel a line: name | symbol, without the vector type | fused multiply-adds and other vector arithmetic of a step | ideal | why.
# The ideal counts what the work itself needs: the arithmetic, a load or store of each number (two vectors a pair), a copy of each addend
# that lives on (fmla overwrites it), a step of each pointer, the tests that are in the source, and two instructions of the loop.
kernels() {
  cat <<'TABLE'
product, convolution: 12 x 2|MicroKernel__Tile<V__.*Size12__.*Size2>|24 0|43|24 fmla, 12 + 1 loads, 4 pointers
product, convolution: 12 x 1|MicroKernel__Tile<V__.*Size12__.*Size1>|12 0|31|12 fmla, 12 + 1 loads, 4 pointers
product, convolution: 8 x 2|MicroKernel__Tile<V__.*Size8__.*Size2>|16 0|30|16 fmla, 8 + 1 loads, 3 pointers
product, convolution: 4 x 2|MicroKernel__Tile<V__.*Size4__.*Size2>|8 0|17|8 fmla, 4 + 1 loads, 2 pointers
dot products|DotProducts__Run<V>|4 0|12|4 fmla, 5 loads, 1 pointer
pixel-lane convolution, narrow|NarrowConvForward__Step<V>|8 0|19|8 fmla, 1 offset, 4 + 1 loads, 3 pointers
pixel-lane convolution|PlanarConvForward__Step<V>|4 0|12|4 fmla, 2 + 2 loads, 2 pointers
its weight gradient|PlanarConvWeightGradient__Row<V>|8 0|20|8 fmla, 9 loads, 1 pointer
depthwise 3x3, three columns|Depthwise3x3_2<.*_LanePerChannel__.*_LanePerChannel>__Walk<V>|27 0|54|27 fmla, 9 loads, 3 stores, 3 copies, 6 pointers, 3 tests, 1 counter; the count has the ways past the tests, too
its weight gradient|Depthwise3x3WeightGradient_1<.*_LanePerChannel>__Run<V>|9 0|23|9 fmla, 4 loads, 2 copies, 4 pointers, 2 for the end of a row
causal convolution|CausalConvForward_1<.*Silu>__Run<V>|1 0|7|1 fmla, 2 loads, 2 pointers
Winograd, inputs|WinogradConv__TransformTiles<V>|7 10|32|17 operations, 4 loads (two are of pairs), 6 stores, 1 copy, 2 pointers
Winograd, results|WinogradConv__InverseTransform<V>|6 6|27|12 operations, 6 loads, 4 stores, 1 copy, 2 pointers
Winograd, gradient of results|WinogradTiles_1<.*GradientTransform>__TransformTile<V>|6 4|23|10 operations, 2 loads, 6 stores, 1 copy, 2 pointers
scan|SelectiveScan__Scan<V>|27 36|107|exp2: 28 + 20 fmla + 20 copies; 13 operations, 4 products; 7 loads, 5 stores, 7 pointers, 1 test
scan, backwards|ScanBackward__WalkBack<V>|14 40|84|54 operations, 15 loads, 4 stores, 7 pointers, 2 tests
softmax|_SoftmaxForward__Run<V>|20 40|99|exp2: 28 + 20 fmla + 20 copies; 16 operations, 2 loads, 4 stores, 3 pointers, 4 tests
row norm, variance|RowNormForward__Run<V>|4 4|15|8 operations, 4 loads, 1 pointer
row norm|RowNormForward__Run<V>|0 16|33|16 operations, 6 loads, 4 stores, 1 pointer, 4 for an absent weight or bias
channel norm, sums|ChannelSums_1<.*Deviations>__Run<V>|4 8|18|12 operations, 2 loads of pairs, 2 pointers
channel norm|ChannelForward_1<.*Identity>__Run<V>|2 2|12|4 operations, 1 load, 1 store, 2 copies, 2 pointers: a pair has no address with an index
channel norm, ReLU|ChannelForward_1<.*_Relu>__Run<V>|2 6|16|the same, and compare and clear twice; RyuJIT makes the zero of each comparison anew
TABLE
}

vector='S_P_CoreLib_System_Runtime_Intrinsics_Vector128_1<Single>'
symbols=$(aarch64-linux-gnu-nm -S "$program" | awk 'NF == 4 && $3 ~ /^[tT]$/ && /Kernels/')
printf '%-30s %5s %5s %6s %6s %6s %6s %6s %6s %6s %6s\n' kernel fmla other load store move spill call scalar total ideal
bad=0
while IFS='|' read -r name symbol work ideal _; do
  pattern=${symbol//<V/<$vector}
  found=$(grep -E "$pattern" <<<"$symbols" | head -1 || true)
  if [ -z "$found" ]; then
    printf '%-30s no such symbol\n' "$name"
    bad=$((bad + 1))
    continue
  fi
  read -r start size _ <<<"$found"
  row=$(aarch64-linux-gnu-objdump -d --no-show-raw-insn --start-address="0x$start" \
      --stop-address="$(printf '0x%x' $((0x$start + 0x$size)))" "$program" |
    awk -v work="$work" -v ideal="$ideal" '
      function kind(op, args) {
        if (op ~ /^fn?m(la|ls|add|sub)$/) return "fmla"
        vec = args ~ /(^|[^a-z0-9])[vqsd][0-9]+/
        if (op ~ /^ld/) return args ~ /\[(sp|x29)/ ? "spill" : "load"
        if (op ~ /^st/) return args ~ /\[(sp|x29)/ ? "spill" : "store"
        if (op ~ /^(bl|blr)$/) return "call"
        if (vec && op ~ /^(mov|dup|ins|umov|fmov|movi)$/) return "move"
        return vec ? "other" : "scalar"
      }
      match($0, /^ *[0-9a-f]+:\t/) {
        line = $0
        sub(/^ */, "", line)
        split(line, part, ":\t")
        split(part[2], word, "\t")
        address[++n] = part[1]
        at[part[1]] = n
        op[n] = word[1]
        args[n] = word[2]
      }
      END {
        # Loops: from the target of a jump backwards to the jump. Innermost ones have no other inside.
        for (i = 1; i <= n; i++)
          if (op[i] ~ /^(b|b\..*|cbn?z|tbn?z)$/ && match(args[i], /[0-9a-f]+ </)) {
            target = substr(args[i], RSTART, RLENGTH - 2)
            if ((target in at) && at[target] <= i) { from[++loops] = at[target]; to[loops] = i }
          }
        split(work, need, " ")
        best = 0
        for (l = 1; l <= loops; l++) {
          inner = 1
          for (o = 1; o <= loops; o++)
            if ((from[o] != from[l] || to[o] != to[l]) && from[o] >= from[l] && to[o] <= to[l]) inner = 0
          if (!inner) continue
          split("", count)
          for (i = from[l]; i <= to[l]; i++) count[kind(op[i], args[i])]++
          total = to[l] - from[l] + 1
          # Of the loops that do this work, the shortest: others handle the ends of rows.
          if (count["fmla"] < need[1] || count["other"] < need[2] || (best && total >= best)) continue
          best = total
          row = sprintf("%5d %5d %6d %6d %6d %6d %6d %6d %6d %6.2f", count["fmla"], count["other"], count["load"], count["store"],
            count["move"], count["spill"], count["call"], count["scalar"], total, total / ideal)
        }
        print row
      }')
  printf '%-30s %s\n' "$name" "${row:-no loop does this work}"
  ratio=${row##* }
  if [ -z "$row" ] || awk -v r="$ratio" 'BEGIN { exit !(r > 1.15) }'; then bad=$((bad + 1)); fi
done < <(kernels)
echo "$bad of $(kernels | wc -l) loops above 1.15 times the ideal"
