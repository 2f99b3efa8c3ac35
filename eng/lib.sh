# What the scripts here share; they source it from the root of the sources.

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

# The largest native program, in bytes: 15 MiB.
native_limit=$((15 << 20))

# need COMMAND PACKAGE: installs Debian's package where the command is missing; a failure ends the script.
need() {
  command -v "$1" >/dev/null && return
  echo "installing $2"
  apt-get update -qq
  apt-get install -y -qq "$2" >/dev/null
  command -v "$1" >/dev/null || { echo "error: $1 is missing, and package $2 does not bring it" >&2; return 1; }
}

# publish_native RUNTIME FOLDER [PROPERTY...]: one native file, at most native_limit bytes. Warnings of trimming are errors.
publish_native() {
  local runtime=$1 out=$2 bytes
  shift 2
  dotnet publish Mamba.Cli -c Release -r "$runtime" -p:PublishAot=true -v quiet "$@" -o "$out"
  rm -f "$out"/*.xml "$out"/*.pdb
  bytes=$(stat -c %s "$out/mamba")
  echo "$out/mamba: $((bytes / 1000)) kB"
  if [ "$bytes" -gt "$native_limit" ]; then
    echo "error: more than $((native_limit >> 20)) MiB" >&2
    return 1
  fi
}
