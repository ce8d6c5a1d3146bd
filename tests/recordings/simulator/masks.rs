//! What may differ between the recorded node and the simulated one. The only place for it.

use serde_json::{Map, Value};

/// Keys whose values depend on the moment, the machine or a random number.
const VOLATILE: &[&str] = &[
    "avail",
    "cpu",
    "ctime",
    "digest",
    "disk",
    "diskread",
    "diskwrite",
    "endtime",
    "exact",
    "free",
    "idle",
    "kversion",
    "last_update",
    "loadavg",
    "mem",
    "memory-used",
    "model",
    "mhz",
    "flags",
    "netin",
    "netout",
    "pid",
    "pstart",
    "release-kernel",
    "snaptime",
    "ssl_fingerprint",
    "starttime",
    "total",
    "uptime",
    "used",
    "used_fraction",
    "vmgenid",
    "saved",
    "freemem",
    "smbios1",
    "meta",
    "sshkeys",
    "mem_used",
];

/// Objects that hold counters of QEMU or of the guest: compared by their keys, not their values.
const COUNTERS: &[&str] = &["blockstat", "ballooninfo", "nics", "current-kernel", "memory", "rootfs", "statistics"];

/// Counters that QEMU shows only once they have moved.
const SOMETIMES: &[&str] = &["idle_time_ns"];

/// Lists of words that come in the order of a hash.
const WORD_LISTS: &[&str] = &["content"];

/// A value with everything volatile replaced, and lists of objects sorted: their order is that of a Perl hash.
pub fn json(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(object(map)),
        Value::Array(list) => {
            if let Some(log) = log(list) {
                return Value::from(log);
            }
            let mut list: Vec<Value> = list.iter().map(json).collect();
            if list.iter().all(Value::is_object) {
                list.sort_by_cached_key(ToString::to_string);
            }
            Value::Array(list)
        }
        Value::String(text) => Value::String(self::text(text)),
        other => other.clone(),
    }
}

/// The lines of a task's log as one text; none if the list is none.
fn log(list: &[Value]) -> Option<String> {
    let line = |(at, item): (usize, &Value)| {
        let map = item.as_object().filter(|map| map.len() == 2)?;
        let numbered = map.get("n")?.as_u64().is_some();
        assert!(numbered, "line {at} of a log without a number");
        map.get("t")?.as_str().map(str::to_owned)
    };
    let lines: Option<Vec<String>> = list.iter().enumerate().map(line).collect();
    lines.filter(|lines| !lines.is_empty()).map(|lines| text(&lines.join("\n")))
}

fn object(map: &Map<String, Value>) -> Map<String, Value> {
    // `{"key": "digest", "value": ...}` of the pending list hides the same values.
    let own_key = map.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut out: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !SOMETIMES.contains(&key.as_str()))
        .map(|(key, value)| {
            let masked = match value {
                _ if key == "value" && VOLATILE.contains(&own_key.as_str()) => Value::from("*"),
                Value::Object(inner) if COUNTERS.contains(&key.as_str()) => Value::Object(counters(inner)),
                Value::Object(_) => json(value),
                Value::String(text) if WORD_LISTS.contains(&key.as_str()) => Value::from(sorted_words(text)),
                _ if VOLATILE.contains(&key.as_str()) => Value::from("*"),
                _ => json(value),
            };
            (key.clone(), masked)
        })
        .collect();
    out.sort_keys();
    out
}

fn counters(map: &Map<String, Value>) -> Map<String, Value> {
    let mut out: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !SOMETIMES.contains(&key.as_str()))
        .map(|(key, value)| match value {
            Value::Object(inner) => (key.clone(), Value::Object(counters(inner))),
            _ => (key.clone(), Value::from("*")),
        })
        .collect();
    out.sort_keys();
    out
}

fn sorted_words(text: &str) -> String {
    let mut words: Vec<_> = text.split(',').collect();
    words.sort_unstable();
    words.join(",")
}

/// A text with UPIDs, MAC addresses, UUIDs, amounts of saved memory and waiting for locks replaced.
pub fn text(text: &str) -> String {
    // A lock that was got after a wait: whether one has to wait is the machine's business.
    let text = text.replace("trying to acquire lock...\n OK\n", "");
    let mut out: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let line = words(line);
        // Progress lines come as often as there is time for.
        let repeated = line.starts_with("#amount") && out.last() == Some(&line);
        if !repeated {
            out.push(line);
        }
    }
    out.join("\n")
}

