#!/bin/bash
# make demo: two real clusters behind one pgtee, step by step. Every step prints its command and
# what the command said, and checks it. ONCE=1: end after the steps, with status 1 if one failed.
#
# Everything is made below .demo: the CAs, the clusters `acme` (TLS) and `globex` (unix socket),
# pgtee's documents, the logs. It is made anew each time and ended together.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
demo=$root/.demo
source tools/demo-steps.sh

binaries=/usr/lib/postgresql/15/bin
[ -x "$binaries/initdb" ] || give_up "PostgreSQL 15 is missing: run tools/install.sh demo"

# PostgreSQL refuses to run as root.
server_user=$(id -un)
as_server=()
if [ "$(id -u)" = 0 ]; then
    server_user=postgres
    as_server=(setpriv --reuid postgres --regid postgres --init-groups --)
fi

# Nothing of this shell's surroundings changes what psql does.
for name in $(compgen -e | grep '^PG' | grep -v '^PGTEE_'); do unset "$name"; done
export PGPASSFILE=/nonexistent PSQLRC=/dev/null PGCONNECT_TIMEOUT=15 PAGER=cat

pgtee_pid=
sockets=
clusters=$demo/clusters

stop_everything() {
    trap '' INT TERM
    if [ -n "$pgtee_pid" ]; then
        kill "$pgtee_pid" 2>/dev/null
        # A second SIGTERM ends a drain.
        wait_for 5 "" not kill -0 "$pgtee_pid" || kill "$pgtee_pid" 2>/dev/null
        wait_for 5 "" not kill -0 "$pgtee_pid" || kill -KILL "$pgtee_pid" 2>/dev/null
        wait "$pgtee_pid" 2>/dev/null
    fi
    for name in acme globex; do stop_cluster "$clusters/$name"; done
    [ -n "$sockets" ] && rm -rf "$sockets"
    case $clusters in "$demo"/*) ;; *) rm -rf "$clusters" ;; esac
}

stop_cluster() {
    [ -e "$1/postmaster.pid" ] || return 0
    "${as_server[@]}" "$binaries/pg_ctl" -D "$1" -m fast -w stop >/dev/null 2>&1
}

begin() {
    if [ -e "$demo" ]; then
        [ -e "$demo/made-by-make-demo" ] || give_up "$demo is not the demo's: move it away"
        # Clusters of a demo that was killed.
        local before
        before=$(cat "$demo/made-by-make-demo")
        for name in acme globex; do stop_cluster "$before/$name"; done
        rm -rf "$demo"
    fi
    mkdir -p "$demo/tenants" "$demo/run"
    chmod 755 "$demo"
    # Socket paths must be short, whatever the checkout is called.
    sockets=$(mktemp -d /tmp/pgtee-demo.XXXXXX)
    chmod 711 "$sockets"
    if ! "${as_server[@]}" test -x "$demo"; then
        # Root's home is closed to PostgreSQL's user.
        clusters=$sockets/clusters
    fi
    mkdir -p "$clusters"
    echo "$clusters" >"$demo/made-by-make-demo"
    trap stop_everything EXIT
    trap 'echo; exit 130' INT TERM
}

make_certificates() {
    heading "Certificates: a CA for pgtee, another for acme's cluster"
    make_ca "$demo/ca" "pgtee demo CA"
    make_ca "$demo/acme-ca" "acme's own CA"
    issue "$demo/ca" "$demo/proxy" pgtee.localhost \
        "DNS:localhost,DNS:*.db.localhost,IP:127.0.0.1"
    issue "$demo/acme-ca" "$demo/acme" db.acme "DNS:db.acme"
    echo "$demo/ca.crt signs proxy.crt; $demo/acme-ca.crt signs acme.crt"
}

make_ca() {
    quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj "/CN=$2" -addext 'basicConstraints=critical,CA:TRUE' \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$1.key" -out "$1.crt" ||
        give_up "no CA"
}

issue() {
    local ca=$1 file=$2 name=$3 names=$4
    quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$file.key" -out "$file.csr"
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' \
        "$names" >"$file.ext"
    quietly openssl x509 -req -in "$file.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial \
        -days 30 -extfile "$file.ext" -out "$file.crt" || give_up "no certificate"
    rm "$file.csr" "$file.ext"
    chmod 600 "$file.key"
}

# cluster NAME PORT LISTEN: initdb, settings, start.
make_cluster() {
    local name=$1 port=$2 listen=$3 data=$clusters/$1
    mkdir -p "$data" "$sockets/$name"
    chmod 700 "$data" "$sockets/$name"
    [ ${#as_server[@]} = 0 ] || chown "$server_user" "$data" "$sockets/$name"
    quietly "${as_server[@]}" "$binaries/initdb" -D "$data" -U postgres -A peer \
        --auth-host=scram-sha-256 --locale=C --encoding=UTF8 --no-sync || give_up "no cluster"
    cat >>"$data/postgresql.conf" <<END
listen_addresses = '$listen'
port = $port
unix_socket_directories = '$sockets/$name'
log_connections = on
cluster_name = '$name'
fsync = off
END
    # The administrator comes over the socket, known by the kernel; everybody else has a password.
    cat >"$data/pg_hba.conf" <<END
local   all postgres peer map=demo
local   all all      scram-sha-256
hostssl all all      127.0.0.1/32 scram-sha-256
END
    printf 'demo %s postgres\ndemo %s postgres\n' "$server_user" "$(id -un)" \
        >"$data/pg_ident.conf"
    if [ "$name" = acme ]; then
        install -m 600 "$demo/acme.crt" "$data/server.crt"
        install -m 600 "$demo/acme.key" "$data/server.key"
        [ ${#as_server[@]} = 0 ] || chown "$server_user" "$data"/server.*
        echo "ssl = on" >>"$data/postgresql.conf"
    fi
    quietly "${as_server[@]}" "$binaries/pg_ctl" -D "$data" -l "$data/log" -w start ||
        give_up "the cluster $name does not start:
$(cat "$data/log")"
}

admin() {
    local name=$1
    shift
    psql -XqAt -v ON_ERROR_STOP=1 \
        "host=$sockets/$name port=$(port_of "$name") user=postgres dbname=postgres" "$@"
}

port_of() { if [ "$1" = acme ]; then echo "$acme_port"; else echo "$globex_port"; fi; }

make_clusters() {
    heading "Clusters: acme on 127.0.0.1:$acme_port over TLS, globex on a unix socket only"
    make_cluster acme "$acme_port" 127.0.0.1
    make_cluster globex "$globex_port" ''
    for name in acme globex; do
        quietly admin "$name" -f - <<END
CREATE ROLE remi LOGIN PASSWORD '$name-secret';
CREATE DATABASE shop OWNER remi;
\c shop
CREATE TABLE orders (id int PRIMARY KEY, what text);
INSERT INTO orders VALUES (1, 'the first order of $name'), (2, 'the second order of $name');
GRANT SELECT ON orders TO remi;
END
        echo "$name: database shop, role remi with password $name-secret"
    done
}

write_documents() {
    heading "pgtee's documents: one for the service, one for each tenant"
    cat >"$demo/pgtee.yaml" <<END
listen: [127.0.0.1:$port]
tls: {mode: require, certificate: proxy.crt, key: proxy.key}
tenants: tenants/
routing: {domains: [db.localhost]}
admin: {listen: 127.0.0.1:$admin_port}
runtime_directory: run
END
    cat >"$demo/tenants/acme.yaml" <<END
tenant: acme
backends:
  - {name: main, host: 127.0.0.1, port: $acme_port,
     tls: {mode: verify-full, ca: ../acme-ca.crt, name: db.acme}}
authentication: {mode: scram, lookup: {user: pgtee_lookup, password_file: ../lookup.password}}
END
    cat >"$demo/tenants/globex.yaml" <<END
tenant: globex
backends:
  - {name: main, socket: $sockets/globex, port: $globex_port}
authentication: {mode: scram, lookup: {user: pgtee_lookup, password_file: ../lookup.password}}
END
    (umask 077 && openssl rand -hex 16 >"$demo/lookup.password")
    for file in pgtee.yaml tenants/acme.yaml tenants/globex.yaml; do
        echo "--- .demo/$file"
        cat "$demo/$file"
    done
    check 0 '' "$pgtee" check --config .demo/pgtee.yaml
}

# pgtee never knows a password: it reads verifiers through a function made for that.
make_lookup() {
    heading "The role that may look up verifiers, and nothing else"
    local name words
    check 0 'SECURITY DEFINER' "$pgtee" tenant sql acme --config .demo/pgtee.yaml
    for name in acme globex; do
        words="psql -X 'host=$sockets/$name port=$(port_of "$name") user=postgres dbname=postgres'"
        check_pipe 0 'COMMIT' "$pgtee tenant sql $name --config .demo/pgtee.yaml | $words"
        quietly admin "$name" -c \
            "ALTER ROLE pgtee_lookup PASSWORD '$(cat "$demo/lookup.password")'" ||
            failed=$((failed + 1))
        echo "and the role's password is what .demo/lookup.password holds"
    done
}

start_pgtee() {
    heading "pgtee serve"
    echo "$ pgtee serve --config .demo/pgtee.yaml"
    "$pgtee" serve --config "$demo/pgtee.yaml" >"$demo/pgtee.log" 2>&1 &
    pgtee_pid=$!
    wait_for 20 "pgtee is not ready" is_ready || give_up "$(cat "$demo/pgtee.log")"
    echo "ready: 127.0.0.1:$port, status on http://127.0.0.1:$admin_port"
}

is_ready() {
    if ! kill -0 "$pgtee_pid"; then
        echo "pgtee ended by itself:"
        cat "$demo/pgtee.log"
        exit 1
    fi
    http_ok "$admin_port" /readyz
}

# connection HOST USER [MORE]: the words after psql.
connection() {
    local host=$1 user=$2 more=${3:-}
    echo "host=$host hostaddr=127.0.0.1 port=$port user=$user dbname=shop" \
        "sslmode=verify-full sslrootcert=.demo/ca.crt${more:+ $more}"
}

show_routes() {
    local sql='SELECT what FROM orders ORDER BY id LIMIT 1'
    heading "The tenant by the user name's suffix"
    check 0 'first order of acme' env PGPASSWORD=acme-secret \
        psql "$(connection localhost remi@acme)" -c "$sql"
    check 0 'first order of globex' env PGPASSWORD=globex-secret \
        psql "$(connection localhost remi@globex)" -c "$sql"
    heading "The tenant by the TLS server name (SNI)"
    check 0 'first order of acme' env PGPASSWORD=acme-secret \
        psql "$(connection acme.db.localhost remi)" -c "$sql"
    check 0 'first order of globex' env PGPASSWORD=globex-secret \
        psql "$(connection globex.db.localhost remi)" -c "$sql"
    heading "The tenant by the startup parameter options"
    check 0 'first order of globex' env PGPASSWORD=globex-secret \
        psql "$(connection localhost remi "options='-c pgtee.tenant=globex'")" -c "$sql"
    check 0 'remi' env PGPASSWORD=acme-secret \
        psql "$(connection localhost remi@acme)" -Atc 'SELECT current_user'
}

show_refusals() {
    local sql='SELECT 1'
    heading "Refused: a tenant that does not exist"
    check 2 'FATAL:  tenant "initech" does not exist' env PGPASSWORD=guess \
        psql "$(connection localhost remi@initech)" -c "$sql"
    heading "Refused: a login that names two tenants"
    check 2 'FATAL:  this login names more than one tenant' env PGPASSWORD=acme-secret \
        psql "$(connection acme.db.localhost remi@globex)" -c "$sql"
    heading "Refused: one tenant's password at another tenant's door"
    check 2 'password authentication failed' env PGPASSWORD=acme-secret \
        psql "$(connection localhost remi@globex)" -c "$sql"
}

is_sleeping() {
    [ "$(admin acme -c "SELECT count(*) FROM pg_stat_activity
        WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")" = 1 ]
}

show_cancel() {
    heading "A cancelled query: Ctrl-C in psql finds its query through pgtee"
    local output=$demo/cancelled status
    local words=(psql "$(connection localhost remi@acme)" -c 'SELECT pg_sleep(60)')
    echo "$ PGPASSWORD=acme-secret $(typed "${words[@]}") &"
    PGPASSWORD=acme-secret "${words[@]}" >"$output" 2>&1 &
    local client=$!
    wait_for 10 "the query did not start" is_sleeping
    echo "$ kill -INT $client"
    kill -INT "$client"
    wait_for 10 "psql did not end" not kill -0 "$client" || kill "$client"
    wait "$client"
    status=$?
    judge 1 'canceling statement due to user request' "$status" "$(cat "$output")"
    wait_for 10 "the query is still there" not is_sleeping || failed=$((failed + 1))
}

# certificate PORT NAME CA: the line that shows the certificate there and verifies it.
certificate() {
    echo "openssl s_client -starttls postgres -connect 127.0.0.1:$1 -servername $2 -CAfile $3" \
        "-verify_hostname $2 -verify_return_error 2>/dev/null" \
        "| openssl x509 -noout -subject -issuer -ext subjectAltName"
}

show_certificates() {
    heading "The certificate of the client leg: pgtee's"
    check_pipe 0 'CN = pgtee.localhost' \
        "$(certificate "$port" acme.db.localhost .demo/ca.crt)"
    heading "The certificate of the server leg: acme's cluster's own, verified by pgtee"
    check_pipe 0 'CN = db.acme' "$(certificate "$acme_port" db.acme .demo/acme-ca.crt)"
    check 0 't\|TLSv1.3' env PGPASSWORD=acme-secret psql "$(connection localhost remi@acme)" \
        -Atc "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    heading "globex's server leg is a unix socket: no address, no TLS"
    check 0 't\|f' env PGPASSWORD=globex-secret psql "$(connection localhost remi@globex)" -Atc \
        "SELECT inet_client_addr() IS NULL, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
}

print_what_to_try() {
    heading "Try it, in another terminal in $root"
    cat <<END
PGPASSWORD=acme-secret psql "$(connection localhost remi@acme)"
PGPASSWORD=globex-secret psql "$(connection globex.db.localhost remi)"
PGPASSWORD=globex-secret psql "$(connection localhost remi "options='-c pgtee.tenant=globex'")"
$pgtee status --admin 127.0.0.1:$admin_port
tail -f .demo/pgtee.log
END
}

[ -x "${PGTEE_BINARY:-}" ] || build_pgtee
pgtee=${PGTEE_BINARY:-.build/debug/pgtee}
port=$(free_port 6432)
admin_port=$(free_port 9432)
acme_port=$(free_port 5433)
globex_port=$((acme_port + 1))
begin
make_certificates
make_clusters
write_documents
make_lookup
start_pgtee
show_routes
show_refusals
show_cancel
show_certificates
conclude
if [ -n "${ONCE:-}" ]; then exit $((failed > 0)); fi
print_what_to_try
echo
echo "Ctrl-C ends pgtee and both clusters."
while kill -0 "$pgtee_pid" 2>/dev/null; do sleep 1; done
give_up "pgtee ended by itself: see .demo/pgtee.log"
