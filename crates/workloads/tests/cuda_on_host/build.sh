#!/bin/sh
# Compiles a CUDA source for the host: build.sh SOURCE.cu|- OUTPUT.so [more flags of g++, such as -DCOUNT]
# Appends HOST_ENTRY(name) for each `extern "C" __global__ void [__launch_bounds__(...)] name(` and gives dynamic shared
# memory a definition.
set -eu
source=$1 output=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
[ "$source" != - ] || source=/dev/stdin
awk '
    /^#line/ { print; next }
    /extern +__shared__/ {
        # extern __shared__ T name[];  ->  T *name = (T *)cuda_on_host::dynamic_shared();
        line = $0
        sub(/extern +__shared__ +/, "", line); sub(/__align__\([0-9]+\) */, "", line)
        name = line; sub(/ *\[ *\] *;.*/, "", name)
        type = name; sub(/[A-Za-z_0-9]+$/, "", type); sub(/^.*[ *]/, "", name)
        print type "*" name " = (" type "*)cuda_on_host::dynamic_shared();"
        next
    }
    { print; all = all " " $0 }
    END {
        while (match(all, /extern "C" +__global__ +void +(__launch_bounds__ *\([^)]*\) *)?[A-Za-z_][A-Za-z_0-9]* *\(/)) {
            name = substr(all, RSTART, RLENGTH)
            sub(/ *\($/, "", name); sub(/^.*[ )]/, "", name)
            print "HOST_ENTRY(" name ")"
            all = substr(all, RSTART + RLENGTH)
        }
    }' "$source" |
    # Several such libraries live in a process: none may see another's variables (-fno-gnu-unique, -Bsymbolic).
    "${CXX:-g++}" -O2 -std=c++17 -fPIC -shared -fno-strict-aliasing -ffp-contract=off -fno-gnu-unique -Wl,-Bsymbolic -w \
        "$@" -x c++ -include "$here/cuda_on_host.h" - -o "$output"