fn words(line: &str) -> String {
    let line = amounts(line);
    // Process ids and times in a table of keys and values.
    if ["│ pid ", "│ pstart ", "│ starttime "].iter().any(|key| line.starts_with(key)) {
        return line.chars().filter(|c| !c.is_ascii_digit() && *c != ' ').collect();
    }
    // A name that bears the day on which it was made, and the tree of snapshots with its times.
    let line = dates(&line);
    let mut out = String::new();
    let mut rest = line.as_str();
    while !rest.is_empty() {
        let length = volatile_word(rest);
        if let Some((name, length)) = length {
            out.push_str(name);
            rest = &rest[length..];
        } else {
            let step = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..step]);
            rest = &rest[step..];
        }
    }
    out
}

/// `2026-11-22 04:44:56` to `#date #clock`: moments, not days.
fn dates(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_date = |word: &str| word.len() == 10 && word.starts_with("20") && word.matches('-').count() == 2;
    let is_clock = |word: &str| word.len() == 8 && word.matches(':').count() == 2;
    let masked = words
        .iter()
        .enumerate()
        .map(|(at, word)| if is_clock(word) && at > 0 && is_date(words[at - 1]) { "#clock" } else { *word });
    masked.collect::<Vec<_>>().join(" ")
}

/// A volatile word at the beginning of a text: what to put in its place, and its length.
fn volatile_word(text: &str) -> Option<(&'static str, usize)> {
    let bytes = text.as_bytes();
    if text.starts_with("UPID:") {
        // UPID:node:pid:pstart:start:type:id:user:
        let colons: Vec<_> = text.match_indices(':').map(|(at, _)| at).take(8).collect();
        if colons.len() == 8 && colons[4] < 80 {
            return Some(("UPID*", colons[4]));
        }
    }
    if text.starts_with("BC:24:11:") && bytes.len() >= 17 {
        return Some(("MAC", 17));
    }
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let dashes = [8, 13, 18, 23];
    let uuid = bytes.len() >= 36 && (0..36).all(|at| if dashes.contains(&at) { bytes[at] == b'-' } else { hex(at) });
    if uuid {
        return Some(("UUID", 36));
    }
    // A moment of those days, seconds since 1970.
    if text.starts_with("1795") && bytes.iter().take_while(|byte| byte.is_ascii_digit()).count() == 10 {
        return Some(("#time", 10));
    }
    if let Some(digits) = text.strip_prefix("ctime=") {
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        return Some(("ctime=*", 6 + length));
    }
    None
}

/// `qm status --verbose`: counters of QEMU and of the guest by their names only, the rest as it is.
pub fn tabbed(text: &str) -> String {
    let lines = text.lines().filter(|line| !SOMETIMES.iter().any(|name| line.trim_start().starts_with(name)));
    let mask = |line: &str| match line.split_once(": ") {
        Some((key, value)) if value.parse::<f64>().is_ok() => {
            let inner = key.starts_with('\t') && !line.contains("backup") && !line.contains("pbs");
            let name = key.trim_start();
            if inner || VOLATILE.contains(&name) { format!("{key}: *") } else { line.to_owned() }
        }
        _ => line.to_owned(),
    };
    lines.map(|line| mask(line) + "\n").collect()
}

/// `3.01 MiB in 0s` and `completed saving the VM state in 1s, saved 237.22 MiB`.
fn amounts(line: &str) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let parts: Vec<&str> = line.split(' ').collect();
    if let [number, unit, "in", time] = parts.as_slice()
        && number.parse::<f64>().is_ok()
        && units.contains(unit)
        && time.ends_with('s')
    {
        return "#amount".into();
    }
    if line.starts_with("completed saving the VM state in ") {
        return "completed saving the VM state in #amount".into();
    }
    line.to_owned()
}

#[test]
fn masks_hide_what_is_volatile_and_nothing_else() {
    assert_eq!(text("UPID:pve1:00003FB2:000CB814:6B0282AC:qmstart:300:root@pam:"), "UPID*:qmstart:300:root@pam:");
    assert_eq!(text("virtio=BC:24:11:14:16:4B,bridge=vmbr0"), "virtio=MAC,bridge=vmbr0");
    assert_eq!(text("3.01 MiB in 0s\n218.59 MiB in 1s\nx"), "#amount\nx");
    assert_eq!(text("VM 300 already running"), "VM 300 already running");
    let value = serde_json::json!({"pid": 5, "name": "a", "blockstat": {"scsi0": {"idle_time_ns": 1, "rd": 2}}});
    let want = serde_json::json!({"pid": "*", "name": "a", "blockstat": {"scsi0": {"rd": "*"}}});
    assert_eq!(json(&value), json(&want));
}
