//! Intel 6300ESB watchdog timer (Intel 6300ESB I/O Controller Hub datasheet, chapter 15).  The interrupt at the end of the
//! first stage is only seen in the status register: on the hub it goes to an input of its own I/O APIC, or is an SMI.

use crate::catalogue::Class;
use crate::model::{Build, Model};
use crate::pci::config::ConfigState;
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::{Deserialize, Serialize};
use tern_core::device::{Kit, Request};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "i6300esb";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "Intel 6300ESB watchdog with two stages",
    parents: &[],
    props: &[],
    bus: None,
    build: Build::Pci(|kit, _| Ok(Box::new(Watchdog::new(kit)))),
}];

/// In the configuration space: the configuration register, and the lock register.
const CONFIG: usize = 0x60;
const LOCK: usize = 0x68;
/// Configuration: no reset when the second stage ends; the clock is 1 MHz, not 1 kHz; what the first stage does.
const CONFIG_NO_OUTPUT: u8 = 0x20;
const CONFIG_FAST: u8 = 0x04;
const CONFIG_TYPE: u8 = 0x03;
/// Nothing is signalled when the first stage ends.
const TYPE_NONE: u8 = 3;
/// Lock: begin again after the second stage; count; the register is fixed until reset.
const LOCK_FREE_RUNNING: u8 = 4;
const LOCK_ENABLE: u8 = 2;
const LOCK_LOCKED: u8 = 1;
/// Reload: begin again.
const RELOAD: u64 = 0x100;
/// Reload: the second stage has ended once.  The datasheet has bit 9; Linux used bit 12 for years.
const TIMEOUT: u64 = 0x1200;
/// What unlocks the registers for one write.
const KEYS: [u64; 2] = [0x80, 0x86];
/// Bits of a stage's length.
const PRELOAD: u32 = 0x000f_ffff;
/// A tick of the PCI clock.
const TICK_NS: u64 = 30;

registers! {
    static REGS: Watchdog, "i6300esb", sizes [1, 2, 4];
    0x00 [2; 4] PRELOAD 4 rw reset 0xf_ffff, "15.2.1", read |d, n| u64::from(d.state.preload[n as usize]),
        write |d, n, v| d.unlocked(|d| d.state.preload[n as usize] = v as u32 & PRELOAD);
    0x08 GENERAL_INTERRUPT_STATUS 4 rw reset 0, "15.2.3", read |d, _| u64::from(d.state.ended),
        write |d, _, v| d.unlocked(|d| d.state.ended &= v & 1 == 0);
    0x0c area 4 RELOAD, "15.2.4", read |d, at, _| if d.state.timeout { TIMEOUT >> (8 * at) } else { 0 },
        write |d, at, _, v| d.reload(v << (8 * at));
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    preload: [u32; 2],
    /// The stage that runs, 0 or 1.
    stage: u8,
    /// How many of the keys have been given.
    keys: u8,
    /// The first stage has ended.
    ended: bool,
    /// The second stage has ended once.
    timeout: bool,
}

impl State {
    fn new(timeout: bool) -> State {
        State { preload: [PRELOAD; 2], stage: 0, keys: 0, ended: false, timeout }
    }
}

/// The device.
pub struct Watchdog {
    kit: Kit,
    config: Config,
    state: State,
}

impl Watchdog {
    /// A new one.
    #[must_use]
    pub fn new(kit: Kit) -> Watchdog {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x8086, device: 0x25ab, revision: 0, class: 0x08_8000, subsystem });
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 16 });
        config.writable(CONFIG, &[CONFIG_NO_OUTPUT | CONFIG_FAST | CONFIG_TYPE]);
        config.writable(LOCK, &[LOCK_FREE_RUNNING | LOCK_ENABLE | LOCK_LOCKED]);
        config.seal();
        Watchdog { kit, config, state: State::new(false) }
    }

    /// Begins a stage.
    fn begin(&mut self, stage: u8) {
        if self.config.byte_at(LOCK) & LOCK_ENABLE == 0 {
            return;
        }
        self.state.stage = stage;
        let shift = if self.config.byte_at(CONFIG) & CONFIG_FAST != 0 { 5 } else { 15 };
        // A stage of length 0 takes one step, so that time passes.
        let ticks = u64::from(self.state.preload[usize::from(stage)].max(1)) << shift;
        self.kit.clock.schedule(0, self.kit.clock.now().saturating_add(TICK_NS * ticks));
    }

    /// Does this if the keys have been given, and wants them again.
    fn unlocked(&mut self, f: impl FnOnce(&mut Watchdog)) {
        if usize::from(self.state.keys) == KEYS.len() {
            f(self);
        } else {
            self.kit.report.guest_error(format_args!("write to a register that is locked"));
        }
        self.state.keys = 0;
    }

    fn reload(&mut self, value: u64) {
        if value == KEYS[0] {
            self.state.keys = 1;
        } else if value == KEYS[1] && self.state.keys == 1 {
            self.state.keys = 2;
        } else {
            self.unlocked(|d| {
                if value & RELOAD != 0 {
                    d.begin(0);
                }
                d.state.timeout &= value & TIMEOUT == 0;
            });
        }
    }

    fn first_stage_ended(&mut self) {
        self.state.ended = true;
        if self.config.byte_at(CONFIG) & CONFIG_TYPE != TYPE_NONE {
            self.kit.report.unimplemented(format_args!("the first stage's interrupt leads nowhere"));
        }
        self.begin(1);
    }

    fn second_stage_ended(&mut self) {
        self.state.timeout = true;
        let again = self.config.byte_at(LOCK) & LOCK_FREE_RUNNING != 0;
        if self.config.byte_at(CONFIG) & CONFIG_NO_OUTPUT == 0 {
            self.kit.messenger.request(Request::Watchdog);
        }
        if again {
            self.begin(0);
        }
    }
}

