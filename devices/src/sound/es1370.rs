//! Ensoniq AudioPCI ES1370 (Ensoniq ES1370 data sheet) with an Asahi Kasei AK4531 codec, which can only be written.  The
//! MIDI port and the joystick port are not built.

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

const NAME: &str = "ES1370";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &["es1370"],
    class: Class::Sound,
    about: "Ensoniq AudioPCI ES1370 with an AK4531 codec",
    parents: &[],
    props: &[Prop::new("audiodev", PropKind::Text(""), "where it plays to and records from")],
    bus: None,
    build: Build::Pci(|kit, wants| Ok(Box::new(Es1370::new(kit, wants.audio("audiodev", 0)?)))),
}];

/// Channels: DAC 1, DAC 2, ADC; also the numbers of their streams and events.
const CHANNELS: usize = 3;
const ADC: usize = 2;
/// What the registers have for a channel.
struct Bits {
    /// Control: it runs.
    enable: u32,
    /// Status: it has interrupted.
    status: u32,
    /// Serial control: it rests; it interrupts; where its format is; it stops when its samples are counted down.
    pause: u32,
    interrupt: u32,
    format: u32,
    stop: u32,
    /// The word of memory with its buffer's address; its size and position follow.
    frame: usize,
}
const BITS: [Bits; CHANNELS] = [
    Bits { enable: 0x40, status: 4, pause: 0x0800, interrupt: 0x0100, format: 0, stop: 0x2000, frame: 0x30 },
    Bits { enable: 0x20, status: 2, pause: 0x1000, interrupt: 0x0200, format: 2, stop: 0x4000, frame: 0x32 },
    Bits { enable: 0x10, status: 1, pause: 0, interrupt: 0x0400, format: 4, stop: 0x8000, frame: 0x34 },
];

/// Control after reset, and its bits for what is not built: the MIDI port, the joystick port.
const CONTROL: u32 = 1;
const CONTROL_UNBUILT: u32 = 0x0c;
/// Status that never changes: no interrupt of the memory; an interrupt is pending.
const STATUS: u32 = 0x60;
const STATUS_ANY: u32 = 0x8000_0000;
const STATUS_CHANNELS: u32 = 7;
/// Rates of DAC 1; what the clock of the others is divided from.
const RATES: [u32; 4] = [5512, 11_025, 22_050, 44_100];
const CLOCK: u32 = 1_411_200;
/// Words of memory: 16 pages of four.
const MEMORY: usize = 64;
/// Registers of the codec, and the one that resets it.
const CODEC: usize = 32;
const CODEC_RESET: usize = 0x16;
/// 2 dB, and the attenuation of an input that is 0 dB.
const STEP: u32 = 52_057;
const INPUT_UNITY: i32 = 6;
/// Most frames that are moved in one go; frames are moved so many times in a second, or more often, but never sooner than
/// after this many nanoseconds.
const MOST: u64 = 1 << 14;
const HERTZ: u32 = 100;
const LEAST_NS: u64 = 20_000;

registers! {
    static REGS: Es1370, "es1370", sizes [1, 2, 4];
    0x00 CONTROL 4 rw reset 1, "interrupt and chip select control", read |d, _| u64::from(d.state.control),
        write |d, _, v| d.set_control(v as u32);
    0x04 STATUS 4 ro reset 0x60, "interrupt and chip select status", read |d, _| u64::from(d.status());
    0x08 [4; 1] UART 1 rw, "UART", read |d, _| d.uart(), write |d, _, _| { d.uart(); };
    0x0c MEMPAGE 4 rw reset 0, "memory page", read |d, _| u64::from(d.state.page), write |d, _, v| d.state.page = v as u8 & 15;
    0x10 CODEC 4 rw reset 0, "codec write", read |d, _| u64::from(d.state.written), write |d, _, v| d.set_codec(v as u16);
    0x20 SERIAL 4 rw reset 0, "serial interface control", read |d, _| u64::from(d.state.serial),
        write |d, _, v| d.set_serial(v as u32);
    0x24 [3; 4] SCOUNT 4 rw reset 0, "sample count", read |d, n| d.count(n as usize), write |d, n, v| d.set_count(n as usize, v as u16);
    0x30 [4; 4] MEMORY 4 rw, "memory", read |d, n| u64::from(d.state.memory[d.word(n)]), write |d, n, v| d.set_memory(n, v as u32);
}

/// What a channel has beside the registers.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Channel {
    /// Samples between interrupts, and until the next, less 1.
    samples: u16,
    left: u16,
    /// Bytes of the current word of the buffer that are through.
    odd: u8,
    /// It has counted down, and is to stop then.
    stopped: bool,
    pace: Pace,
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    channels: [Channel; CHANNELS],
    memory: Vec<u32>,
    codec: Vec<u8>,
    written: u16,
    control: u32,
    serial: u32,
    status: u32,
    page: u8,
}

