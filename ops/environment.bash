# Sourced by ops/up, ops/test and ops/lock: finds Python 3.13 and creates .venv, with progress.

# Some container shells set it. A dozen processes would then compile all their modules at every
# start, which is three quarters of the time of a start.
unset PYTHONDONTWRITEBYTECODE

# For a script without arguments: prints the comment at its top for --help, refuses anything else.
take_no_arguments() {
  (($#)) || return 0
  if [[ $1 == -h || $1 == --help ]]; then
    show_help
  fi
  printf '%s\n' "ops/$(basename "$0"): it takes no arguments, not $1 (--help shows what it does)" >&2
  exit 2
}

show_help() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "ops/$(basename "$0")"
  exit 0
}

say() { printf '%s\n' "$*"; }

fail() {
  printf '%s: %s\n' "ops/$(basename "$0")" "$*" >&2
  exit 1
}

is_python_313() {
  "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null
}

# Prints the path of a Python 3.13: on PATH, of pyenv, of uv.
find_python() {
  local candidate
  for candidate in python3.13 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 \
    /opt/homebrew/bin/python3.13 /usr/local/bin/python3.13; do
    candidate=$(command -v "$candidate" 2>/dev/null) || continue
    if is_python_313 "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  if command -v uv >/dev/null && candidate=$(uv python find 3.13 2>/dev/null) &&
    is_python_313 "$candidate"; then
    printf '%s\n' "$candidate"
    return
  fi
  printf '%s\n' "no Python 3.13 on PATH, in pyenv or in uv. Any of these installs one:" \
    "  pyenv install 3.13" "  uv python install 3.13" "  apt-get install python3.13 python3.13-venv" \
    "  brew install python@3.13" >&2
  return 1
}

# Runs a command with its output in a file, and prints its progress every few seconds.
# Prints the end of the file if the command fails.
with_progress() {
  local what=$1 log started=$SECONDS last_said=0 pid at
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - started >= 2 && SECONDS - last_said >= 3)); then
      last_said=$SECONDS
      at=$(grep -v -e WARNING -e '━' "$log" | tail -n 1 | cut -c 1-50 || true)
      say "  $what ($((SECONDS - started)) s) $at"
    fi
  done
  if ! wait "$pid"; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "$what failed; the end of its output is above"
  fi
  rm -f "$log"
}

# Creates $venv with the packages of the named requirements files, or brings it up to date. Does nothing
# when none of the files has changed since. If GATEKEEPER_VENV names an environment, it is used unchanged.
make_environment() {
  if [[ -n ${GATEKEEPER_VENV:-} ]]; then
    venv=$GATEKEEPER_VENV
    return
  fi
  venv=$PWD/.venv
  local record=$venv/.made-from python file missing=()
  if ! is_python_313 "$venv/bin/python" || ! grep -qxF "folder $PWD" "$record" 2>/dev/null; then
    python=$(find_python) || exit 1
    say "making .venv with $python"
    with_progress "python -m venv" "$python" -m venv --clear "$venv"
    printf 'folder %s\n' "$PWD" >"$record"
  fi
  for file in "$@"; do
    grep -qxF "$(cksum "$file")" "$record" || missing+=("$file")
  done
  if ((${#missing[@]})); then
    say "installing $(cat "$@" | grep -c ==) packages into .venv"
    # --no-compile: most modules are never imported. Python compiles the others at their first import.
    with_progress "pip install" "$venv/bin/python" -m pip install --disable-pip-version-check \
      --no-compile "${@/#/--requirement=}"
  fi
  if ! grep -qxF "$(cksum pyproject.toml)" "$record"; then
    missing+=(pyproject.toml)
    with_progress "pip install --editable ." "$venv/bin/python" -m pip install \
      --disable-pip-version-check --no-build-isolation --no-deps --editable .
  fi
  for file in "${missing[@]}"; do
    sed -i "\\# $file\$#d" "$record"
    cksum "$file" >>"$record"
  done
}

# A unix socket's path has 107 bytes at most. If the path of the clone is too long, supervisord.conf
# includes a file that puts the socket into a directory of this user.
make_socket_path() {
  local LC_ALL=C run=$PWD/ops/fleet/run folder  # LC_ALL: lengths in bytes
  if ((${#run} <= 90)); then
    rm -f "$run/socket.conf"
    return
  fi
  [[ -e $run/socket.conf ]] && return  # a running supervisord may be there
  folder=/tmp/gatekeeper-$(id -u)
  mkdir -p -m 700 "$folder"
  [[ -O $folder ]] || fail "$folder belongs to another user"
  printf '; Written by ops/up: the path of this clone is too long for a unix socket.\n%s\n%s\n%s\n' \
    '[unix_http_server]' "file=$folder/$(printf '%s' "$PWD" | cksum | cut -d' ' -f1).sock" \
    'chmod=0700' >"$run/socket.conf"
}
