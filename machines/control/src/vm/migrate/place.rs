//! Where migrations go and come from: URIs and channels (QEMU QMP Reference Manual, `migrate`).

use serde_json::{Map, Value};
use tern_host::channel::Place;
use tern_host::net::Address;

/// What a URI stands for.
///
/// # Errors
/// In one line.
pub fn uri(text: &str) -> Result<Place, String> {
    let unknown = || format!("unknown migration protocol: {text}");
    let (protocol, rest) = text.split_once(':').ok_or_else(unknown)?;
    match protocol {
        "tcp" => {
            let address = rest.split(',').next().unwrap_or_default();
            let wrong = |why| format!("error parsing address '{rest}': {why}");
            Ok(Place::Address(Address::host_port(address).map_err(wrong)?))
        }
        "unix" => Ok(Place::Address(Address::unix(rest))),
        "fd" => Ok(Place::Address(Address::Fd(rest.to_owned()))),
        "exec" => Ok(Place::Command(vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()])),
        "file" => match rest.split_once(",offset=") {
            None => Ok(Place::File(rest.into(), 0)),
            Some((path, offset)) => Ok(Place::File(path.into(), bytes(offset)?)),
        },
        "vsock" | "rdma" => Err(format!("migration over {protocol} is not built")),
        _ => Err(unknown()),
    }
}

/// A number of bytes: decimal or hexadecimal, with a suffix or without.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("file URI has bad offset {text}");
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).map_err(|_| wrong());
    }
    crate::grammar::size(text, 0).ok_or_else(wrong)
}

/// What the address of a channel stands for.
///
/// # Errors
/// In one line.
pub fn channel(transport: &str, rest: &Map<String, Value>) -> Result<Place, String> {
    let text = |name: &str| match rest.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("Parameter 'channels[0].addr.{name}' is missing")),
    };
    match transport {
        "socket" => match text("type")?.as_str() {
            "inet" => {
                let (host, port) = (text("host")?, text("port")?);
                let port = port.parse().map_err(|_| format!("port '{port}' is not known"))?;
                Ok(Place::Address(Address::inet(&host, port)))
            }
            "unix" => Ok(Place::Address(Address::unix(text("path")?))),
            "fd" => Ok(Place::Address(Address::Fd(text("str")?))),
            other => Err(format!("migration over {other} is not built")),
        },
        "exec" => {
            let words = rest.get("args").and_then(Value::as_array);
            let words = words.ok_or("Parameter 'channels[0].addr.args' is missing")?;
            let words: Option<Vec<String>> = words.iter().map(|w| w.as_str().map(str::to_owned)).collect();
            let words = words.filter(|w| !w.is_empty());
            Ok(Place::Command(words.ok_or("Parameter 'channels[0].addr.args' is no command")?))
        }
        "file" => {
            let offset = rest.get("offset").map_or(Some(0), Value::as_u64);
            let offset = offset.ok_or("Parameter 'channels[0].addr.offset' expects an uint64")?;
            Ok(Place::File(text("filename")?.into(), offset))
        }
        "rdma" => Err("migration over rdma is not built".to_owned()),
        other => Err(format!("Parameter 'transport' does not accept value '{other}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        assert_eq!(uri("tcp:[::1]:4444"), Ok(Place::Address(Address::inet("::1", 4444))));
        assert_eq!(uri("tcp::4444,ipv4=on"), Ok(Place::Address(Address::inet("", 4444))));
        assert_eq!(uri("unix:/a,b"), Ok(Place::Address(Address::unix("/a,b"))));
        assert_eq!(uri("fd:7"), Ok(Place::Address(Address::Fd("7".to_owned()))));
        assert_eq!(uri("file:/x,offset=0x10"), Ok(Place::File("/x".into(), 16)));
        assert_eq!(uri("file:/x"), Ok(Place::File("/x".into(), 0)));
        assert!(matches!(uri("exec:cat > x"), Ok(Place::Command(words)) if words[2] == "cat > x"));
        for bad in ["tcp:x", "nothing", "ftp:x", "file:/x,offset=y", "vsock:1:2"] {
            let why = uri(bad).unwrap_err();
            assert!(!why.contains('\n'), "{bad}: {why}");
        }
    }
}
