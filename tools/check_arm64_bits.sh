#!/usr/bin/env bash
# Are the bits of 64-bit Arm those of fixtures/bits.txt? Cross-builds goldref and runs `goldref check --bits` under qemu.
#
#   tools/check_arm64_bits.sh              builds, runs, compares; exit code 0 the same bits, 1 other bits, 2 could not ask
#   tools/check_arm64_bits.sh --install    first installs what is missing, as root on Debian or Ubuntu
#   GOLDREF_ARM_RUST=debian …              Rust for Arm from Debian's packages and not from rustup
#
# Needed: gcc and libc for Arm (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross), qemu-user, and Rust's standard library
# for Arm: `rustup target add aarch64-unknown-linux-gnu`, or rustc-web and libstd-rust-web-dev:arm64 of Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
sysroot=/usr/aarch64-linux-gnu
frozen=fixtures/bits.txt
debian_rustc=/usr/bin/rustc

fail() { echo "check_arm64_bits: $*" >&2; exit 2; }

case "${1:-}" in
  "" | --install) ;;
  *) fail "unknown argument \"$1\"; the only one is --install" ;;
esac

# Whether a rustc has the standard library for Arm and is new enough for Cargo.toml.
serves() {
  local libraries wanted version
  libraries=$("$1" --print target-libdir --target "$target" 2>/dev/null) || return 1
  compgen -G "$libraries/libstd-*.rlib" >/dev/null || return 1
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  version=$("$1" --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$wanted" "$version" | sort -V | head -n1)" = "$wanted" ]
}

find_rustc() {
  if [ "${GOLDREF_ARM_RUST:-}" != debian ] && serves rustc; then
    echo rustc
  elif serves "$debian_rustc"; then
    echo "$debian_rustc"
  fi
}

install() {
  local packages=()
  command -v aarch64-linux-gnu-gcc >/dev/null || packages+=(gcc-aarch64-linux-gnu)
  [ -e "$sysroot/lib/libc.so.6" ] && [ -e "$sysroot/include/stdio.h" ] || packages+=(libc6-dev-arm64-cross)
  command -v qemu-aarch64 >/dev/null || packages+=(qemu-user)
  if [ -z "$(find_rustc)" ] && [ "${GOLDREF_ARM_RUST:-}" != debian ] && command -v rustup >/dev/null; then
    rustup target add "$target" || echo "check_arm64_bits: rustup cannot; trying Debian's packages" >&2
  fi
  if [ -z "$(find_rustc)" ]; then
    dpkg --add-architecture arm64
    packages+=(rustc-web libstd-rust-web-dev:arm64)
  fi
  if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -q
    # Without what is recommended: qemu-user-binfmt would change how the whole system starts programs.
    apt-get install -qy --no-install-recommends "${packages[@]}"
  fi
}

if [ "${1:-}" = --install ]; then
  install
fi

again="run it with --install, as root"
command -v cargo >/dev/null || fail "cargo is missing; install Rust"
command -v aarch64-linux-gnu-gcc >/dev/null || fail "gcc-aarch64-linux-gnu is missing; $again"
[ -e "$sysroot/lib/libc.so.6" ] && [ -e "$sysroot/include/stdio.h" ] || fail "libc6-dev-arm64-cross is missing; $again"
command -v qemu-aarch64 >/dev/null || fail "qemu-user is missing; $again"
rustc=$(find_rustc)
[ -n "$rustc" ] || fail "no rustc that is new enough has the standard library for $target; $again"

echo "$("$rustc" --version); $(aarch64-linux-gnu-gcc --version | head -n1); $(qemu-aarch64 --version | head -n1)"
export RUSTC="$rustc"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
SECONDS=0
cargo build --locked --release --target "$target"
echo "built in $SECONDS s"

# Where the system has an Arm libc of its own (Debian's libstd-rust-web-dev:arm64 brings one), the loader of $sysroot would
# take that, of another version, and hang at the first thread; so the libraries are named.
arm() {
  timeout 900 qemu-aarch64 -L "$sysroot" -E LD_LIBRARY_PATH="$sysroot/lib" \
    "${CARGO_TARGET_DIR:-target}/$target/release/goldref" check --bits
}

actual=$(mktemp)
trap 'rm -f "$actual"' EXIT
for level in neon definition; do
  SECONDS=0
  GOLDREF_ISA=$level arm >"$actual" || fail "goldref does not run under qemu at level $level"
  echo "level $level ran in $SECONDS s"
  if ! diff -u --label "$frozen" --label "Arm, level $level" "$frozen" "$actual"; then
    echo "check_arm64_bits: other bits on Arm at level $level; the cases: --bits --format json here and there, and diff" >&2
    exit 1
  fi
done
echo "the bits of 64-bit Arm are those of $frozen: $(wc -l <"$frozen") hashes"
