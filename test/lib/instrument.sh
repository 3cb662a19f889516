# instrument.sh: a private server that something watches. Source me after
# private_server.sh.
#
# The distribution's server is taken as it is, so what palloc gives is not
# watched; what malloc gives (libcurl, OpenSSL and our own buffers) is, and so
# are the stack, the globals and every undefined operation of ours.
#
#   th_instrument_flags TOOL   the compiler's flags: sanitize or valgrind
#   th_instrument TOOL         the server of build TOOL runs under it from now
#                              on; tests see TELEHEALTH_WATCHED, and are patient
#   th_findings TOOL           lists the files that hold what was found

# Debian 12's libasan and a library that calls newlocale() while it is loaded
# (libp11-kit) lock each other out before main(): there, UBSan alone.
th_sanitizers()
{
	if timeout -s KILL 20 env ASAN_OPTIONS=detect_leaks=0 \
		LD_PRELOAD="$(gcc -print-file-name=libasan.so)" \
		"$TH_SYSTEM/bin/postgres" -V >/dev/null 2>&1; then
		echo address,undefined
	else
		echo undefined
	fi
}

th_instrument_flags()
{
	printf -- '-O1 -g -fno-omit-frame-pointer'
	[ "$1" = valgrind ] ||
		printf -- ' -fsanitize=%s -fno-sanitize-recover=undefined' "$(th_sanitizers)"
}

# The program that everybody starts becomes a script, also for "pg_ctl restart",
# which would take the program that ran before. What initdb does with it is not
# ours, and takes minutes when watched.
th_instrument()
{
	th_instead "$1" postgres "case \$1 in --boot | --check | --single) exec \"\$0.real\" \"\$@\" ;; esac
exec $(th_instrument_command "$1") \"\$0.real\" \"\$@\""
	th_instead "$1" pg_ctl 'exec "$0.real" -p "${0%/*}/postgres" "$@"'
	export TELEHEALTH_WATCHED=$1
	[ "$1" != valgrind ] || export TELEHEALTH_PATIENCE=10
}

th_instead()
{
	local program=$T/$1/bin/$2

	th_run mv "$program" "$program.real"
	printf '#!/bin/sh\n%s\n' "$3" | th_run tee "$program" >/dev/null
	th_run chmod +x "$program"
}

th_instrument_command()
{
	local found=$T/$1/found

	if [ "$1" = valgrind ]; then
		printf 'valgrind --quiet --leak-check=full --show-leak-kinds=definite'
		printf ' --fullpath-after= --log-file=%s.%%p' "$found"
	else
		printf 'env UBSAN_OPTIONS=print_stacktrace=1:log_path=%s' "$found"
		[ "$(th_sanitizers)" = undefined ] ||
			printf ' ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1:log_path=%s LD_PRELOAD=%s:%s"${LD_PRELOAD:+:$LD_PRELOAD}"' \
				"$found" "$(gcc -print-file-name=libasan.so)" "$(gcc -print-file-name=libubsan.so)"
	fi
}

# A finding of valgrind is ours if our code comes before the server's on the
# way from where it happened: what the server does with its own memory when we
# call it, such as writing WAL with gaps in it, is its own business.
th_of_ours()
{
	awk -v RS='==[0-9]+== \n' -v ORS='\n\n' '{
		n = split($0, line, "\n")
		for (i = 1; i <= n; i++)
		{
			if (line[i] ~ /postgres\.real\)$/)
				break
			if (line[i] ~ /\/src\/[a-z]+\/[a-z_]+\.c:[0-9]+\)$/)
			{
				print
				break
			}
		}
	}' "$1"
}

# UBSan alone writes to the server's log, whatever its log_path.
th_findings()
{
	local file

	for file in "$T/$1"/found.*; do
		[ -e "$file" ] || continue
		if [ "$1" = valgrind ]; then
			th_of_ours "$file" >"$file.ours"
			file=$file.ours
		fi
		[ ! -s "$file" ] || echo "$file"
	done
	grep -rlE 'runtime error:|AddressSanitizer' "$T/server.log" \
		"$T/$1/src/tmp_check/log" 2>/dev/null || true
}
