//! Intel 82801AA AC '97 audio controller (Intel 82801AA ICH datasheet, chapter 13) with a SigmaTel STAC9700 codec (AC '97
//! component specification 2.1).

use super::gain;
use super::pace::Pace;
use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use crate::pci::config::{ConfigState, command, reg};
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::{Deserialize, Serialize};
use tern_core::backend::{Audio, AudioFormat};
use tern_core::device::{Kit, Reporter};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "AC97";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &["ac97"],
    class: Class::Sound,
    about: "Intel 82801AA AC '97 audio controller with a STAC9700 codec",
    parents: &[],
    props: &[Prop::new("audiodev", PropKind::Text(""), "where it plays to and records from")],
    bus: None,
    build: Build::Pci(|kit, wants| Ok(Box::new(Ac97::new(kit, wants.audio("audiodev", 0)?)))),
}];

/// Bus masters, in the order of their registers; also the numbers of their streams and events.
const IN: usize = 0;
const OUT: usize = 1;
const ENGINES: usize = 3;
/// Descriptors of a bus master's list.
const DESCRIPTORS: u8 = 32;
/// Descriptor: an interrupt follows; in the upper half of its second word.
const INTERRUPT: u16 = 0x8000;
/// Most samples that are moved in one go.
const MOST: u64 = 1 << 16;
/// Frames are moved so many times in a second, or more often.
const HERTZ: u32 = 100;

/// Status of a bus master (13.2.4).
mod sr {
    pub(super) const HALTED: u8 = 0x01;
    pub(super) const AT_LAST: u8 = 0x02;
    pub(super) const LAST: u8 = 0x04;
    pub(super) const COMPLETE: u8 = 0x08;
    pub(super) const FIFO: u8 = 0x10;
    pub(super) const CLEARED: u8 = LAST | COMPLETE | FIFO;
}

/// Control of a bus master (13.2.7).
mod cr {
    pub(super) const RUN: u8 = 0x01;
    pub(super) const RESET: u8 = 0x02;
    pub(super) const LAST: u8 = 0x04;
    pub(super) const FIFO: u8 = 0x08;
    pub(super) const COMPLETE: u8 = 0x10;
    pub(super) const ALL: u8 = 0x1f;
}

/// Global control: not in cold reset; warm reset, which is over at once; and what holds its value.
const COLD: u32 = 0x02;
const GLOBAL_CONTROL: u32 = 0x3b;
/// Global status: the codec is ready; interrupts of the bus masters; bits that the codec's power state is kept in.
const CODEC_READY: u32 = 0x100;
const PENDING: [u32; ENGINES] = [0x20, 0x40, 0x80];
const GLOBAL_STATUS: u32 = 0x0003_0000;

/// Registers of the codec, by their numbers' halves.
mod mixer {
    const fn at(offset: usize) -> usize {
        offset / 2
    }

    pub(super) const RESET: usize = at(0x00);
    pub(super) const MASTER: usize = at(0x02);
    pub(super) const PCM_OUT: usize = at(0x18);
    pub(super) const SELECT: usize = at(0x1a);
    pub(super) const RECORD: usize = at(0x1c);
    pub(super) const POWER: usize = at(0x26);
    pub(super) const EXTENDED_ID: usize = at(0x28);
    pub(super) const EXTENDED: usize = at(0x2a);
    pub(super) const DAC_RATE: usize = at(0x2c);
    pub(super) const SURROUND_RATE: usize = at(0x2e);
    pub(super) const LFE_RATE: usize = at(0x30);
    pub(super) const ADC_RATE: usize = at(0x32);
    pub(super) const MIC_RATE: usize = at(0x34);
    pub(super) const VENDOR1: usize = at(0x7c);
    pub(super) const VENDOR2: usize = at(0x7e);
    pub(super) const COUNT: usize = 64;
}

