# private_server.sh: a private PostgreSQL with telehealth in it. Source me.
#
# Everything happens in one temporary folder, $T, on a Unix socket; nothing is
# written to the system's folders. PostgreSQL finds its files relative to its
# programs, so a copy of bin/ beside links to the rest is a server of its own,
# into which `make install` puts the extension. When the caller ends, by itself
# or by a signal, what was started is stopped and the folder is removed.
#
#   th_begin                     makes $T; sets $TH_REPO, $TH_MAJOR, the traps
#   th_build NAME [VAR=VALUE..]  sources built with these make variables:
#                                $T/NAME/src; unchanged objects come from a
#                                cache in ${XDG_CACHE_HOME:-~/.cache}/telehealth
#   th_server NAME               the server of that build: $T/NAME/bin
#   th_start NAME [SETTING..]    a fresh cluster of it, preloading telehealth
#                                (or as the settings say), and PGHOST, PGPORT,
#                                PGUSER, PATH pointing at it
#   th_stop                      ends that cluster
#   th_make NAME ARG..           make in that build, for that server
#   th_background COMMAND..      starts a command as the caller; ended with us
#   th_run COMMAND..             runs a command as the user that owns $T: the
#                                caller, or `postgres` when the caller is root
#   th_psql DATABASE ARG..       psql there, quiet, stopping at the first error
#   th_fail MESSAGE              says why and leaves with status 1
#
# The caller runs with `set -eu` and names its own repository by being in
# test/ or below it.

th_fail()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The newest server with its headers, or TH_MAJOR.
th_find_major()
{
	local major

	for major in ${TH_MAJOR:-18 17 16 15}; do
		if [ -x "/usr/lib/postgresql/$major/bin/postgres" ] &&
			[ -e "/usr/lib/postgresql/$major/lib/pgxs/src/makefiles/pgxs.mk" ]; then
			TH_MAJOR=$major
			TH_SYSTEM=/usr/lib/postgresql/$major
			return
		fi
	done
	th_fail "no PostgreSQL with its development files found; run test/setup"
}

# A folder in memory where there is plenty of it: servers do not wait for a
# disk there, which on a shared machine may stand still for seconds.
th_memory_folder()
{
	local folder=/dev/shm enough=$((8 << 20)) probe

	[ "$(stat -f -c %T $folder 2>/dev/null)" = tmpfs ] || return 0
	[ "$(df -k --output=avail $folder | tail -n 1)" -gt "$enough" ] || return 0
	[ "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)" -gt $((enough * 3 / 2)) ] || return 0
	probe=$(mktemp "$folder/telehealth.XXXXXX") || return 0
	chmod 700 "$probe"
	# programs must be allowed to run from there
	[ ! -x "$probe" ] || echo "$folder"
	rm -f "$probe"
}

th_begin()
{
	local variable base

	TH_REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
	th_find_major
	for variable in $(compgen -e PG) PERL5LIB PROVE_TESTS MAKEFLAGS MFLAGS \
		MAKELEVEL CDPATH; do
		unset "$variable"
	done
	umask 022
	TH_CHILD=
	TH_BACKGROUND=()
	TH_CLUSTER=
	T=
	trap 'th_cleanup' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP

	# A socket's path has 107 bytes; a folder others cannot reach is no use.
	for base in "${TMPDIR:-$(th_memory_folder)}" /tmp; do
		T=$(mktemp -d "${base:-/tmp}/telehealth.XXXXXX") || continue
		TH_AS=()
		if [ "$(id -u)" -eq 0 ]; then
			id postgres >/dev/null 2>&1 || th_fail "no user postgres; run test/setup"
			chown postgres: "$T"
			TH_AS=(setpriv --reuid=postgres --regid="$(id -g postgres)" --init-groups)
		fi
		if [ "${#T}" -le 60 ] && "${TH_AS[@]}" test -x "$T/."; then
			break
		fi
		rm -rf "$T"
		T=
	done
	[ -n "$T" ] || th_fail "no usable folder for temporary files"
	export TMPDIR=$T
}

