#!/usr/bin/env bash
# Installs what a bare Debian 12 lacks, and nothing that is there. Quick when all of it is.
#
#   scripts/setup.sh         to build and run
#   scripts/setup.sh tests   to check and test as well
#   scripts/setup.sh bench   to build and measure
set -euo pipefail
cd "$(dirname "$0")/.."

purpose="${1:-build}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/whitewater"
export PATH="$HOME/.cargo/bin:$cache/node/node_modules/node/bin:$PATH"

say() { echo "setup: $*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Fills `missing` with those of its arguments that are not installed; fails where none is missing.
find_missing() {
    local package
    missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ]
}

# Packages of the distribution, all at once and only those that are missing.
install_packages() {
    local missing
    find_missing "$@" || return 0
    say "installing ${missing[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Servers that tests and measurements start by themselves, and that must not run otherwise.
install_servers() {
    local missing
    find_missing "$@" || return 0
    install_packages "${missing[@]}"
    [ ! -d /run/systemd/system ] || as_root systemctl disable --now --quiet "${missing[@]}"
}

# Vite 8 wants Node 20.19, or 22.12 and later.
node_is_new_enough() {
    command -v node >/dev/null || return 1
    node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22 ? 0 : 1);
    '
}

install_node() {
    if ! node_is_new_enough || ! command -v npm >/dev/null; then
        command -v npm >/dev/null || install_packages nodejs npm
        if ! node_is_new_enough; then
            say "Node is too old for the pages: adding a newer one to $cache/node"
            mkdir -p "$cache/node"
            npm install --prefix "$cache/node" --no-audit --no-fund --no-save node@22
        fi
        node_is_new_enough || { say "no usable Node: $(node --version 2>&1)" >&2; exit 1; }
    fi
}

install_rust() {
    if ! command -v rustup >/dev/null; then
        say "installing Rust with its installer"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --no-modify-path --profile minimal --default-toolchain none
    fi
    # The version and the components come from rust-toolchain.toml.
    if ! cargo --version >/dev/null 2>&1; then
        say "installing the toolchain of rust-toolchain.toml"
        rustup toolchain install
    fi
}

install_cargo_deny() {
    command -v cargo-deny >/dev/null && return
    say "installing cargo-deny, which takes minutes once"
    cargo install cargo-deny --locked
}

# Debian's FFmpeg has no WHIP muxer; a Python package carries a newer one.
install_ffmpeg() {
    local folder="$cache/ffmpeg" version=0.8.1
    [ "$(cat "$folder/version" 2>/dev/null)" != "$version" ] || return 0
    say "adding FFmpeg 9 to $folder"
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "imageio-ffmpeg==$version"
    ln -sf "$("$folder/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" \
        "$folder/ffmpeg"
    echo "$version" >"$folder/version"
}

# A program from PyPI in a folder of its own: schemathesis tries the API against its own description,
# check-jsonschema carries the schema of Compose files, moto speaks S3.
install_python_program() {
    local program="$1" version="$2" extra="${3:-}" folder="$cache/$1"
    [ "$(cat "$folder/version" 2>/dev/null)" != "$version" ] || return 0
    say "adding $program to $folder"
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$program$extra==$version"
    echo "$version" >"$folder/version"
}

packages=(build-essential ca-certificates cmake curl pkg-config)
# GStreamer: its libraries to build with, its plugins to transcode with. They stay the system's own.
packages+=(libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev)
packages+=(gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)
packages+=(gstreamer1.0-plugins-ugly gstreamer1.0-libav)
if [ "$purpose" = tests ]; then
    # valgrind reads the symbols of libc6-dbg; it only recommends them.
    packages+=(chromium ffmpeg firefox-esr fonts-dejavu-core git iproute2 libc6-dbg nftables openssl procps)
    packages+=(python3-venv python3-yaml systemd valgrind)
fi
if [ "$purpose" = bench ]; then
    packages+=(chromium fonts-dejavu-core gstreamer1.0-tools nghttp2-client wrk)
fi

install_packages "${packages[@]}"
[ "$purpose" = build ] || install_servers varnish
[ "$purpose" != bench ] || install_servers nginx
[ "$purpose" != tests ] || install_servers prometheus
install_rust
install_node
if [ "$purpose" = tests ]; then
    install_cargo_deny
    install_ffmpeg
    install_python_program schemathesis 4.32.5
    install_python_program check-jsonschema 0.39.0
    install_python_program moto 5.2.5 '[server]'
fi