/// Extended audio: variable rates, and of the microphone.
const VARIABLE: u16 = 1;
const VARIABLE_MIC: u16 = 8;
/// The rate that is not variable.
const FIXED_RATE: u16 = 48_000;
/// The rate registers of the bus masters.
const RATES: [usize; ENGINES] = [mixer::ADC_RATE, mixer::DAC_RATE, mixer::MIC_RATE];
/// 1.5 dB, and the volume of the DAC that is 0 dB.
const STEP: u32 = 55_142;
const PCM_UNITY: i32 = 8;

registers! {
    static MIXER: Ac97, "ac97-nam", sizes [2];
    0x00 [64; 2] MIXER 2 rw, "AC '97 5.7", read |d, n| d.mixer(n as usize), write |d, n, v| d.set_mixer(n as usize, v as u16);
}

registers! {
    static MASTERS: Ac97, "ac97-nabm", sizes [1, 2, 4];
    0x00 [3; 16] BDBAR 4 rw reset 0, "13.2.1", read |d, n| u64::from(d.engine(n).list),
        write |d, n, v| d.engine(n).list = v as u32 & !7;
    0x04 [3; 16] CIV 1 ro reset 0, "13.2.2", read |d, n| u64::from(d.engine(n).current);
    0x05 [3; 16] LVI 1 rw reset 0, "13.2.3", read |d, n| u64::from(d.engine(n).last), write |d, n, v| d.set_last(n as usize, v as u8);
    0x06 [3; 16] SR 2 rw reset 1, "13.2.4", read |d, n| u64::from(d.engine(n).status),
        write |d, n, v| d.engine(n).status &= !(v as u8 & sr::CLEARED);
    0x08 [3; 16] PICB 2 ro reset 0, "13.2.5", read |d, n| u64::from(d.engine(n).left);
    0x0a [3; 16] PIV 1 ro reset 0, "13.2.6", read |d, n| u64::from(d.engine(n).next);
    0x0b [3; 16] CR 1 rw reset 0, "13.2.7", read |d, n| u64::from(d.engine(n).control), write |d, n, v| d.set_control(n as usize, v as u8);
    0x2c GLOB_CNT 4 rw reset 0, "13.2.8", read |d, _| u64::from(d.state.global), write |d, _, v| d.set_global(v as u32);
    0x30 GLOB_STA 4 rw, "13.2.9", read |d, _| u64::from(d.global_status()),
        write |d, _, v| d.state.power = v as u32 & GLOBAL_STATUS;
    0x34 CAS 1 rw reset 0, "13.2.10", read |d, _| u64::from(core::mem::replace(&mut d.state.semaphore, true)),
        write |d, _, v| d.state.semaphore = v & 1 != 0;
}

/// A bus master.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Engine {
    /// Where the list of descriptors is.
    list: u32,
    current: u8,
    last: u8,
    next: u8,
    status: u8,
    control: u8,
    /// Has the current descriptor been read?
    read: bool,
    /// What is left of it: where, how many samples; and its flags.
    addr: u32,
    left: u16,
    flags: u16,
    pace: Pace,
}

impl Engine {
    fn new(control: u8) -> Engine {
        Engine {
            list: 0,
            current: 0,
            last: 0,
            next: 0,
            status: sr::HALTED,
            control,
            read: false,
            addr: 0,
            left: 0,
            flags: 0,
            pace: Pace::default(),
        }
    }

    fn runs(&self) -> bool {
        self.control & cr::RUN != 0 && self.status & sr::HALTED == 0
    }

    /// Does it want an interrupt?
    fn pending(&self) -> bool {
        [(sr::LAST, cr::LAST), (sr::COMPLETE, cr::COMPLETE), (sr::FIFO, cr::FIFO)]
            .iter()
            .any(|(status, control)| self.status & status != 0 && self.control & control != 0)
    }

