# bench.sh: what the benches share. Source me after `set -eu`.
#
#   bench_begin NAME [SETTING..]   builds, starts a server that keeps its
#                                  promises to the disk, makes database "bench"
#   bench_compile NAME [LIB..]     NAME.c of this folder to $T/NAME
#   bench_vendor DELAY_MS          starts a vendor; $vendor_port is its port, its
#                                  counters are $T/vendor.DELAY_MS
#   bench_connect                  an account at $vendor_port, with limits out of
#                                  the way
#   bench_hold                     no outward work from now on
#   bench_empty                    no visits, no jobs
#   bench_tps SCRIPT SECONDS CLIENTS OPTIONS   TPS of one pgbench run
#   bench_median NUMBER..          the middle one
#   bench_ratio A B                A / B, two digits
#   bench_row WHAT VALUE TARGET    a row of the report; TARGET as ">= 0.9"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/private_server.sh"
bench_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

bench_begin()
{
	local name=$1

	shift
	"$bench_folder/../setup" check >/dev/null
	export TMPDIR=${TMPDIR:-/tmp}
	th_begin
	th_build bench
	th_server bench
	th_start bench "fsync = on" "synchronous_commit = on" "shared_buffers = 512MB" \
		"max_wal_size = 8GB" "max_connections = 200" "checkpoint_timeout = 30min" \
		"autovacuum_naptime = 5s" "telehealth.allowed_hosts = '127.0.0.1'" \
		"telehealth.max_connections = 256" "telehealth.max_connections_per_host = 100" "$@"
	th_psql postgres -c "CREATE DATABASE bench"
	th_psql bench -c "SET client_min_messages = warning; CREATE EXTENSION telehealth CASCADE"
	printf '# %s: %s, %s cores, load %s\n' "$name" "$(postgres --version)" "$(nproc)" \
		"$(cut -d ' ' -f 1 /proc/loadavg)"
}

bench_compile()
{
	local name=$1

	shift
	cc -O2 -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -I"$(pg_config --includedir)" \
		-o "$T/$name" "$bench_folder/$name.c" "$@" || th_fail "no $name"
}

bench_vendor()
{
	local round

	[ -e "$T/vendor.$1" ] || th_background "$T/vendor" "$1" "$T/vendor.$1"
	for round in $(seq 100); do
		if [ -s "$T/vendor.$1" ]; then
			vendor_port=$(od -An -td8 -j16 -N8 "$T/vendor.$1" | tr -d ' ')
			[ "$vendor_port" -eq 0 ] || return 0
		fi
		sleep 0.05
	done
	th_fail "the vendor did not start"
}

bench_connect()
{
	th_psql bench -c "INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES
		('zoom', 'light_per_second', 1000000), ('zoom', 'medium_per_second', 1000000),
		('zoom', 'concurrent_requests', 100), ('zoom', 'host_writes_per_day', 1000000000)
		ON CONFLICT DO NOTHING" -c "SET client_min_messages = error;
		SELECT telehealth.connect_platform('zoom',
			'{\"account_id\": \"a\", \"client_id\": \"c\", \"client_secret\": \"s\"}',
			'{\"api_url\": \"http://127.0.0.1:$vendor_port/v2\", \"token_url\": \"http://127.0.0.1:$vendor_port/oauth/token\",
				\"default_user\": \"host@clinic.example\"}')" >/dev/null
}

# Work is held, so that only the enqueueing is measured.
bench_hold()
{
	th_psql postgres -c "ALTER DATABASE bench SET telehealth.outbound = off"
	th_psql bench -c "SELECT 1" >/dev/null
}

# The dispatcher may be at it and win a deadlock.
bench_empty()
{
	local round

	for round in 1 2 3 4 5; do
		th_psql bench -c "SET client_min_messages = warning" -c "TRUNCATE telehealth_private.job,
			telehealth.appointment, telehealth.session CASCADE" 2>"$T/empty.log" && return
	done
	cat "$T/empty.log" >&2
	th_fail "the tables could not be emptied"
}

bench_median()
{
	printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

bench_ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", (b > 0 ? a / b : 0) }'
}

bench_row()
{
	local verdict

	verdict=$(awk -v v="$2" -v t="$3" 'BEGIN { split(t, p, " ");
		ok = p[1] == ">=" ? v >= p[2] : v <= p[2]; print ok ? "reached" : "MISSED" }')
	printf '%-62s %10s  %-10s %s\n' "$1" "$2" "$3" "$verdict"
}

# A transaction that fails ends the bench.
bench_tps()
{
	PGOPTIONS="$4" "$TH_BIN/pgbench" -n -M prepared -c "$3" -j 4 -T "$2" -f "$1" bench \
		2>"$T/pgbench.log" | awk '/^tps/ { print $3 }' | grep . || {
		cat "$T/pgbench.log" >&2
		th_fail "pgbench failed"
	}
}

# The script of a producer: a visit in a slot of its own.
bench_insert_script()
{
	cat <<'SQL'
\set provider random(1, 1000000000)
\set day random(2, 300)
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
VALUES (1, :provider, 'VIDEO', date_trunc('hour', now()) + :day * interval '1 day');
SQL
}
