// The texts that go into guests: boot scripts, configurations, kernel command lines.
//
// Names in braces are filled in by the build (image/files.h, fill_in). Owner: none (constants).
#pragma once

#include <array>
#include <string_view>

namespace lockstep::image {

// The small guest's kernel command line. What is left out of the boot is work of hundreds of
// millions of instructions that such a guest has no use for:
//   cryptomgr.notests            self-tests of ciphers
//   jent_mod_init                health tests of an entropy source that virtio-rng replaces
//   load_system_certificate_list parsing and checking of certificates for module signatures
//   trace_eval_init              names of enumerators in the format files of trace events
inline constexpr std::string_view kSmallCommandLine =
    "root=/dev/vda rw console=ttyS0 quiet cryptomgr.notests "
    "initcall_blacklist=jent_mod_init,load_system_certificate_list,trace_eval_init";

inline constexpr std::string_view kFullCommandLine = "root=/dev/vda rw console=ttyS0";

// What the small guest's initrd loads, with what these depend on. ext4 asks for crc32c by an alias,
// which `depends` does not name.
inline constexpr std::array<std::string_view, 6> kSmallModules = {
    "virtio_mmio", "virtio_blk", "virtio_net", "virtio_rng", "crc32c_generic", "ext4"};

// The initrd's /init. {modules}: names, in load order. Uncompressed modules in an uncompressed
// archive: decompression would cost the guest more instructions than it saves in copying.
inline constexpr std::string_view kInitrdInit = R"(#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
root=/dev/vda
read -r line < /proc/cmdline
for word in $line; do
  case $word in root=*) root=${word#root=} ;; esac
done
for module in {modules}; do
  $b insmod /modules/$module.ko || echo "initrd: cannot load $module"
done
tries=0
until $b mount -t ext4 -o noatime $root /newroot; do
  tries=$((tries + 1))
  [ $tries -lt 50 ] || { echo "initrd: cannot mount $root"; exec $b sh; }
  $b usleep 100000
done
$b umount /proc
$b mount --move /dev /newroot/dev
exec $b switch_root /newroot /sbin/init
)";

inline constexpr std::string_view kInittab = R"(::sysinit:/etc/init.d/rcS
::respawn:/usr/local/sbin/redis
ttyS0::respawn:-/bin/sh
::ctrlaltdel:/bin/reboot
::shutdown:/etc/init.d/rcK
)";

// lockstep.address=ADDRESS/PREFIX, or dhcp, and lockstep.gateway=ADDRESS on the kernel's command
// line replace libslirp's defaults.
inline constexpr std::string_view kStartScript = R"(#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=0755 run /run
mount -t tmpfs tmp /tmp
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
hostname {name}
echo 1 > /proc/sys/vm/overcommit_memory
echo madvise > /sys/kernel/mm/transparent_hugepage/enabled
address=10.0.2.15/24
gateway=10.0.2.2
read -r line < /proc/cmdline
for word in $line; do
  case $word in
    lockstep.address=*) address=${word#*=} ;;
    lockstep.gateway=*) gateway=${word#*=} ;;
  esac
done
ifconfig lo 127.0.0.1 up
if [ -e /sys/class/net/eth0 ]; then
  if [ "$address" = dhcp ]; then
    ifconfig eth0 up
    udhcpc -b -q -i eth0 -s /etc/udhcpc.script
  else
    ip address add $address dev eth0
    ip link set eth0 up
    ip route add default via $gateway
  fi
fi
)";

inline constexpr std::string_view kDhcpScript = R"(#!/bin/sh
case "$1" in
  deconfig) ip address flush dev $interface ;;
  bound|renew)
    ip address add $ip/${mask:-24} dev $interface
    [ -z "$router" ] || ip route add default via ${router%% *}
    [ -z "$dns" ] || echo "nameserver ${dns%% *}" > /etc/resolv.conf
    ;;
esac
)";

// Redis flushes its log and its data before the root file system is frozen.
inline constexpr std::string_view kStopScript = R"(#!/bin/sh
killall redis-server
tries=0
while pidof redis-server > /dev/null && [ $tries -lt 100 ]; do
  usleep 100000
  tries=$((tries + 1))
done
sync
mount -o remount,ro /
)";

// Waits for what Redis says, instead of asking it again and again: each try would cost the guest
// about two million instructions.
inline constexpr std::string_view kRedisScript = R"sh(#!/bin/sh
exec 3>> /var/log/redis.log
redis-server /etc/redis/redis.conf | while read -r line; do
  echo "$line" >&3
  case $line in
    *"Ready to accept connections"*)
      if [ "$(echo PING | nc 127.0.0.1 6379)" = "$(printf '+PONG\r')" ]; then
        echo "lockstep-guest ready" > /dev/console
      fi
      ;;
  esac
done
)sh";

// hz 1: Redis does its housekeeping once a second, not ten times. Each time costs two million
// instructions, which would be most of what an idle guest does.
inline constexpr std::string_view kRedisConfiguration = R"(bind 0.0.0.0
protected-mode no
port 6379
daemonize no
logfile ""
dir /var/lib/redis
save ""
appendonly yes
appendfsync everysec
hz 1
)";

inline constexpr std::string_view kProfile =
    "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root\n";
inline constexpr std::string_view kPasswd = "root::0:0:root:/root:/bin/sh\n";
inline constexpr std::string_view kGroup = "root:x:0:\n";
inline constexpr std::string_view kResolvConf = "nameserver 10.0.2.3\n";

// Names under which BusyBox is found in the small guest's PATH.
inline constexpr std::array<std::string_view, 110> kApplets = {
    "[",       "ash",    "awk",       "base64",    "basename", "blockdev", "cat",      "chmod",
    "chown",   "chroot", "clear",     "cmp",       "cp",       "cut",      "date",     "dd",
    "df",      "diff",   "dirname",   "dmesg",     "du",       "echo",     "egrep",    "env",
    "expr",    "false",  "fgrep",     "find",      "free",     "fstrim",   "grep",     "gunzip",
    "gzip",    "halt",   "head",      "hexdump",   "hostname", "hwclock",  "id",       "ifconfig",
    "insmod",  "ip",     "kill",      "killall",   "less",     "ln",       "logger",   "ls",
    "lsmod",   "md5sum", "mkdir",     "mkfifo",    "mknod",    "mktemp",   "modprobe", "more",
    "mount",   "mv",     "nc",        "netstat",   "nice",     "nohup",    "nproc",    "nslookup",
    "od",      "pidof",  "ping",      "poweroff",  "printf",   "ps",       "pwd",      "readlink",
    "reboot",  "renice", "rm",        "rmdir",     "rmmod",    "route",    "sed",      "seq",
    "setsid",  "sh",     "sha256sum", "sha512sum", "sleep",    "sort",     "stat",     "stty",
    "su",      "sync",   "sysctl",    "tail",      "tar",      "tee",      "test",     "time",
    "timeout", "top",    "touch",     "tr",        "true",     "udhcpc",   "umount",   "uname",
    "uniq",    "uptime", "usleep",    "vi",        "wc",       "wget"};

// {name}, {memory}, {cmdline}, {disk}, {forward}.
inline constexpr std::string_view kVmConfiguration =
    R"(# Made by `lockstep image build`; yours to edit. Paths are relative to this file.
name    = "{name}"
memory  = "{memory}"
kernel  = "vmlinuz"
initrd  = "initrd.img"
cmdline = "{cmdline}"

[[disk]]
path = "{disk}"

[[net]]
mode = "user"
forward = [{forward}]

[protection]
backups = 1
arbiter = "dir:arbiter"
)";

}  // namespace lockstep::image
