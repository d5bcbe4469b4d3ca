#!/usr/bin/env bash
# emulator.sh FOLDER: QEMU and a kernel for its guests, both of Debian trixie.
#
# Unpacked and not installed: the QEMU of older releases crashes this kernel, and nothing of it has
# to be on the host. Needs root and mmdebstrap.
set -euo pipefail
folder=$1

mmdebstrap --quiet --variant=extract \
    --include=qemu-system-x86,linux-image-cloud-amd64 \
    --aptopt='APT::Install-Recommends "false"' \
    trixie "$folder"
cp "$folder"/boot/vmlinuz-* "$folder/vmlinuz"
rm -rf "$folder"/usr/lib/modules "$folder"/usr/share/doc "$folder"/usr/share/locale