impl State {
    fn new() -> State {
        State {
            channels: [Channel::default(); CHANNELS],
            memory: vec![0; MEMORY],
            codec: codec(),
            written: 0,
            control: CONTROL,
            serial: 0,
            status: 0,
            page: 0,
        }
    }
}

/// The codec's registers after reset: everything is mute.
fn codec() -> Vec<u8> {
    (0..CODEC).map(|n| if n < 0x0f { 0x9f } else { 0 }).collect()
}

/// The device.
pub struct Es1370 {
    kit: Kit,
    config: Config,
    audio: Box<dyn Audio>,
    state: State,
}

impl Es1370 {
    /// A new one.
    #[must_use]
    pub fn new(kit: Kit, audio: Box<dyn Audio>) -> Es1370 {
        let subsystem = Some((0x4942, 0x4c4c));
        let mut config =
            Config::new(Identity { vendor: 0x1274, device: 0x5000, revision: 0, class: 0x04_0100, subsystem });
        // Slow DEVSEL timing; least grant and latency.
        config.put(reg::STATUS + 1, &[0x04]);
        config.put(0x3e, &[0x0c, 0x80]);
        config.set_pin(1);
        config.add_bar(Bar { number: 0, kind: BarKind::Io, size: 256 });
        config.seal();
        Es1370 { kit, config, audio, state: State::new() }
    }

    fn status(&self) -> u32 {
        STATUS | self.state.status | if self.state.status == 0 { 0 } else { STATUS_ANY }
    }

    fn uart(&mut self) -> u64 {
        self.kit.report.unimplemented(format_args!("the MIDI port is not built"));
        0
    }

    fn runs(&self, n: usize) -> bool {
        let bits = &BITS[n];
        self.state.control & bits.enable != 0 && self.state.serial & bits.pause == 0 && !self.state.channels[n].stopped
    }

    fn format(&self, n: usize) -> AudioFormat {
        let code = self.state.serial >> BITS[n].format;
        let rate = match n {
            0 => RATES[(self.state.control >> 12 & 3) as usize],
            _ => CLOCK / ((self.state.control >> 16 & 0x1fff) + 2),
        };
        AudioFormat { rate, channels: 1 + (code & 1) as u8, bits: if code & 2 == 0 { 8 } else { 16 } }
    }

    /// Sets the control registers; channels that begin, or change their rate or format, begin afresh.
    fn set_controls(&mut self, control: u32, serial: u32) {
        let before: [_; CHANNELS] = core::array::from_fn(|n| (self.format(n), self.runs(n)));
        (self.state.control, self.state.serial) = (control, serial);
        for (n, (format, ran)) in before.into_iter().enumerate() {
            if self.format(n) != format {
                self.state.channels[n].odd = 0;
            }
            let on = control & BITS[n].enable != 0 && serial & BITS[n].pause == 0;
            let channel = &mut self.state.channels[n];
            channel.stopped &= on && serial & BITS[n].stop != 0;
            let runs = on && !channel.stopped;
            if self.format(n) != format || runs != ran {
                self.state.channels[n].pace = Pace::from(self.kit.clock.now());
            }
        }
    }

    fn set_control(&mut self, value: u32) {
        if value & !self.state.control & CONTROL_UNBUILT != 0 {
            self.kit.report.unimplemented(format_args!("the MIDI and joystick ports are not built"));
        }
        self.set_controls(value, self.state.serial);
    }

    fn set_serial(&mut self, value: u32) {
        // An interrupt is taken back by disabling it.
        for bits in BITS.iter().filter(|bits| value & bits.interrupt == 0) {
            self.state.status &= !bits.status;
        }
        self.set_controls(self.state.control, value);
    }

    fn set_codec(&mut self, value: u16) {
        self.state.written = value;
        let n = usize::from(value >> 8);
        if n == CODEC_RESET && value & 1 == 0 {
            self.state.codec = codec();
        } else if let Some(register) = self.state.codec.get_mut(n) {
            *register = value as u8;
        }
    }

    fn count(&self, n: usize) -> u64 {
        let channel = &self.state.channels[n];
        u64::from(channel.left) << 16 | u64::from(channel.samples)
    }

    fn set_count(&mut self, n: usize, samples: u16) {
        let now = self.kit.clock.now();
        let channel = &mut self.state.channels[n];
        (channel.samples, channel.left) = (samples, samples);
        if core::mem::take(&mut channel.stopped) {
            channel.pace = Pace::from(now);
        }
    }

    /// The word of memory behind register n of the current page.
    fn word(&self, n: u64) -> usize {
        4 * usize::from(self.state.page) + n as usize
    }

