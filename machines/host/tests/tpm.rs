//! TPMs behind Debian's swtpm; without it these tests say so and end.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tern_core::backend::{Tpm, TpmVersion};
use tern_host::tpm::{self, Responses};

/// A running swtpm with a state of its own.
struct Swtpm {
    child: Child,
    folder: PathBuf,
}

impl Swtpm {
    fn start(name: &str, options: &[&str]) -> Option<Swtpm> {
        let folder = std::env::temp_dir().join(format!("tern-tpm-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("swtpm");
        command.args(["socket", "--tpmstate", &format!("dir={}", folder.display())]);
        command.args(["--ctrl", &format!("type=unixio,path={}", folder.join("control").display())]);
        let Ok(child) = command.args(options).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            eprintln!("swtpm is not installed: nothing is tested");
            return None;
        };
        let swtpm = Swtpm { child, folder };
        let begin = Instant::now();
        while !swtpm.control().exists() && begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(swtpm)
    }

    fn control(&self) -> PathBuf {
        self.folder.join("control")
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn connect(path: &Path) -> Result<(Box<dyn Tpm>, Responses), String> {
    let control = UnixStream::connect(path).map_err(|e| e.to_string())?;
    tpm::open(control, Box::new(|text| eprintln!("{text}")))
}

fn execute(tpm: &mut dyn Tpm, responses: &mut Responses, command: &[u8]) -> Vec<u8> {
    tpm.submit(0, command);
    let begin = Instant::now();
    loop {
        if let Some(response) = responses.poll() {
            return response;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "no response");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// TPM2_Startup(CLEAR), TPM2_GetRandom(8).
const STARTUP: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
const RANDOM: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8];

#[test]
fn a_tpm_2_starts_and_answers() {
    let Some(swtpm) = Swtpm::start("2", &["--tpm2"]) else { return };
    let (mut tpm, mut responses) = connect(&swtpm.control()).unwrap();
    assert_eq!((tpm.version(), tpm.buffer_size() >= 1024), (TpmVersion::V2_0, true));
    assert!(responses.fd().is_some() && responses.poll().is_none());
    for _ in 0..2 {
        tpm.start();
        assert!(!tpm.established());
        assert_eq!(execute(&mut *tpm, &mut responses, &RANDOM)[6..], [0, 0, 1, 0], "it must be started first");
        assert_eq!(execute(&mut *tpm, &mut responses, &STARTUP), [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0]);
        let random = execute(&mut *tpm, &mut responses, &RANDOM);
        assert_eq!((random.len(), &random[..12]), (20, &[0x80, 1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 8][..]));
    }
    tpm.cancel();
    tpm.reset_established(3);
    assert!(!tpm.established());
}

#[test]
fn a_tpm_1_2_is_recognized() {
    let Some(swtpm) = Swtpm::start("1.2", &[]) else { return };
    let (mut tpm, mut responses) = connect(&swtpm.control()).unwrap();
    assert_eq!(tpm.version(), TpmVersion::V1_2);
    tpm.start();
    // TPM_Startup(ST_CLEAR).
    let startup = [0, 0xc1, 0, 0, 0, 12, 0, 0, 0, 0x99, 0, 1];
    assert_eq!(execute(&mut *tpm, &mut responses, &startup)[..6], [0, 0xc4, 0, 0, 0, 10]);
}

#[test]
fn an_emulator_that_is_gone_fails_commands() {
    assert!(connect(Path::new("/nonexistent/tpm")).is_err());
    let Some(mut swtpm) = Swtpm::start("gone", &["--tpm2"]) else { return };
    let (mut tpm, mut responses) = connect(&swtpm.control()).unwrap();
    tpm.start();
    swtpm.child.kill().unwrap();
    swtpm.child.wait().unwrap();
    assert_eq!(execute(&mut *tpm, &mut responses, &STARTUP), [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1]);
    assert!(responses.poll().is_none() && responses.fd().is_none());
}
