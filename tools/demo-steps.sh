# What tools/demo.sh makes its steps of: headings, commands that are shown and checked, waiting.

failed=0
passed=0

if [ -t 1 ]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' red='' green='' plain=''
fi

heading() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }

give_up() {
    printf '%sdemo: %s%s\n' "$red" "$1" "$plain" >&2
    exit 1
}

# quietly COMMAND…: shows its output only when it fails.
quietly() {
    local output
    if ! output=$("$@" 2>&1); then
        printf '%s%s failed:%s\n%s\n' "$red" "$*" "$plain" "$output" >&2
        return 1
    fi
}

# The command as one would type it.
typed() {
    local words=() word
    [ "$1" = env ] && shift
    for word in "$@"; do
        case $word in
        *[\ \'\"\$\;\(\)\*]*)
            case $word in
            *\'*) word="\"$word\"" ;;
            *) word="'$word'" ;;
            esac
            ;;
        esac
        words+=("$word")
    done
    echo "${words[*]}"
}

# check STATUS PATTERN COMMAND…: runs it, shows it, and compares status and output.
check() {
    local status=$1 pattern=$2 output
    shift 2
    echo "$ $(typed "$@")"
    output=$("$@" 2>&1 </dev/null)
    judge "$status" "$pattern" $? "$output"
}

# check_pipe STATUS PATTERN TEXT: the same for a line with pipes.
check_pipe() {
    local output
    echo "$ $3"
    output=$(bash -o pipefail -c "$3" 2>&1 </dev/null)
    judge "$1" "$2" $? "$output"
}

judge() {
    local status=$1 pattern=$2 got=$3 output=$4
    [ -n "$output" ] && echo "$output"
    if [ "$got" = "$status" ] && grep -qE -- "$pattern" <<<"$output"; then
        passed=$((passed + 1))
        printf '%sas expected%s\n' "$green" "$plain"
    else
        failed=$((failed + 1))
        printf '%sNOT as expected: status %s (not %s), or no match for "%s"%s\n' \
            "$red" "$got" "$status" "$pattern" "$plain"
    fi
}

# wait_for SECONDS COMPLAINT COMMAND…: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1)) complaint=$2
    shift 2
    until "$@" 2>/dev/null; do
        if [ $SECONDS -ge $end ]; then
            [ -n "$complaint" ] && printf '%s%s%s\n' "$red" "$complaint" "$plain" >&2
            return 1
        fi
        sleep 0.1
    done
}

not() { ! "$@"; }

is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first port from the one given on at which nobody listens.
free_port() {
    local port=$1
    while is_listening "$port"; do port=$((port + 10)); done
    echo "$port"
}

# http_ok PORT PATH, in a subshell: its descriptor must not stay.
http_ok() (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
    read -r -t 5 answer <&3
    case $answer in *' 200 '*) ;; *) exit 1 ;; esac
)

build_pgtee() {
    heading "Building pgtee (the first time takes a few minutes)"
    swift build --product pgtee || give_up "the build failed"
}

conclude() {
    heading "$passed steps as expected, $failed not"
}