    fn set_memory(&mut self, n: u64, value: u32) {
        let word = self.word(n);
        self.state.memory[word] = value;
        if let Some(n) = BITS.iter().position(|bits| bits.frame + 1 == word) {
            self.state.channels[n].odd = 0;
        }
    }

    /// Moves what is due of channel `n`.
    fn catch_up(&mut self, n: usize) {
        if !self.runs(n) {
            return;
        }
        let format = self.format(n);
        let now = self.kit.clock.now();
        let mut due = self.state.channels[n].pace.take(now, format.rate).min(MOST);
        while due > 0 && self.runs(n) {
            due -= self.step(n, format, due);
        }
    }

    /// Moves frames as far as buffer and sample count go, at most `due`; how many, 1 or more.
    fn step(&mut self, n: usize, format: AudioFormat, due: u64) -> u64 {
        let frame = format.frame() as u64;
        let words = self.state.memory[BITS[n].frame + 1];
        let total = 4 * (u64::from(words & 0xffff) + 1);
        let channel = self.state.channels[n];
        let mut at = (4 * u64::from(words >> 16) + u64::from(channel.odd)) & !(frame - 1);
        if at >= total {
            at = 0;
        }
        let frames = due.min(u64::from(channel.left) + 1).min((total - at) / frame);
        self.transfer(n, format, at, frames);
        at = (at + frames * frame) % total;
        self.state.memory[BITS[n].frame + 1] = words & 0xffff | (at as u32 / 4) << 16;
        let channel = &mut self.state.channels[n];
        channel.odd = at as u8 & 3;
        if frames > u64::from(channel.left) {
            channel.left = channel.samples;
            channel.stopped = self.state.serial & BITS[n].stop != 0;
            if self.state.serial & BITS[n].interrupt != 0 {
                self.state.status |= BITS[n].status;
            }
        } else {
            channel.left -= frames as u16;
        }
        frames
    }

    fn transfer(&mut self, n: usize, format: AudioFormat, at: u64, frames: u64) {
        let addr = u64::from(self.state.memory[BITS[n].frame]) + at;
        let mut bytes = vec![0; frames as usize * format.frame()];
        if !self.config.enabled(command::MASTER) {
            return self.kit.report.guest_error(format_args!("sound without bus mastering"));
        }
        let done = if n == ADC {
            self.audio.record(n as u32, format, &mut bytes);
            self.kit.dma.write(addr, &bytes)
        } else {
            let done = self.kit.dma.read(addr, &mut bytes);
            gain::apply(format, &mut bytes, self.factors(n));
            self.audio.play(n as u32, format, &bytes);
            done
        };
        if let Err(error) = done {
            self.kit.report.guest_error(format_args!("channel {n}: {error}"));
        }
    }

    /// Left and right factors of a DAC: DAC 1 is the codec's FM input, DAC 2 its voice input.
    fn factors(&self, n: usize) -> [u32; 2] {
        let codec = &self.state.codec;
        [0, 1].map(|side| {
            let (input, switch) = if n == 0 {
                (codec[4 + side], codec[0x10] >> (6 - side))
            } else {
                (codec[2 + side], codec[0x11] >> (3 - side))
            };
            let master = codec[side];
            if (input | master) & 0x80 != 0 || switch & 1 == 0 {
                return 0;
            }
            gain::factor(STEP, i32::from(master & 0x1f) + i32::from(input & 0x1f) - INPUT_UNITY)
        })
    }

    /// Before an access: channels are where they are now.
    fn before(&mut self) -> Reporter {
        (0..CHANNELS).for_each(|n| self.catch_up(n));
        self.kit.report.clone()
    }

    /// After anything: the next events, and the pin.
    fn after(&mut self) {
        let soon = self.kit.clock.now().saturating_add(LEAST_NS);
        for n in 0..CHANNELS {
            if self.runs(n) {
                let (rate, channel) = (self.format(n).rate, &self.state.channels[n]);
                let frames = (u32::from(channel.left) + 1).min(rate / HERTZ).max(1);
                self.kit.clock.schedule(n as u32, channel.pace.when(rate, u64::from(frames)).max(soon));
            } else {
                self.kit.clock.cancel(n as u32);
            }
        }
        self.config.set_intx(self.state.status != 0);
    }
}

impl PciFunction for Es1370 {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.before();
        let value = REGS.read(self, &report, offset, size);
        self.after();
        value
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.before();
        REGS.write(self, &report, offset, size, value);
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
        check(state.memory.len() == MEMORY, "memory", || format!("{} words", state.memory.len()))?;
        check(state.codec.len() == CODEC, "codec", || format!("{} registers", state.codec.len()))?;
        check(state.status & !STATUS_CHANNELS == 0, "status", || format!("{:#x}", state.status))?;
        check(state.page < 16, "page", || state.page.to_string())?;
        check(state.channels.iter().all(|c| c.odd < 4), "channels", || "more than a word is begun".into())?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
