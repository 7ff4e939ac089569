#!/bin/sh
# Installs NVIDIA's Nsight Systems and Nsight Compute from Debian's non-free component, so that `proftool import` can
# read .nsys-rep, .qdrep and .ncu-rep files. Debian 12 ships nsys 2022.4 and ncu 2022.3: reports of newer versions need
# NVIDIA's own packages (https://developer.nvidia.com/nsight-systems). Run as root; running it again changes nothing.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    echo "run this as root (it installs packages)" >&2
    exit 2
fi

# The packages are in non-free and depend on contrib. Both styles of source list are handled.
for list in /etc/apt/sources.list.d/*.sources; do
    [ -e "$list" ] || continue
    grep -q 'debian.org' "$list" || continue
    sed -i -E '/^Components:/{/non-free( |$)/!s/$/ contrib non-free/}' "$list"
done
if [ -e /etc/apt/sources.list ]; then
    sed -i -E '/^deb .*debian\.org.* main/{/non-free( |$)/!s/ main/ main contrib non-free/}' /etc/apt/sources.list
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends nsight-systems nsight-compute

# The packaged nsys looks for its importer under the multiarch folder, where the package does not put it
# ("importer binary not found").
for kind in host-linux-x64 host-linux-armv8; do
    real=/usr/lib/nsight-systems/$kind
    for parent in /usr/lib/*-linux-gnu/nsight-systems; do
        if [ -d "$real" ] && [ -d "$parent" ] && [ ! -e "$parent/$kind" ]; then
            ln -s "$real" "$parent/$kind"
        fi
    done
done

nsys --version
ncu --version | tail -n 1
