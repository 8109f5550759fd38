#!/usr/bin/env bash
# Does the release build run on an x86-64 of 2012 and 2013, and are its bits those of fixtures/bits.txt? Runs `goldref check --bits` under qemu.
#
#   tools/check_old_x86_bits.sh              an Ivy Bridge, without AVX2 and fused multiply-add: a minute
#   tools/check_old_x86_bits.sh --all        and a Haswell, with both: three minutes more
#   tools/check_old_x86_bits.sh --install    first installs qemu-user if it is missing, as root on Debian or Ubuntu
#
# Exit code 0 the same bits, 1 other bits, 2 could not ask.
set -euo pipefail
cd "$(dirname "$0")/.."

frozen=fixtures/bits.txt
processors=(IvyBridge)

fail() { echo "check_old_x86_bits: $*" >&2; exit 2; }

for argument in "$@"; do
  case "$argument" in
    --all) processors+=(Haswell) ;;
    --install)
      if ! command -v qemu-x86_64 >/dev/null; then
        apt-get update -q
        # Without what is recommended: qemu-user-binfmt would change how the whole system starts programs.
        apt-get install -qy --no-install-recommends qemu-user
      fi
      ;;
    *) fail "unknown argument \"$argument\"; there are --all and --install" ;;
  esac
done

[ "$(uname -m)" = x86_64 ] || fail "this machine is no x86-64"
command -v cargo >/dev/null || fail "cargo is missing; install Rust"
command -v qemu-x86_64 >/dev/null || fail "qemu-user is missing; run it with --install, as root"

cargo build --locked --release
actual=$(mktemp)
trap 'rm -f "$actual"' EXIT
for processor in "${processors[@]}"; do
  SECONDS=0
  # What qemu says is about instructions of the operating system that it does not emulate.
  timeout 900 qemu-x86_64 -cpu "$processor" "${CARGO_TARGET_DIR:-target}/release/goldref" check --bits >"$actual" 2>/dev/null ||
    fail "goldref does not run on an emulated $processor"
  if ! diff -u --label "$frozen" --label "$processor" "$frozen" "$actual"; then
    echo "check_old_x86_bits: other bits on an emulated $processor" >&2
    exit 1
  fi
  echo "$processor: the bits are those of $frozen, $(wc -l <"$actual") hashes, in $SECONDS s"
done
