# What each word of the program does. The lines before this one name `dir`, `unit`, `tools`, `each`, `parses`, `after`.
# State is which of these files is in the folder; only `mv` changes it, so one of two that race wins:
#   armed -> firing -> reverted | failed        armed -> disarmed
umask 077
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin
export PATH
cd / || exit 1

say() { printf '%s\n' "$*"; }

# Mode, owner and group by number.
meta() {
  set -- $(ls -ldn "$1")
  say "$1 $3 $4"
}

# NUMBER FILE: is the file as its copy is?
same() {
  if [ -e "$dir/$1.absent" ]; then
    [ ! -e "$2" ] && [ ! -L "$2" ]
  else
    [ -f "$2" ] && cmp -s "$dir/$1" "$2" && [ "$(meta "$dir/$1")" = "$(meta "$2")" ]
  fi
}

# NUMBER FILE: copies it away, or notes that it is not there. A link is followed.
keep() {
  set -- "$1" "$2" "$2"
  if [ -L "$2" ]; then set -- "$1" "$(readlink -f "$2")" "$2"; fi
  if [ -z "$2" ]; then
    say "$3 is a link that leads nowhere"
    return 1
  fi
  say "$2" > "$dir/$1.path"
  if [ -f "$2" ]; then
    cp -p "$2" "$dir/$1" && same "$1" "$2" || { say "$2 cannot be copied"; return 1; }
  elif [ -e "$2" ]; then
    say "$2 is not a plain file"
    return 1
  else
    : > "$dir/$1.absent"
  fi
}

# NUMBER FILE: puts the copy there, in one move where the file system can.
put() {
  if [ -e "$dir/$1.absent" ]; then
    rm -f "$2"
  elif (umask 022 && mkdir -p "$(dirname "$2")") && cp -p "$dir/$1" "$2.piton-revert" && mv -f "$2.piton-revert" "$2"; then
    :
  else
    # Nothing of ours stays beside it; a full disk may still take the old bytes in place of the new ones.
    rm -f "$2.piton-revert"
    cat "$dir/$1" > "$2"
  fi
  same "$1" "$2"
}

back() {
  put "$1" "$(cat "$dir/$1.path")" || { say "$2 is not as it was"; return 1; }
}

holds() {
  same "$1" "$(cat "$dir/$1.path")" || say "differs $2"
}

# NUMBER FILE: puts the copy over something else in a scratch folder.
try() {
  say spoiled > "$dir/scratch/$1"
  put "$1" "$dir/scratch/$1" || { say "the copy of $2 cannot be put back as it was"; return 1; }
}

rehearse() {
  for tool in cat cmp cp dirname ls mkdir mv rm sleep $tools; do
    command -v "$tool" > /dev/null 2>&1 || { say "the revert needs the program $tool, which is not here"; return 1; }
  done
  parses || { say "what the revert runs afterwards cannot be parsed"; return 1; }
  mkdir "$dir/scratch" && each try && rm -rf "$dir/scratch"
}

# Fires after a reboot if nobody confirmed before it.
guard() {
  cat > "/etc/systemd/system/$unit-boot.service" << EOF
[Unit]
Description=piton: takes back a change that nobody confirmed before the reboot
ConditionPathExists=|$dir/armed
ConditionPathExists=|$dir/firing
After=local-fs.target

[Service]
Type=oneshot
ExecStart=/bin/sh $dir/revert.sh boot

[Install]
WantedBy=multi-user.target
EOF
  systemctl enable --quiet "$unit-boot.service"
}

unguard() {
  if [ -e "/etc/systemd/system/$unit-boot.service" ]; then
    systemctl disable --quiet "$unit-boot.service" > /dev/null 2>&1
    rm -f "/etc/systemd/system/$unit-boot.service"
    systemctl daemon-reload
  fi
}

detached() {
  setsid sh "$dir/revert.sh" "$@" < /dev/null > /dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
}

# SECONDS: everything that has to be true before anybody relies on it.
arm() {
  each keep && rehearse || return 1
  sync "$dir"/* > /dev/null 2>&1
  : > "$dir/armed"
  if [ -d /run/systemd/system ] && command -v systemd-run > /dev/null 2>&1; then
    guard && systemd-run --quiet --collect --unit="$unit" --on-active="${1}s" \
      --timer-property=AccuracySec=100ms /bin/sh "$dir/revert.sh" fire && { say armed; return 0; }
    unguard
  fi
  command -v setsid > /dev/null 2>&1 || { say "neither systemd-run nor setsid works here: no timer"; return 1; }
  detached wait "$1"
  n=0
  while [ ! -e "$dir/pid" ] && [ "$n" -lt 100 ]; do
    sleep 0.05 2> /dev/null || sleep 1
    n=$((n + 1))
  done
  [ -e "$dir/pid" ] || { say "the timer does not start"; return 1; }
  say armed
}

# SECONDS: the timer where there is no systemd.
waits() {
  say $$ > "$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
  n=$1
  while [ "$n" -gt 0 ] && [ -e "$dir/armed" ] && [ ! -e "$dir/now" ]; do
    sleep 1
    n=$((n - 1))
  done
  fire
}

# The process of `waits`, if it lives and is it.
waiter() {
  pid=$(cat "$dir/pid" 2> /dev/null) && [ -n "$pid" ] || return 1
  case $(ps -o args= -p "$pid" 2> /dev/null || tr '\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null) in
    *"$dir/revert.sh wait"*) say "$pid" ;;
    *) return 1 ;;
  esac
}

fire() {
  mv "$dir/armed" "$dir/firing" 2> /dev/null || { [ "$1" = boot ] && [ -e "$dir/firing" ]; } || return 0
  bad=0
  each back >> "$dir/log" 2>&1 || bad=1
  (umask 022 && after) >> "$dir/log" 2>&1 < /dev/null || bad=1
  unguard
  if [ "$bad" = 0 ]; then mv "$dir/firing" "$dir/reverted"; else mv "$dir/firing" "$dir/failed"; fi
}

# Fires without waiting for the timer, and not in this session, which it may cut.
now() {
  : > "$dir/now"
  [ -e "$dir/armed" ] || return 0
  if waiter > /dev/null; then return 0; fi
  systemctl start --no-block "$unit.service" > /dev/null 2>&1 || detached fire
}

clear() {
  rm -rf "$dir"
  rmdir "${dir%/*}" 2> /dev/null
  return 0
}

disarm() {
  if ! mv "$dir/armed" "$dir/disarmed" 2> /dev/null; then
    status
    return 0
  fi
  if pid=$(waiter); then
    kill -- "-$pid" 2> /dev/null || kill "$pid" 2> /dev/null
  elif [ -d /run/systemd/system ]; then
    systemctl stop "$unit.timer" > /dev/null 2>&1
  fi
  unguard
  clear
  say disarmed
}

# In the order in which states follow each other, so that a change in between is not missed.
status() {
  for state in armed firing reverted failed disarmed; do
    if [ -e "$dir/$state" ]; then
      say "$state"
      case $state in
        reverted) each holds ;;
        failed) tail -n 3 "$dir/log" ;;
      esac
      return 0
    fi
  done
  say none
}

case $1 in
  arm)
    arm "$2"
    exit
    ;;
  wait) waits "$2" ;;
  fire | boot) fire "$1" ;;
  now) now ;;
  disarm) disarm ;;
  status) status ;;
  clear) clear ;;
  *) exit 2 ;;
esac
exit 0
