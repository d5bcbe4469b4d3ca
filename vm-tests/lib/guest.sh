#!/usr/bin/env bash
# guest.sh FOLDER: the root file system of a machine for scenarios, Debian trixie with systemd 257.
#
# Needs root and mmdebstrap. Scenarios never write into it; they get a layer of their own above it.
set -euo pipefail
folder=$1

mmdebstrap --quiet --variant=minbase \
    --include=systemd-sysv,dbus,polkitd,udev,iproute2,procps,netcat-openbsd,libnss-systemd,postgresql,curl,python3 \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/i18n/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    trixie "$folder"

# Which units run is for a scenario to say: nothing periodic, nothing interactive, no first boot.
: > "$folder/etc/fstab"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$folder/etc/hosts"
rm -f "$folder/etc/systemd/system/multi-user.target.wants/postgresql.service"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-timesyncd.service systemd-hwdb-update.service \
    systemd-journal-catalog-update.service systemd-update-done.service ldconfig.service; do
    ln -sf /dev/null "$folder/etc/systemd/system/$unit"
done
# What is on a disk survives the power going away, but not the last seconds before it.
mkdir -p "$folder/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' > "$folder/etc/systemd/journald.conf.d/scenario.conf"
