#!/usr/bin/env bash
# The machine of a record in one line: kernel, cores, processor. The kernel's build is left out: it may name a host.
echo "host      $(uname -s) $(uname -r | cut -d - -f 1), $(nproc) cores," \
    "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
