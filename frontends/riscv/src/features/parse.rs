//! Reading CPU specifications.

use super::table::{EXTENSIONS, MODELS};
use super::{FeatureError, Features, Machine, Paging, Set, Sizes, closure, everything, index_of, list};

/// What has been asked for so far.
struct Request {
    xlen: u8,
    /// From the model.
    base: Set,
    /// Named by the user.
    on: Set,
    off: Set,
    sizes: Sizes,
    machine: Machine,
}

/// Reads a specification of a CPU; with `machine`, of one with privileged modes.
pub(super) fn features(text: &str, machine: bool) -> Result<Features, FeatureError> {
    let lower = text.to_ascii_lowercase();
    let mut parts = lower.split(',').map(str::trim);
    let mut request = base(parts.next().unwrap_or(""), machine)?;
    for part in parts.filter(|p| !p.is_empty()) {
        property(&mut request, part)?;
    }
    resolve(&request)
}

fn base(name: &str, machine: bool) -> Result<Request, FeatureError> {
    let request =
        |xlen, base, on, machine| Request { xlen, base, on, off: Set::default(), sizes: Sizes::DEFAULT, machine };
    if let Some(model) = MODELS.iter().find(|m| m.name == name) {
        let mut set = if model.exts == "*" { everything(model.xlen) } else { list(model.exts) };
        if machine {
            set.0 |= list(model.machine).0;
        }
        if let Some(planned) = set.iter().find(|&i| EXTENSIONS[i].planned) {
            return Err(FeatureError::NotImplemented(EXTENSIONS[planned].name));
        }
        return Ok(request(model.xlen, set, Set::default(), model.unit));
    }
    let (xlen, rest) = match (name.strip_prefix("rv32"), name.strip_prefix("rv64")) {
        (Some(rest), _) => (32, rest),
        (_, Some(rest)) => (64, rest),
        _ => return Err(FeatureError::UnknownModel(name.into())),
    };
    Ok(request(xlen, Set::default(), isa_string(name, rest)?, Machine::DEFAULT))
}

/// The extensions of an ISA string after `rv32` or `rv64`.
fn isa_string(all: &str, mut rest: &str) -> Result<Set, FeatureError> {
    let mut set = Set::default();
    let mut first = true;
    while !rest.is_empty() {
        let bad = || FeatureError::BadIsaString(all.into(), rest.into());
        if let Some(after) = rest.strip_prefix('_') {
            if first || after.is_empty() {
                return Err(bad());
            }
            rest = after;
            continue;
        }
        let long = rest.starts_with(['z', 's', 'x']) && rest.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic);
        let end =
            if long { rest.find('_').unwrap_or(rest.len()) } else { rest.chars().next().map_or(1, char::len_utf8) };
        let (name, after) = rest.split_at(end);
        if first && !["i", "g", "e"].contains(&name) {
            return Err(bad());
        }
        first = false;
        set.0 |= named(name).ok_or_else(bad)??.0;
        rest = if long { after } else { after_version(after) };
    }
    if first { Err(FeatureError::BadIsaString(all.into(), rest.into())) } else { Ok(set) }
}

/// The extensions that a name in an ISA string stands for; a version may follow long names.
fn named(name: &str) -> Option<Result<Set, FeatureError>> {
    if name == "g" {
        return Some(Ok(list("i m a f d zicsr zifencei")));
    }
    if name == "e" {
        return Some(Err(FeatureError::NotImplemented("e")));
    }
    let index = index_of(name).or_else(|| index_of(before_version(name)))?;
    if EXTENSIONS[index].planned {
        return Some(Err(FeatureError::NotImplemented(EXTENSIONS[index].name)));
    }
    let mut set = Set::default();
    set.insert(index);
    Some(Ok(set))
}

/// `text` without a leading version such as `2` or `2p1`.
fn after_version(text: &str) -> &str {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == text.len() {
        return text;
    }
    match rest.strip_prefix('p') {
        Some(minor) if minor.starts_with(|c: char| c.is_ascii_digit()) => {
            minor.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => rest,
    }
}

/// `text` without a trailing version.
fn before_version(text: &str) -> &str {
    let short = text.trim_end_matches(|c: char| c.is_ascii_digit());
    match short.strip_suffix('p') {
        Some(major) if short.len() < text.len() && major.ends_with(|c: char| c.is_ascii_digit()) => {
            major.trim_end_matches(|c: char| c.is_ascii_digit())
        }
        _ => short,
    }
}

fn property(request: &mut Request, text: &str) -> Result<(), FeatureError> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, value),
        None => match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(key), _) => (key, "on"),
            (_, Some(key)) => (key, "off"),
            _ => (text, "on"),
        },
    };
    let sizes = &mut request.sizes;
    let number = match key {
        "vlen" => Some((&mut sizes.vlen, 64, 65536, "a power of two from 64 to 65536")),
        "elen" => Some((&mut sizes.elen, 32, 64, "32 or 64")),
        "cbom_blocksize" => Some((&mut sizes.cbom, 8, 4096, "a power of two from 8 to 4096")),
        "cbop_blocksize" => Some((&mut sizes.cbop, 8, 4096, "a power of two from 8 to 4096")),
        "cboz_blocksize" => Some((&mut sizes.cboz, 8, 4096, "a power of two from 8 to 4096")),
        _ => None,
    };
    if let Some((place, least, most, takes)) = number {
        let good = value.parse::<u32>().ok().filter(|n| n.is_power_of_two() && (least..=most).contains(n));
        *place = good.ok_or_else(|| FeatureError::BadValue(key.into(), value.into(), takes))?;
        return Ok(());
    }
    if key == "num-pmp-regions" {
        let good = value.parse::<u32>().ok().filter(|n| [0, 16, 64].contains(n));
        let bad = || FeatureError::BadValue(key.into(), value.into(), "0, 16 or 64");
        request.machine.pmp = good.ok_or_else(bad)?;
        return Ok(());
    }
    if let Some(which) = ["mvendorid", "marchid", "mimpid"].iter().position(|name| *name == key) {
        request.machine.ids[which] = id(key, value, request.xlen)?;
        return Ok(());
    }
    let wanted = match value {
        "on" | "true" | "yes" => true,
        "off" | "false" | "no" => false,
        _ => return Err(FeatureError::BadValue(key.into(), value.into(), "on or off")),
    };
    if machine_property(&mut request.machine, key, wanted) {
        return Ok(());
    }
    let set = if key == "g" {
        list("i m a f d zicsr zifencei")
    } else {
        let index = index_of(key).ok_or_else(|| FeatureError::Unknown(key.into()))?;
        if wanted && EXTENSIONS[index].planned {
            return Err(FeatureError::NotImplemented(EXTENSIONS[index].name));
        }
        Set(1 << index)
    };
    let (to, from) = if wanted { (&mut request.on, &mut request.off) } else { (&mut request.off, &mut request.on) };
    to.0 |= set.0;
    *from = from.without(set);
    Ok(())
}