    fn is_sound(&self) -> bool {
        [self.current, self.last, self.next].iter().all(|n| *n < DESCRIPTORS)
            && self.control & (!cr::ALL | cr::RESET) == 0
            && self.status & !(sr::CLEARED | sr::HALTED | sr::AT_LAST) == 0
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    engines: [Engine; ENGINES],
    mixer: Vec<u16>,
    global: u32,
    power: u32,
    semaphore: bool,
}

impl State {
    fn new() -> State {
        State { engines: [Engine::new(0); ENGINES], mixer: codec(), global: 0, power: 0, semaphore: false }
    }
}

/// The codec's registers after reset.
fn codec() -> Vec<u16> {
    let mut registers = vec![0; mixer::COUNT];
    let values = [
        (mixer::MASTER, 0x8000),
        (mixer::PCM_OUT, 0x8808),
        (mixer::RECORD, 0x8808),
        (mixer::POWER, 0x000f),
        (mixer::EXTENDED_ID, 0x0809),
        (mixer::EXTENDED, VARIABLE | VARIABLE_MIC),
        (mixer::DAC_RATE, FIXED_RATE),
        (mixer::SURROUND_RATE, FIXED_RATE),
        (mixer::LFE_RATE, FIXED_RATE),
        (mixer::ADC_RATE, FIXED_RATE),
        (mixer::MIC_RATE, FIXED_RATE),
        (mixer::VENDOR1, 0x8384),
        (mixer::VENDOR2, 0x7600),
    ];
    for (n, value) in values {
        registers[n] = value;
    }
    registers
}

/// The device.
pub struct Ac97 {
    kit: Kit,
    config: Config,
    audio: Box<dyn Audio>,
    state: State,
}

impl Ac97 {
    /// A new one.
    #[must_use]
    pub fn new(kit: Kit, audio: Box<dyn Audio>) -> Ac97 {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x8086, device: 0x2415, revision: 1, class: 0x04_0100, subsystem });
        // Fast back-to-back, medium DEVSEL timing.
        config.put(reg::STATUS, &[0x80, 0x02]);
        config.set_pin(1);
        config.add_bar(Bar { number: 0, kind: BarKind::Io, size: 1024 });
        config.add_bar(Bar { number: 1, kind: BarKind::Io, size: 256 });
        config.seal();
        Ac97 { kit, config, audio, state: State::new() }
    }

    fn engine(&mut self, n: u64) -> &mut Engine {
        &mut self.state.engines[n as usize % ENGINES]
    }

    fn mixer(&mut self, n: usize) -> u64 {
        self.state.semaphore = false;
        u64::from(self.state.mixer[n])
    }

    fn set_mixer(&mut self, n: usize, value: u16) {
        self.state.semaphore = false;
        let extended = self.state.mixer[mixer::EXTENDED];
        // Controls of what is not there hold nothing: that is how drivers find out.
        let value = match n {
            mixer::RESET => return self.reset_codec(),
            mixer::MASTER => value & 0xbf3f,
            mixer::PCM_OUT => value & 0x9f1f,
            mixer::SELECT => value & 0x0707,
            mixer::RECORD => value & 0x8f0f,
            mixer::POWER => value & 0x7ff0 | 0x000f,
            mixer::EXTENDED => value & (VARIABLE | VARIABLE_MIC),
            mixer::DAC_RATE | mixer::ADC_RATE if extended & VARIABLE != 0 => value,
            mixer::MIC_RATE if extended & VARIABLE_MIC != 0 => value,
            _ => return,
        };
        self.state.mixer[n] = value;
        if n == mixer::EXTENDED {
            for (bit, rates) in [(VARIABLE, &RATES[..=OUT]), (VARIABLE_MIC, &RATES[OUT + 1..])] {
                rates.iter().filter(|_| value & bit == 0).for_each(|n| self.state.mixer[*n] = FIXED_RATE);
            }
        }
        if n == mixer::EXTENDED || RATES.contains(&n) {
            self.new_pace();
        }
    }

    fn reset_codec(&mut self) {
        self.state.mixer = codec();
        self.new_pace();
    }

    /// Rates have changed.
    fn new_pace(&mut self) {
        let now = self.kit.clock.now();
        self.state.engines.iter_mut().for_each(|e| e.pace = Pace::from(now));
    }

    fn set_global(&mut self, value: u32) {
        let before = core::mem::replace(&mut self.state.global, value & GLOBAL_CONTROL);
        if before & !value & COLD != 0 {
            self.state.engines = [Engine::new(0); ENGINES];
            self.reset_codec();
        }
    }

    fn global_status(&self) -> u32 {
        let pending = |n: usize| if self.state.engines[n].pending() { PENDING[n] } else { 0 };
        self.state.power | CODEC_READY | pending(0) | pending(1) | pending(2)
    }

    fn set_last(&mut self, n: usize, value: u8) {
        let engine = &mut self.state.engines[n];
        engine.last = value % DESCRIPTORS;
        // A list that had ended goes on.
        if engine.control & cr::RUN != 0 && engine.status & sr::HALTED != 0 {
            engine.status &= !sr::HALTED;
            engine.pace = Pace::from(self.kit.clock.now());
            self.advance(n);
        }
    }

    fn set_control(&mut self, n: usize, value: u8) {
        let engine = &mut self.state.engines[n];
        if value & cr::RESET != 0 {
            *engine = Engine::new(engine.control & (cr::LAST | cr::FIFO | cr::COMPLETE));
            return;
        }
        let before = core::mem::replace(&mut engine.control, value & cr::ALL);
        if value & cr::RUN == 0 {
            engine.status |= sr::HALTED;
        } else if before & cr::RUN == 0 {
            engine.pace = Pace::from(self.kit.clock.now());
            let ended = engine.read && engine.left == 0;
            if !ended || engine.current != engine.last {
                engine.status &= !sr::HALTED;
            }
            if !engine.read || ended && engine.current != engine.last {
                self.advance(n);
            }
        }
    }

    /// Goes on to the next descriptor.
    fn advance(&mut self, n: usize) {
        let engine = &mut self.state.engines[n];
        engine.status &= !sr::AT_LAST;
        engine.current = engine.next;
        engine.next = (engine.current + 1) % DESCRIPTORS;
        let at = u64::from(engine.list) + 8 * u64::from(engine.current);
        engine.read = true;
        let master = self.config.enabled(command::MASTER);
        let entry = if master { self.kit.dma.array::<8>(at).ok() } else { None };
        let Some([a, b, c, d, len @ .., f, g]) = entry else {
            self.kit.report.guest_error(format_args!("no buffer descriptor at {at:#x}"));
            (engine.addr, engine.left, engine.flags) = (0, 0, 0);
            engine.status |= sr::FIFO;
            return;
        };
        engine.addr = u32::from_le_bytes([a, b, c, d]) & !3;
        engine.left = u16::from_le_bytes(len);
        engine.flags = u16::from_le_bytes([f, g]);
    }

    /// The current buffer is through.
    fn complete(&mut self, n: usize) {
        let engine = &mut self.state.engines[n];
        if engine.flags & INTERRUPT != 0 {
            engine.status |= sr::COMPLETE;
        }
        if engine.current == engine.last {
            engine.status |= sr::LAST | sr::HALTED | sr::AT_LAST;
        } else {
            self.advance(n);
        }
    }

    fn rate(&self, n: usize) -> u32 {
        u32::from(self.state.mixer[RATES[n]])
    }

    /// Moves what is due of stream `n`.
    fn catch_up(&mut self, n: usize) {
        if !self.state.engines[n].runs() {
            return;
        }
        let (now, rate) = (self.kit.clock.now(), self.rate(n));
        let mut due = self.state.engines[n].pace.take(now, rate).saturating_mul(2).min(MOST);
        while due > 0 && self.state.engines[n].runs() {
            let samples = due.min(u64::from(self.state.engines[n].left));
            if samples > 0 {
                self.transfer(n, samples as usize);
                due -= samples;
            }
            if self.state.engines[n].left == 0 {
                self.complete(n);
            }
        }
    }

    /// Moves samples of the current buffer, no more than there are.
    fn transfer(&mut self, n: usize, samples: usize) {
        let engine = &mut self.state.engines[n];
        let at = u64::from(engine.addr);
        engine.addr = engine.addr.wrapping_add(2 * samples as u32);
        engine.left -= samples as u16;
        let mut bytes = vec![0; 2 * samples];
        let (dma, factors) = (self.kit.dma.clone(), self.factors(n));
        let format = AudioFormat { rate: self.rate(n), channels: 2, bits: 16 };
        // Half a frame at the end of an odd buffer is not heard.
        let whole = bytes.len() & !3;
        let done = if n == OUT {
            let done = dma.read(at, &mut bytes);
            gain::apply(format, &mut bytes, factors);
            self.audio.play(n as u32, format, &bytes[..whole]);
            done
        } else {
            self.audio.record(n as u32, format, &mut bytes[..whole]);
            gain::apply(format, &mut bytes, factors);
            dma.write(at, &bytes)
        };
        if let Err(error) = done {
            self.kit.report.guest_error(format_args!("stream {n}: {error}"));
            self.state.engines[n].status |= sr::FIFO;
        }
    }

    /// Left and right factors of stream `n`.
    fn factors(&self, n: usize) -> [u32; 2] {
        let (master, pcm, record) =
            (self.state.mixer[mixer::MASTER], self.state.mixer[mixer::PCM_OUT], self.state.mixer[mixer::RECORD]);
        [8, 0].map(|shift| {
            let field = |value: u16, mask: u16| i32::from(value >> shift & mask);
            let (muted, steps) = match n {
                OUT => (master | pcm, field(master, 0x3f) + field(pcm, 0x1f) - PCM_UNITY),
                IN => (record, -field(record, 0x0f)),
                _ => (0, 0),
            };
            if muted & 0x8000 == 0 { gain::factor(STEP, steps) } else { 0 }
        })
    }

    /// Before an access: streams are where they are now.
    fn before(&mut self) -> Reporter {
        (0..ENGINES).for_each(|n| self.catch_up(n));
        self.kit.report.clone()
    }

    /// After anything: the next events, and the pin.
    fn after(&mut self) {
        for n in 0..ENGINES {
            let (rate, engine) = (self.rate(n), &self.state.engines[n]);
            if engine.runs() && rate > 0 {
                let frames = u32::from(engine.left.div_ceil(2)).min(rate / HERTZ).max(1);
                self.kit.clock.schedule(n as u32, engine.pace.when(rate, u64::from(frames)));
            } else {
                self.kit.clock.cancel(n as u32);
            }
        }
        self.config.set_intx(self.state.engines.iter().any(Engine::pending));
    }
}

