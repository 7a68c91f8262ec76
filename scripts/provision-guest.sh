#!/bin/sh
# Brings a fresh Debian machine the packages that are named, from its own sources. Runs as root: as Vagrant's provisioner in a
# machine that is up, and in the disk of a test VM before it ever starts.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
