//! Descriptors that users hand over to backends: inherited ones by their number, others by a name that they were given
//! (QMP's `getfd`).

use std::collections::BTreeMap;

/// A descriptor.
#[cfg(unix)]
pub type Descriptor = std::os::fd::OwnedFd;

/// A descriptor; other systems have none.
#[cfg(not(unix))]
#[derive(Debug)]
pub enum Descriptor {}

/// Descriptors with names.
#[derive(Debug, Default)]
pub struct Descriptors(BTreeMap<String, Descriptor>);

impl Descriptors {
    /// Gives a descriptor a name; one that had it is closed.
    ///
    /// # Errors
    /// A name that begins with a digit: that would be a number.
    pub fn insert(&mut self, name: &str, descriptor: Descriptor) -> Result<(), String> {
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("'{name}' is no name for a file descriptor: it must not begin with a digit"));
        }
        self.0.insert(name.to_owned(), descriptor);
        Ok(())
    }

    /// Closes a descriptor; false if there is none of this name.
    pub fn close(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Takes a descriptor out: by its name, or by its number if tern was started with it.  Each can be taken once.
    ///
    /// # Errors
    /// There is no such descriptor, in one line.
    pub fn take(&mut self, text: &str) -> Result<Descriptor, String> {
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return self.0.remove(text).ok_or_else(|| format!("file descriptor named '{text}' has not been found"));
        }
        let number: i32 = text.parse().map_err(|_| format!("invalid file descriptor number '{text}'"))?;
        inherit(number).map_err(|e| format!("file descriptor {number}: {e}"))
    }
}

#[cfg(target_os = "linux")]
fn inherit(number: i32) -> std::io::Result<Descriptor> {
    Ok(crate::sys::socket::inherit(number)?)
}

#[cfg(not(target_os = "linux"))]
fn inherit(_: i32) -> std::io::Result<Descriptor> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::Descriptors;
    use std::io::pipe;

    #[test]
    fn names_and_numbers() {
        let (read, write) = pipe().unwrap();
        let mut all = Descriptors::default();
        all.insert("end", write.into()).unwrap();
        all.insert("other", read.into()).unwrap();
        assert!(all.insert("7up", pipe().unwrap().0.into()).is_err());
        assert!(all.take("end").is_ok() && all.take("end").unwrap_err().contains("'end'"));
        assert!(all.close("other") && !all.close("other"));
        // One of tern's own, whoever names its number.
        let (mine, _) = pipe().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&mine).to_string();
        assert!(all.take(&number).is_err());
        assert!(all.take("99999999999").unwrap_err().contains("invalid"));
        assert!(all.take("12345").unwrap_err().contains("12345"));
    }
}