impl PciFunction for Watchdog {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        let before = self.config.byte_at(LOCK);
        self.config.write(at, size, value);
        if before & LOCK_LOCKED != 0 {
            return self.config.put(LOCK, &[before]);
        }
        match (before & LOCK_ENABLE, self.config.byte_at(LOCK) & LOCK_ENABLE) {
            (0, LOCK_ENABLE) => self.begin(0),
            (LOCK_ENABLE, 0) => self.kit.clock.cancel(0),
            _ => {}
        }
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn event(&mut self, _token: u32) {
        if self.config.byte_at(LOCK) & LOCK_ENABLE == 0 {
            return;
        }
        if self.state.stage == 0 {
            self.first_stage_ended();
        } else {
            self.second_stage_ended();
        }
    }

    fn reset(&mut self) {
        self.kit.clock.cancel(0);
        self.config.reset();
        // The timeout is kept over resets, so that the next system learns why it was reset (15.2.4).
        self.state = State::new(self.state.timeout);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(self.config.save(), &self.state))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state): (ConfigState, State) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        check(state.preload.iter().all(|n| n & !PRELOAD == 0), "preload", || format!("{:#x?}", state.preload))?;
        check(state.stage < 2, "stage", || state.stage.to_string())?;
        check(usize::from(state.keys) <= KEYS.len(), "keys", || state.keys.to_string())?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use tern_core::device::Signal;

    fn unlock(d: &mut Watchdog) {
        d.write(0, 0xc, Size::B2, 0x80);
        d.write(0, 0xc, Size::B2, 0x86);
    }

    /// As Linux' driver: stages of one second, no interrupt; then it is on.
    fn started(bench: &mut Bench) -> Watchdog {
        let mut d = Watchdog::new(bench.kit(NAME));
        d.write_config(CONFIG, Size::B2, 3);
        for n in 0..2 {
            unlock(&mut d);
            d.write(0, 4 * n, Size::B4, 1 << 10);
        }
        unlock(&mut d);
        d.write(0, 0xc, Size::B2, RELOAD);
        d.write_config(LOCK, Size::B1, u64::from(LOCK_ENABLE));
        d
    }

    fn wait(bench: &mut Bench, d: &mut Watchdog, ns: u64) {
        let end = bench.queue.now() + ns;
        while let Some(due) = bench.queue.pop(end) {
            bench.queue.set_now(due.at);
            d.event(due.token);
        }
        bench.queue.set_now(end);
    }

    /// 2^25 ticks.
    const STAGE: u64 = TICK_NS << 25;

    #[test]
    fn two_stages_without_a_sign_of_life_are_a_request() {
        let mut bench = Bench::new();
        let mut d = started(&mut bench);
        wait(&mut bench, &mut d, STAGE + STAGE / 2);
        assert_eq!((d.read(0, 8, Size::B4), bench.signals()), (1, vec![]));
        unlock(&mut d);
        d.write(0, 0xc, Size::B2, RELOAD);
        wait(&mut bench, &mut d, STAGE + STAGE / 2);
        assert_eq!((d.read(0, 0xc, Size::B2), bench.signals()), (0, vec![]));
        wait(&mut bench, &mut d, STAGE / 2);
        assert_eq!(bench.signals(), [Signal::Request(Request::Watchdog)]);
        d.reset();
        assert_eq!(d.read(0, 0xc, Size::B2), TIMEOUT);
        unlock(&mut d);
        d.write(0, 0xc, Size::B2, 0x200);
        assert_eq!((d.read(0, 0xc, Size::B2), bench.guest_errors(), bench.unimplemented()), (0, 0, 0));
        wait(&mut bench, &mut d, 10 * STAGE);
        assert_eq!(bench.signals(), []);
    }

    #[test]
    fn registers_are_locked() {
        let mut bench = Bench::new();
        let mut d = started(&mut bench);
        d.write(0, 0, Size::B4, 5);
        assert_eq!((d.read(0, 0, Size::B4), bench.guest_errors()), (1 << 10, 1));
        d.write_config(LOCK, Size::B1, u64::from(LOCK_ENABLE | LOCK_LOCKED));
        d.write_config(LOCK, Size::B4, 0);
        assert_eq!(d.read_config(LOCK, Size::B1), 3);
        wait(&mut bench, &mut d, 2 * STAGE);
        assert_eq!(bench.signals(), [Signal::Request(Request::Watchdog)]);
    }

    #[test]
    fn stages_of_no_length_let_time_pass() {
        let mut bench = Bench::new();
        let mut d = started(&mut bench);
        for n in 0..2 {
            unlock(&mut d);
            d.write(0, 4 * n, Size::B4, 0);
        }
        d.write_config(LOCK, Size::B1, 0);
        d.write_config(CONFIG, Size::B2, u64::from(CONFIG_FAST | CONFIG_NO_OUTPUT));
        d.write_config(LOCK, Size::B1, u64::from(LOCK_ENABLE | LOCK_FREE_RUNNING));
        wait(&mut bench, &mut d, 1_000_000);
        assert_eq!((bench.signals(), bench.unimplemented()), (vec![], 521));
    }
}
