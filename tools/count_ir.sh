#!/usr/bin/env bash
# How much code goldref is for the compiler: lines of LLVM IR and copies of functions of each package, in release, before optimisation.
#
#   tools/count_ir.sh              installs cargo-llvm-lines into target/tools if it is missing; two minutes
#   tools/count_ir.sh 30           also the 30 largest functions of each package
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-llvm-lines >/dev/null; then
  export PATH="$PWD/target/tools/bin:$PATH"
  command -v cargo-llvm-lines >/dev/null || cargo install --quiet --locked --root target/tools cargo-llvm-lines
fi

total=0
for package in goldref-kernels goldref-compare goldref-reference goldref-fixtures goldref; do
  features=()
  [ "$package" != goldref-reference ] || features=(--features reference)
  listing=$(cargo llvm-lines --release --lib -p "$package" "${features[@]}" 2>/dev/null)
  read -r lines copies _ <<<"$(grep '(TOTAL)' <<<"$listing")"
  printf '%-17s %9d lines %7d copies\n' "$package" "$lines" "$copies"
  [ $# -eq 0 ] || sed -n "4,$((3 + $1))p" <<<"$listing"
  total=$((total + lines))
done
printf '%-17s %9d lines\n' "all" "$total"
