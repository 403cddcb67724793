#!/bin/bash
# A one-node Ceph with its S3 gateway on port 7480, kept in /data/ceph; one user, whose keys are AWS_ACCESS_KEY_ID and
# AWS_SECRET_ACCESS_KEY. One copy of each object: for trials and small sites with a backup, not for a hospital's only store.
set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT
trap 'exit 143' TERM
: "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}"
umask 077
data=/data/ceph
export CEPH_CONF=/tmp/ceph.conf
if ! test -e $data/ready; then rm -rf "${data:?}"/*; fi # a first start that was interrupted begins again
test -e $data/fsid || cat /proc/sys/kernel/random/uuid > $data/fsid
cat > $CEPH_CONF <<END
[global]
fsid = $(cat $data/fsid)
mon host = v2:127.0.0.1:3300
mon initial members = a
public addr = 127.0.0.1
keyring = $data/keyring
mon data = $data/mon
osd data = $data/osd
run dir = /tmp
admin socket =
log to file = false
log to stderr = false
err to stderr = true
mon cluster log to file = false
osd crush update on start = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon data avail crit = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
auth allow insecure global id reclaim = false
osd memory target = 1073741824
bluestore block size = ${S3_BYTES:-107374182400}
rgw frontends = beast endpoint=0.0.0.0:7480
END

if ! test -e $data/ready; then
  key() { ceph-authtool $data/keyring --gen-key -n "$@" > /dev/null; }
  ceph-authtool --create-keyring $data/keyring > /dev/null
  key mon. --cap mon 'allow *'
  key client.admin --cap mon 'allow *' --cap osd 'allow *'
  key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
  key client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
  monmaptool --create --fsid "$(cat $data/fsid)" --addv a '[v2:127.0.0.1:3300]' /tmp/monmap > /dev/null
  mkdir -p $data/mon $data/osd
  ceph-mon --mkfs -i a --monmap /tmp/monmap --keyring $data/keyring
fi
ceph-mon -f -i a &
if ! test -e $data/ready; then
  disk=$(cat /proc/sys/kernel/random/uuid)
  ceph osd new "$disk" 0 > /dev/null
  ceph osd crush add osd.0 1 root=default host=here
  ceph-osd --mkfs -i 0 --osd-uuid "$disk"
fi
ceph-osd -f -i 0 &
until ceph osd stat | grep -q '1 up'; do sleep 1; done
user() { radosgw-admin -n client.rgw user "$@" --uid enigma --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY"; }
if test -e $data/ready; then user modify > /dev/null; else user create --display-name enigma > /dev/null; fi
touch $data/ready
radosgw -f -n client.rgw &
# one that ends ends all, and the engine restarts the container
wait -n
