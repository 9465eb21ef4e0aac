#!/usr/bin/env bash
# Rebuilds tools.wasm.xz bit for bit. Everything is unpacked below WORKDIR; nothing is installed.
# Needs a Debian 12 (amd64) with apt-get, dpkg, python3-venv and xz; the toolchain is pinned by version and sha256.
# usage: build.sh WORKDIR [--write]     --write replaces the checked-in artefact, else the two are compared
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
write=${2:-}
rust='1.96.0+dfsg1-1~deb12u2'
llvm='1:22.1.8-1~deb12u1'

# 1. The toolchain: Debian's rustc for the web with the sources of its library, and zig for libc and C.
if [ ! -e "$work/toolchain" ]; then
    mkdir -p "$work/debs" "$work/root"
    (
        cd "$work/debs"
        apt-get download -q "rustc-web=$rust" "libstd-rust-web-dev=$rust" "libstd-rust-web-1.96=$rust" \
            "rust-web-src=$rust" "cargo-web=$rust" "libllvm22=$llvm" "lld-22=$llvm" \
            libz3-4 libgit2-1.5 libhttp-parser2.9 libmbedcrypto7 libmbedtls14 libmbedx509-1 libssh2-1
        sha256sum --quiet -c "$here/toolchain.sha256"
    )
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q --require-hashes --only-binary :all: -r "$here/toolchain.txt"
    touch "$work/toolchain"
fi
zig=$(echo "$work"/venv/lib/python3*/site-packages/ziglang/zig)
export ZIG_GLOBAL_CACHE_DIR="$work/zig" ZIG_LOCAL_CACHE_DIR="$work/zig"

# 2. wasi-libc, built by zig on first use, where rustc looks for it.
libc="$work/root/usr/lib/rustlib/wasm32-wasip1/lib/self-contained"
if [ ! -e "$libc/libc.a" ]; then
    mkdir -p "$libc"
    echo 'int main(void) { return 0; }' > "$work/empty.c"
    "$zig" cc -target wasm32-wasi -O2 "$work/empty.c" -o "$work/empty.wasm"
    (
        cd "$work"
        {
            echo 'create libc.a'
            # The order decides between equal names; zig's own folders are named by where it works.
            for part in libc.a libzigc.a libcompiler_rt.a; do
                find zig/o -name "$part" | LC_ALL=C sort | head -n 1 | sed 's/^/addlib /'
            done
            printf 'save\nend\n'
        } | "$zig" ar -M
    )
    cp "$(find "$work/zig/o" -name crt1-command.o | LC_ALL=C sort | head -n 1)" "$libc/crt1-command.o"
    mv "$work/libc.a" "$libc/libc.a"
fi

# 3. The C compiler for build scripts. zig does not know how they spell the target.
cat > "$work/cc" <<EOF
#!/usr/bin/env bash
args=()
for arg in "\$@"; do case "\$arg" in --target=*) ;; *) args+=("\$arg") ;; esac; done
exec "$zig" cc -target wasm32-wasi -fno-sanitize=all "\${args[@]}"
EOF
printf '#!/usr/bin/env bash\nexec "%s" ar "$@"\n' "$zig" > "$work/ar"
chmod +x "$work/cc" "$work/ar"

# 4. The module. Paths of this machine would end in panic messages: they are mapped away.
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu:$work/root/usr/lib/llvm-22/lib"
export RUSTC="$work/root/usr/bin/rustc" RUSTC_BOOTSTRAP=1 SOURCE_DATE_EPOCH=0
# uucore takes the texts of every uutils crate that lies beside it: only those of this build may.
export CARGO_HOME="$work/cargo"
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR RUSTC_WRAPPER
export CC_wasm32_wasip1="$work/cc" AR_wasm32_wasip1="$work/ar"
export CARGO_TARGET_WASM32_WASIP1_LINKER="$work/root/usr/lib/llvm-22/bin/wasm-ld"
rm -rf "$work/guest"
mkdir "$work/guest"
(cd "$here/guest" && find . -path ./target -prune -o -type f -print0 | xargs -0 cp --parents -t "$work/guest")
cp "$here/applets.txt" "$work/applets.txt"
cd "$work/guest"
cargo="$work/root/usr/bin/cargo"
"$cargo" fetch --locked
# The library's own crates too: the build itself is offline.
"$cargo" fetch --locked --manifest-path "$work/root/usr/lib/rustlib/src/rust/library/Cargo.toml"
crates=$("$cargo" metadata --locked --offline --format-version 1 |
    python3 -c 'import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(os.path.dirname(p["manifest_path"])) for p in packages if p["name"] == "uucore"))')
# Crates with a fault of their own are built from corrected copies.
corrected=()
for fix in "$here"/patches/*.patch; do
    crate=$(basename "$fix" .patch)
    cp -r "$crates/$crate" "$work/guest/$crate"
    patch -s -d "$work/guest/$crate" -p1 < "$fix"
    corrected+=(--config "patch.crates-io.${crate%-*}.path='$work/guest/$crate'")
done
export CFLAGS_wasm32_wasip1="-ffile-prefix-map=$crates=/crates"
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="--remap-path-prefix=$crates=/crates \
--remap-path-prefix=$work/root/usr/lib/rustlib/src/rust=/rust --remap-path-prefix=$work/guest=/guest"
"$cargo" build --offline "${corrected[@]}" --release --bin tools -Z build-std=std,panic_abort --target wasm32-wasip1 \
    --target-dir "$work/target"

# 5. What is checked in: the module compressed, and the digest of the module itself.
cp "$work/target/wasm32-wasip1/release/tools.wasm" "$work/tools.wasm"
digest=$(sha256sum < "$work/tools.wasm" | cut -d' ' -f1)
echo "tools.wasm $(stat -c %s "$work/tools.wasm") bytes, sha256 $digest"
if [ "$write" = --write ]; then
    xz -9e -T1 -c "$work/tools.wasm" > "$here/tools.wasm.xz"
    echo "$digest" > "$here/tools.wasm.sha256"
    # The corrected copies are not in the list of what is used.
    cp "$here/guest/Cargo.lock" "$work/guest/Cargo.lock"
    python3 "$here/third-party.py" "$work/guest" "$cargo" > "$here/THIRD-PARTY"
elif [ "$digest" != "$(cat "$here/tools.wasm.sha256")" ]; then
    echo "the checked-in module is another: $(cat "$here/tools.wasm.sha256")" >&2
    exit 1
fi
