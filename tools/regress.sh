#!/bin/bash
# PostgreSQL's own regression suite and libpq_pipeline, of 15 and 18, direct and through pgtee.
#
#   tools/regress.sh [--majors 15,18] [--legs tls,unix] [--proxy PROGRAM | --stand-in]
#
# Fetches what is missing (Debian's source packages; tools/install.sh the rest), compiles the one C
# file that the suite needs, and leaves everything under .build/regress; then tools/regress.py runs and
# compares. Nothing of the machine's package lists is changed.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.build/regress
mkdir -p "$cache"

say() { echo "regress: $*" >&2; }

need_packages() {
    local missing=()
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}: the suite's module is compiled against the server's headers"
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# apt's client with source lists of its own, so that the machine's stay as they are.
private_apt() {
    local program=$1
    shift
    "$program" -o Dir::Etc::sourcelist="$cache/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$cache/apt/lists" -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

prepare_apt() {
    [ -e "$cache/apt/ready" ] && return
    mkdir -p "$cache/apt/lists/partial"
    # The mirror that the machine already uses.
    local mirror
    mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
        head -1 | tr -d ' ' || true)
    if [ -z "$mirror" ]; then
        say "no Debian mirror found in /etc/apt: add one, then run this again"
        exit 69
    fi
    local key=/usr/share/keyrings/debian-archive-keyring.gpg
    for suite in bookworm sid; do
        echo "deb-src [signed-by=$key] $mirror $suite main"
    done >"$cache/apt/sources.list"
    private_apt apt-get update -qq
    touch "$cache/apt/ready"
}

# Unpacks the suite and libpq_pipeline of one major into $cache/source-MAJOR.
fetch_source() {
    local major=$1 target=$cache/source-$1 versions
    [ -e "$target/src/test/regress/parallel_schedule" ] && return
    say "fetching the source package postgresql-$major"
    prepare_apt
    versions=$(private_apt apt-cache showsrc "postgresql-$major" | sed -n 's/^Version: //p')
    rm -rf "$cache/download" && mkdir -p "$cache/download" "$target"
    # Newest first: a mirror may list a version whose files are gone.
    for version in $versions; do
        (cd "$cache/download" &&
            private_apt apt-get source -qq --download-only "postgresql-$major=$version") && break
    done
    tar xjf "$cache"/download/postgresql-"$major"_*.orig.tar.bz2 -C "$target" \
        --strip-components=1 --wildcards '*/src/test/regress' '*/src/test/modules/libpq_pipeline'
    rm -rf "$cache/download"
}

# regress.so and libpq_pipeline, each a single C file.
compile() {
    local major=$1 config=$2 source=$cache/source-$1 out=$cache/compiled-$1
    [ -x "$out/libpq_pipeline" ] && return
    mkdir -p "$out"
    gcc -O1 -shared -fPIC -I"$("$config" --includedir-server)" -o "$out/regress.so" \
        "$source/src/test/regress/regress.c"
    for module in refint autoinc; do
        cp "$("$config" --pkglibdir)/$module.so" "$out/" 2>/dev/null || true
    done
    # libpgcommon and libpgport lie beside the server's modules (Debian) or libpq (PyPI).
    gcc -O1 -I"$("$config" --includedir)" -I"$("$config" --includedir-server)" \
        -I"$("$config" --includedir)/internal" -o "$out/libpq_pipeline" \
        "$source/src/test/modules/libpq_pipeline/libpq_pipeline.c" \
        -L"$("$config" --libdir)" -L"$("$config" --pkglibdir)" -L"$("$config" --pkglibdir)/.." \
        -lpq -lpgcommon -lpgport -lm
}

tools/install.sh demo 18 >&2
need_packages postgresql-server-dev-15 libpq-dev gcc openssl dpkg-dev
fetch_source 15
fetch_source 18
compile 15 /usr/lib/postgresql/15/bin/pg_config
compile 18 "$PWD/.build/postgresql/18/bin/pg_config"
exec python3 tools/regress.py --cache "$cache" "$@"
