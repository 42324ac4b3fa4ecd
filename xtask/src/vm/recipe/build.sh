#!/bin/sh
# Makes the guest in the current folder: disk.raw, vmlinuz and initrd of each kernel.
#
# Called by `cargo xtask vm` as root, in mount and process namespaces of its own: when this script is killed, nothing
# stays mounted and nothing goes on.
#
#   MIRROR           where Debian is, such as http://deb.debian.org/debian
#   SECURITY_MIRROR  where its security archive is
#   KEYRING          keys of the archive; empty: those that debootstrap finds itself
#   TRUST            "signed", or "unsigned" when the machine's own configuration trusts the mirror without a signature
#   PACKAGES         names, separated by commas
set -eu
suite=bookworm
old_suite=bullseye

say() { echo "guest: $*" >&2; }

if [ "$TRUST" = unsigned ]; then check=--no-check-gpg; else check="${KEYRING:+--keyring=$KEYRING}"; fi

make_root() {
  say "debootstrap of $suite from $MIRROR"
  # Word splitting is wanted: an empty option is none.
  # shellcheck disable=SC2086
  for try in 1 2 3; do
    debootstrap $check --variant=minbase --include="$PACKAGES" "$suite" root "$MIRROR" >debootstrap.log 2>&1 && return
    tail -n 20 debootstrap.log root/debootstrap/debootstrap.log >&2 2>/dev/null || :
    say "debootstrap failed, try $try of 3"
    # A failed try may have left these mounted.
    umount root/proc root/sys 2>/dev/null || :
    rm -rf --one-file-system root
    sleep 10
  done
  exit 1
}

# apt of this machine, with its own configuration, for the older suite alone.
old_apt() {
  tool=$1; shift
  "$tool" -q -o Dir::Etc::SourceList="$here/old/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$here/old/lists" -o Dir::Cache="$here/old/cache" -o APT::Update::Post-Invoke::= \
    -o APT::Architecture=amd64 -o APT::Sandbox::User=root "$@"
}

old_sources() {
  if [ "$TRUST" = unsigned ]; then option="[trusted=yes]"; else option="${KEYRING:+[signed-by=$KEYRING]}"; fi
  echo "deb $option $MIRROR $old_suite main"
  echo "deb $option $SECURITY_MIRROR $old_suite-security main"
}

# The oldest kernel that Debian's packages offer.
fetch_old_kernel() {
  mkdir -p old/lists/partial old/cache/archives/partial
  old_sources >old/sources.list
  old_apt apt-get update >old/log 2>&1 || return 1
  old_kernel=$(old_apt apt-cache pkgnames linux-image-5.10. |
    grep -E '^linux-image-5\.10\.[0-9.-]+-cloud-amd64$' | sort -V | tail -n 1)
  [ -n "$old_kernel" ] || { echo "no linux-image-5.10.*-cloud-amd64 in $old_suite" >>old/log; return 1; }
  (cd old && old_apt apt-get download "$old_kernel" >>log 2>&1)
}

# Where the mirror has it no more, the guest is made without it, and `old-kernel.missing` says why.
install_old_kernel() {
  if ! fetch_old_kernel; then
    say "no older kernel: $(tail -n 1 old/log)"
    cp old/log old-kernel.missing
    return
  fi
  say "older kernel: $old_kernel"
  cp old/linux-image-*.deb root/var/tmp/
  chroot root sh -c 'dpkg --install /var/tmp/linux-image-*.deb' >>old/log 2>&1 || { tail old/log >&2; exit 1; }
  rm root/var/tmp/linux-image-*.deb
}

# Small early file systems: under emulation their decompression is a good part of the boot.
configure_boot() {
  printf 'MODULES=list\nCOMPRESS=lz4\nFSTYPE=ext4\nRESUME=none\n' >root/etc/initramfs-tools/conf.d/guest
  printf 'virtio_pci\nvirtio_blk\next4\n' >root/etc/initramfs-tools/modules
  chroot root update-initramfs -u -k all >initramfs.log 2>&1 || { cat initramfs.log >&2; exit 1; }
}

configure_system() {
  echo guest >root/etc/hostname
  printf '127.0.0.1 localhost guest\n' >root/etc/hosts
  # Any number; with none, systemd would take the boot for the first one ever.
  echo 5b1ce00000000000000000000000cafe >root/etc/machine-id
  printf '/dev/vda / ext4 defaults 0 0\n/dev/vdb /opt/sluice ext4 ro,nofail 0 0\n' >root/etc/fstab
  mkdir root/opt/sluice
  chroot root passwd --quiet --delete root
  # An unprivileged user with subordinate ids (useradd takes the first 65536 free ones) and a running user manager.
  chroot root useradd --create-home --shell /bin/bash --uid 1000 alice
  mkdir -p root/var/lib/systemd/linger && : >root/var/lib/systemd/linger/alice
  cp "$RECIPE/sluice-tests.service" root/etc/systemd/system/
}

# Daemons are started by the tests that want them; of the rest, everything that only costs time.
choose_services() {
  chroot root systemctl --quiet enable sluice-tests.service
  chroot root systemctl --quiet disable docker.service docker.socket containerd.service podman.service podman.socket \
    podman-restart.service podman-auto-update.service podman-auto-update.timer apparmor.service getty@tty1.service \
    e2scrub_reap.service e2scrub_all.timer fstrim.timer dpkg-db-backup.timer apt-daily.timer apt-daily-upgrade.timer \
    systemd-pstore.service systemd-network-generator.service
  chroot root systemctl --quiet mask systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-random-seed.service systemd-timesyncd.service ldconfig.service systemd-hwdb-update.service \
    systemd-journal-flush.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    modprobe@drm.service modprobe@efi_pstore.service systemd-remount-fs.service
}

make_disk() {
  rm -rf root/var/cache/apt/archives/*.deb root/var/lib/apt/lists/* root/usr/share/doc root/usr/share/man \
    root/usr/share/locale
  for kernel in root/boot/vmlinuz-*; do
    version=${kernel#root/boot/vmlinuz-}
    short=$(echo "$version" | cut -d . -f 1,2)
    cp "$kernel" "vmlinuz-$short"
    cp "root/boot/initrd.img-$version" "initrd-$short"
  done
  truncate -s 6G disk.raw
  mke2fs -q -t ext4 -E root_owner=0:0 -d root disk.raw
  rm -rf root old
}

here=$PWD
make_root
install_old_kernel
say "configuration"
configure_boot
configure_system
choose_services
make_disk
say "made"