# Ends what runs from $T and removes it. The pid files lie in our own folder,
# and a process is ours only if its working directory does too.
th_cleanup()
{
	local status=$? file pid

	trap '' INT TERM HUP
	trap - EXIT
	set +e
	for pid in $TH_CHILD "${TH_BACKGROUND[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	if [ -n "$T" ]; then
		find "$T" -name postmaster.pid 2>/dev/null | while read -r file; do
			pid=$(head -n 1 "$file" 2>/dev/null)
			case $(readlink "/proc/${pid:-none}/cwd") in
				"$T"/*) kill -QUIT "$pid" && th_wait_gone "$pid" ;;
			esac
		done
		cd /
		rm -rf "$T" 2>/dev/null || { sleep 1; rm -rf "$T"; }
	fi
	exit "$status"
}

th_wait_gone()
{
	local round

	for round in $(seq 100); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null
}

# In the background and in a session of its own, so that a signal to us is
# handled at once and reaches everything the command started.
th_run()
{
	local status=0

	setsid "${TH_AS[@]}" env HOME="$T" TMPDIR="$T" "$@" <&0 &
	TH_CHILD=$!
	wait "$TH_CHILD" || status=$?
	TH_CHILD=
	return "$status"
}

# Starts a command as the caller, to be waited for with `wait $!`.
th_background()
{
	setsid "$@" &
	TH_BACKGROUND+=($!)
}

# Files of the working tree, NUL between them: what git knows and what it does
# not ignore; in an unpacked archive, everything that no build writes.
th_list_sources()
{
	local git=(git -c safe.directory='*' -c core.fsmonitor=false)

	cd "$TH_REPO" || return 1
	if [ -e .git ] && command -v git >/dev/null; then
		"${git[@]}" ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do
				[ ! -f "$file" ] || printf '%s\0' "$file"
			done
	else
		find . -type d \( -name .git -o -name tmp_check -o -name results \
			-o -name output_iso -o -name log \) -prune -o \
			-type f ! -name '*.o' ! -name '*.d' ! -name '*.so' ! -name '*.bc' \
			! -path './telehealth--*.sql' ! -name '.build_flags' -printf '%P\0'
	fi
}

# Makes folder $1 hold exactly the sources; a file whose content is the same
# keeps its time, so that make sees what changed and nothing else.
th_sync_sources()
{
	local to=$1 file

	mkdir -p "$to"
	th_list_sources >"$to/.sources.new" || return 1
	if [ -f "$to/.sources" ]; then
		LC_ALL=C sort -z "$to/.sources.new" >"$to/.sorted"
		LC_ALL=C sort -z "$to/.sources" |
			LC_ALL=C comm -z -23 - "$to/.sorted" |
			(cd "$to" && xargs -0 -r rm -f)
		rm -f "$to/.sorted"
	fi
	while IFS= read -r -d '' file; do
		cmp -s "$TH_REPO/$file" "$to/$file" || printf '%s\0' "$file"
	done <"$to/.sources.new" >"$to/.changed"
	(cd "$TH_REPO" && tar -c -f - --null --no-recursion -T "$to/.changed") |
		tar -x -m -f - -C "$to" --no-same-owner || return 1
	mv "$to/.sources.new" "$to/.sources"
	rm -f "$to/.changed"
}

# One writer at a time in a cached build; without a writable home, or when
# another run is at it, the build happens in $T alone.
th_build()
{
	local name=$1 cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/telehealth
	local key tree

	shift
	key=$(printf '%s\n' "$TH_REPO" "$TH_MAJOR" "$@" | cksum | cut -d ' ' -f 1)
	tree=$cache/$key
	if ! mkdir -p "$tree" 2>/dev/null || [ ! -w "$tree" ]; then
		tree=$T/build.$name
		mkdir -p "$tree"
	fi
	find "$cache" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null || true
	exec 9>"$tree.lock"
	if ! flock -n 9; then
		tree=$T/build.$name
		mkdir -p "$tree"
	fi
	th_sync_sources "$tree" || th_fail "copying the sources failed"
	make -s -j"${TH_JOBS:-$(nproc)}" -C "$tree" PG_CONFIG="$TH_SYSTEM/bin/pg_config" \
		"$@" >"$T/make.$name.log" 2>&1 || {
		cat "$T/make.$name.log" >&2
		th_fail "the build failed"
	}
	mkdir -p "$T/$name"
	cp -a "$tree" "$T/$name/src"
	exec 9>&-
	printf '%s\n' "$@" >"$T/$name/variables"
	if [ "${#TH_AS[@]}" -gt 0 ]; then
		chown -R postgres: "$T/$name"
	fi
}

# make in the copy of a build, with its variables and its server.
th_make()
{
	local name=$1 variables

	shift
	mapfile -t variables <"$T/$name/variables"
	[ -n "${variables[0]:-}" ] || variables=()
	th_run make -s -C "$T/$name/src" PG_CONFIG="$T/$name/bin/pg_config" \
		"${variables[@]}" "$@"
}

# The folders of the distribution, below $T/NAME: programs copied, for they
# look around from where they really are; the rest linked, except the two
# folders that an installation writes to.
th_server()
{
	local home=$T/$1 lib=$T/$1/usr/lib/postgresql/$TH_MAJOR
	local share=$T/$1/usr/share/postgresql/$TH_MAJOR

	th_run sh -eu -c '
		system=$1 major=$2 home=$3 lib=$4 share=$5
		mkdir -p "$lib/lib" "$share/extension"
		cp -r "$system/bin" "$lib/bin"
		ln -s "$system"/lib/* "$lib/lib/"
		ln -s /usr/share/postgresql/"$major"/* "$share/" 2>/dev/null || true
		ln -s /usr/share/postgresql/"$major"/extension/* "$share/extension/"
		rm -f "$lib"/lib/telehealth* "$share"/extension/telehealth*
		ln -s /usr/include "$home/usr/include"
		ln -s "usr/lib/postgresql/$major/bin" "$home/bin"
		for folder in /usr/lib/*-linux-*; do
			ln -s "$folder" "$home/usr/lib/"
		done' sh "$TH_SYSTEM" "$TH_MAJOR" "$home" "$lib" "$share"
	th_make "$1" install >"$T/install.$1.log" 2>&1 || {
		cat "$T/install.$1.log" >&2
		th_fail "the installation failed"
	}
}

th_start()
{
	local name=$1 data=$T/$1/data setting

	shift
	th_stop
	th_run "$T/$name/bin/initdb" -D "$data" -U postgres -A trust -N \
		-E UTF8 --no-locale >"$T/initdb.log" 2>&1 || {
		cat "$T/initdb.log" >&2
		th_fail "initdb failed"
	}
	{
		printf "listen_addresses = ''\nunix_socket_directories = '%s'\n" "$T"
		printf "port = 5432\nfsync = off\nshared_preload_libraries = 'telehealth'\n"
		printf "log_line_prefix = '%%m [%%p] %%q%%a '\nmax_worker_processes = 16\n"
		for setting in "$@"; do
			printf '%s\n' "$setting"
		done
	} >>"$data/postgresql.conf"
	th_run "$T/$name/bin/pg_ctl" -D "$data" -l "$T/server.log" -w -t 60 start \
		>"$T/start.log" 2>&1 || {
		cat "$T/start.log" "$T/server.log" >&2
		th_fail "the server did not start"
	}
	TH_CLUSTER=$data
	TH_BIN=$T/$name/bin
	export PGHOST=$T PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	export PATH=$TH_BIN:$PATH
}

th_stop()
{
	[ -n "$TH_CLUSTER" ] || return 0
	# from a folder that its user may enter: pg_ctl complains of another
	(cd "$T" && th_run "$TH_BIN/pg_ctl" -D "$TH_CLUSTER" -m immediate -w stop >/dev/null)
	rm -rf "$TH_CLUSTER"
	TH_CLUSTER=
	unset PGHOST PGPORT PGUSER PGDATABASE
}

th_psql()
{
	local database=$1

	shift
	"$TH_BIN/psql" -X -q -P pager=off -v ON_ERROR_STOP=1 -d "$database" "$@"
}