impl PciFunction for Ac97 {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.before();
        let mut get = |at: u64, size: Size| MASTERS.read(self, &report, at, size);
        let value = match (bar, offset & 15, size) {
            (0, ..) => MIXER.read(self, &report, offset, size),
            // Drivers read neighbours at once.
            (_, 4, Size::B4) if offset < 0x30 => {
                get(offset, Size::B1) | get(offset + 1, Size::B1) << 8 | get(offset + 2, Size::B2) << 16
            }
            (_, 8, Size::B4) if offset < 0x30 => {
                get(offset, Size::B2) | get(offset + 2, Size::B1) << 16 | get(offset + 3, Size::B1) << 24
            }
            _ => get(offset, size),
        };
        self.after();
        value
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.before();
        if bar == 0 {
            MIXER.write(self, &report, offset, size, value);
        } else {
            MASTERS.write(self, &report, offset, size, value);
        }
        self.after();
    }

    fn event(&mut self, _token: u32) {
        self.before();
        self.after();
    }

    fn reset(&mut self) {
        self.config.reset();
        self.state = State::new();
        self.after();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(self.config.save(), &self.state))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state): (ConfigState, State) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        check(state.mixer.len() == mixer::COUNT, "mixer", || format!("{} registers", state.mixer.len()))?;
        check(state.engines.iter().all(Engine::is_sound), "engines", || "indices or bits that there are not".into())?;
        check(state.global & !GLOBAL_CONTROL == 0, "global", || format!("{:#x}", state.global))?;
        check(state.power & !GLOBAL_STATUS == 0, "power", || format!("{:#x}", state.power))?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