/// A CPU's identity: 32 bits, or XLEN of them but for `mvendorid`.
fn id(key: &str, value: &str, xlen: u8) -> Result<u64, FeatureError> {
    let number = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    let (most, takes) = match (key, xlen) {
        ("mvendorid", _) | (_, 32) => (u64::from(u32::MAX), "a number of 32 bits"),
        _ => (u64::MAX, "a number of 64 bits"),
    };
    number.ok().filter(|n| *n <= most).ok_or_else(|| FeatureError::BadValue(key.into(), value.into(), takes))
}

/// Properties of the privileged architecture that are no extensions; is it one?
fn machine_property(machine: &mut Machine, key: &str, wanted: bool) -> bool {
    let (on, off) = match key {
        "mmu" => (machine.paging.max(Paging::Sv39), Paging::Bare),
        "sv32" | "sv39" => (machine.paging.max(Paging::Sv39), Paging::Bare),
        "sv48" => (machine.paging.max(Paging::Sv48), machine.paging.min(Paging::Sv39)),
        "sv57" => (Paging::Sv57, machine.paging.min(Paging::Sv48)),
        "pmp" => {
            machine.pmp = if wanted { machine.pmp.max(Machine::PMP) } else { 0 };
            return true;
        }
        // M, S and U are always there.
        "s" | "u" => return wanted,
        _ => return false,
    };
    machine.paging = if wanted { on } else { off };
    true
}

/// Makes a request consistent.  What the user switched off takes along what the model has on top of it, but not what the
/// user asked for.
fn resolve(request: &Request) -> Result<Features, FeatureError> {
    let off = Set(request.off.iter().fold(0, |bits, i| {
        let parts = if EXTENSIONS[i].umbrella { closure(Set(1 << i)).0 } else { 0 };
        bits | 1 << i | parts
    }))
    .without(closure(request.on));
    for i in request.on.iter() {
        let needs = closure(Set(1 << i));
        if let Some(missing) = needs.iter().find(|&n| request.off.has(n)) {
            return Err(FeatureError::Needs(EXTENSIONS[i].name, EXTENSIONS[missing].name));
        }
        let wrong = needs.iter().find(|&n| ![0, request.xlen].contains(&EXTENSIONS[n].xlen));
        if let Some(wrong) = wrong {
            return Err(FeatureError::WrongXlen(EXTENSIONS[wrong].name, EXTENSIONS[wrong].xlen));
        }
    }
    let mut set = Set::default();
    for i in request.base.without(off).iter() {
        if !closure(Set(1 << i)).meets(off) {
            set.insert(i);
        }
    }
    set.0 |= request.on.0;
    let mut set = closure(set);
    if index_of("i").is_none_or(|i| !set.has(i)) {
        return Err(FeatureError::NoBase);
    }
    // C stands for the loads and stores of the formats that are there (unprivileged manual, "Zc* extensions").
    let has = |set: Set, name| index_of(name).is_some_and(|i| set.has(i));
    if has(set, "c") {
        for (format, part, xlen) in [("d", "zcd", 0), ("f", "zcf", 32)] {
            if has(set, format) && (xlen == 0 || xlen == request.xlen) {
                if has(request.off, part) {
                    return Err(FeatureError::Needs("c", EXTENSIONS[index_of(part).unwrap_or(0)].name));
                }
                set.0 |= list(part).0;
            }
        }
    }
    let features = Features { xlen: request.xlen, set, sizes: request.sizes, machine: request.machine };
    let bad = |key: &str, value: u32, takes| Err(FeatureError::BadValue(key.into(), value.to_string(), takes));
    match request.sizes {
        Sizes { vlen, .. } if vlen > 0 && vlen < features.least_vlen() => bad("vlen", vlen, "what Zvl*b allow"),
        Sizes { elen, .. } if elen > 0 && elen != u32::from(features.elen()) && has(set, "zve32x") => {
            bad("elen", elen, "what Zve* allow")
        }
        _ => Ok(features),
    }
}
