//! The IOMMU as its driver sees it, and what a function behind it reaches.

use super::*;
use crate::bench::{Bench, RAM};
use crate::pci::PciHost;
use tern_core::device::{Device, Reporter, Signal};

/// Where the tests' structures are.
const DDT: u64 = RAM + 0x1_0000;
const COMMANDS: u64 = RAM + 0x2_0000;
const FAULTS: u64 = RAM + 0x3_0000;
const TABLES: u64 = RAM + 0x4_0000;
/// The function behind it: 00:02.0.
const REQUESTER: u64 = 0x10;
/// Windows: the IOMMU's registers, and the function's.
const REGS: u32 = 1;
const TOUCH: u32 = 2;

/// A function that does what is written to it: at 0 it reads a word from an address, at 8 it writes one, at 16 it sends a
/// message; 0 is then how it went.
struct Toucher {
    kit: Kit,
    config: Config,
    result: u64,
}

impl PciFunction for Toucher {
    fn kind(&self) -> &'static str {
        "toucher"
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, _bar: u8, _offset: u64, _size: Size) -> u64 {
        self.result
    }

    fn write(&mut self, _bar: u8, offset: u64, _size: Size, value: u64) {
        match offset {
            0 => self.result = self.kit.dma.array(value).map_or(!0, u64::from_le_bytes),
            8 => self.result = u64::from(self.kit.dma.write(value, b"written.").is_err()),
            _ => self.kit.messenger.message(value, 7),
        }
    }

    fn reset(&mut self) {}

    fn save(&self) -> Result<Vec<u8>, StateError> {
        Ok(Vec::new())
    }

    fn load(&mut self, _bytes: &[u8]) -> Result<(), StateError> {
        Ok(())
    }
}

struct Machine {
    bench: Bench,
    host: PciHost,
    dma: Dma,
}

impl Machine {
    /// An IOMMU at 00:01.0 with all that it can do, and a function at 00:02.0.
    fn new(msi: bool) -> Machine {
        let mut bench = Bench::new();
        let mut host = PciHost::new(bench.kit("gpex-pcihost"), core::array::from_fn(|_| bench.line()));
        let report = bench.kit("iommu").report;
        let identity = |device| Identity { vendor: 0x1b36, device, revision: 1, class: 0x08_0600, subsystem: None };
        let options = Options { msi, off: true, first: true, second: true };
        host.add(None, None, report, |kit| Box::new(RiscvIommu::new(kit, identity(0x14), options))).unwrap();
        let toucher = |kit| {
            let mut config = Config::new(identity(0x99));
            config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 0x1000 });
            config.seal();
            Box::new(Toucher { kit, config, result: 0 }) as Box<dyn PciFunction>
        };
        host.add(None, None, Reporter::new("toucher", |_, _| {}), toucher).unwrap();
        let dma = bench.dma();
        let mut m = Machine { bench, host, dma };
        // Masters, and MSI-X of the IOMMU on: vector n sends n + 0x20.
        for function in [8, REQUESTER] {
            m.host.write(0, function << 12 | 4, Size::B2, 6);
        }
        let mut at = m.host.read(0, 8 << 12 | 0x34, Size::B1);
        while m.host.read(0, 8 << 12 | at, Size::B1) & 0xff != 0x11 {
            at = m.host.read(0, 8 << 12 | (at + 1), Size::B1) & 0xff;
        }
        m.host.write(0, 8 << 12 | (at + 2), Size::B2, 0x8000);
        for n in 0..5 {
            m.set64(TABLE_AT + 16 * n, 0x2800_0000);
            m.set(TABLE_AT + 16 * n + 8, 0x20 + n);
            m.set(TABLE_AT + 16 * n + 12, 0);
        }
        m.set64(0x2f8, 0xffff);
        m
    }

    fn get(&mut self, at: u64) -> u64 {
        self.host.read(REGS, at, Size::B4)
    }

    fn set(&mut self, at: u64, value: u64) {
        self.host.write(REGS, at, Size::B4, value);
    }

    fn set64(&mut self, at: u64, value: u64) {
        self.host.write(REGS, at, Size::B8, value);
    }

    fn put(&mut self, at: u64, words: &[u64]) {
        for (n, word) in words.iter().enumerate() {
            self.dma.write(at + 8 * n as u64, &word.to_le_bytes()).unwrap();
        }
    }

    fn word(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.dma.array(at).unwrap())
    }

    /// Queues of 16 commands and of 4 faults, with interrupts.
    fn queues(&mut self) {
        self.set64(0x18, COMMANDS >> 2 | 3);
        self.set(0x48, 3);
        self.set64(0x28, FAULTS >> 2 | 1);
        self.set(0x4c, 3);
    }

    /// One level of device contexts of 64 bytes, of which the function has this one.
    fn context(&mut self, words: &[u64; 8]) {
        self.put(DDT + 64 * REQUESTER, words);
        self.set64(0x10, DDT >> 2 | 2);
    }

    fn load(&mut self, at: u64) -> u64 {
        self.host.write(TOUCH, 0, Size::B8, at);
        self.host.read(TOUCH, 0, Size::B8)
    }

    /// Did it fail?
    fn store(&mut self, at: u64) -> bool {
        self.host.write(TOUCH, 8, Size::B8, at);
        self.host.read(TOUCH, 0, Size::B8) != 0
    }

    /// Takes the next fault: cause, kind, address, guest address.
    fn fault(&mut self) -> Option<(u64, u64, u64, u64)> {
        let (head, tail) = (self.get(0x30), self.get(0x34));
        if head == tail {
            return None;
        }
        let at = FAULTS + 32 * head;
        let header = self.word(at);
        assert_eq!(header >> 40, REQUESTER);
        self.set(0x30, (head + 1) & 3);
        Some((header & 0xfff, header >> 34 & 0x3f, self.word(at + 16), self.word(at + 24)))
    }

    /// The data of the messages that were sent.
    fn messages(&mut self) -> Vec<u32> {
        let data = |s| match s {
            Signal::Message { data, .. } => Some(data),
            _ => None,
        };
        self.bench.signals().into_iter().filter_map(data).collect()
    }
}

/// Page table entries.
fn table(at: u64) -> u64 {
    at >> 2 | 1
}

fn page(at: u64, bits: u64) -> u64 {
    at >> 2 | 0xd1 | bits
}

const READ: u64 = 2;
const WRITE: u64 = 4;

#[test]
fn registers_after_reset_and_queues() {
    let mut m = Machine::new(true);
    assert_eq!(m.host.read(REGS, 0, Size::B8), 7 << 38 | 56 << 32 | 0x804e_0e10);
    for at in [0x10, 0x48, 0x4c, 0x50, 0x54, 0x08] {
        assert_eq!(m.get(at), 0, "{at:#x}");
    }
    assert_eq!(m.get(0x2f8), 0x3333);
    for (csr, tail) in [(0x48, 0x24), (0x4c, 0x34), (0x50, 0x44)] {
        m.set64(tail - 0xc, 0);
        m.set(csr, 1);
        assert_eq!((m.get(csr), m.get(tail)), (1 << 16 | 1, 0));
        m.set(csr, 0);
        assert_eq!(m.get(csr), 0);
    }
    m.set64(0x10, 5);
    assert_eq!((m.get(0x10), m.bench.guest_errors()), (0, 1));
}

#[test]
fn commands_are_done_in_order_and_errors_stop_them() {
    let mut m = Machine::new(true);
    m.queues();
    let to = RAM + 0x5_0000;
    let fence = |data: u64, at: u64| [2 | 1 << 10 | data << 32, at >> 2];
    let commands = [[1, 0], [3 | 1 << 33, 0], fence(0x1234, to), [3 | 1 << 7 | 1 << 33, 0], fence(0x5678, to + 4), [9, 0]];
    m.put(COMMANDS, commands.as_flattened());
    m.set(0x24, 6);
    assert_eq!((m.word(to), m.get(0x20)), (0x5678_0000_1234, 5));
    assert_eq!((m.get(0x48), m.get(0x54), m.messages()), (1 << 16 | 1 << 10 | 3, 1, vec![0x23]));
    // The driver makes it a good one, and clears the error: it goes on.
    m.put(COMMANDS + 16 * 5, &fence(9, to));
    m.set(0x48, 1 << 10 | 3);
    m.set(0x54, 1);
    assert_eq!((m.get(0x20), m.get(0x54), m.word(to) as u32), (6, 0, 9));
    // What is still so comes back, without a second message until it has been away.
    m.put(COMMANDS + 16 * 6, &fence(9, 0x10));
    m.set(0x24, 7);
    m.set(0x54, 1);
    assert_eq!((m.get(0x48) >> 8 & 1, m.get(0x54), m.messages()), (1, 1, vec![0x23, 0x23]));
    // A queue that is much longer than its memory ends somewhere.
    m.set(0x48, 0);
    m.set64(0x18, 0x1f);
    m.set(0x24, u64::from(u32::MAX));
    m.set(0x48, 1);
    m.bench.advance(&mut m.host, 0, 1_000_000);
    assert_eq!(m.get(0x48) >> 8 & 1, 1, "there is no memory at 0");
}

#[test]
fn nothing_passes_before_the_driver_says_so_and_faults_are_told() {
    let mut m = Machine::new(true);
    m.put(RAM + 0x6000, &[0x77]);
    m.queues();
    assert!(m.store(RAM + 0x6000));
    assert_eq!((m.fault(), m.messages()), (Some((256, 3, RAM + 0x6000, 0)), vec![0x23]));
    m.set(0x54, 2);
    m.set64(0x10, 1);
    assert_eq!((m.load(RAM + 0x6000), m.store(RAM + 0x6000), m.fault()), (0x77, false, None));
    // One level, where nothing is valid.
    m.set64(0x10, DDT >> 2 | 2);
    assert_eq!((m.load(RAM + 0x6000), m.fault().map(|f| f.0)), (!0, Some(258)));
    m.context(&[1 | 1 << 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((m.load(0), m.fault().map(|f| f.0)), (!0, Some(259)), "there is no ATS");
    m.context(&[1, 0, 0, 0, 0, 0, 0, 0]);
    m.put(RAM + 0x6000, &[0x77]);
    assert_eq!((m.load(RAM + 0x6000), m.fault()), (0x77, None), "bare");
    // Three levels.
    m.put(RAM + 0x7000, &[table(RAM + 0x8000)]);
    m.put(RAM + 0x8000, &[table(DDT)]);
    m.set64(0x10, (RAM + 0x7000) >> 2 | 4);
    assert_eq!(m.load(RAM + 0x6000), 0x77);
    m.put(RAM + 0x8000, &[table(DDT) | 2]);
    assert_eq!((m.load(0), m.fault().map(|f| f.0)), (!0, Some(259)));
    m.put(RAM + 0x8000, &[0]);
    assert_eq!((m.load(0), m.fault().map(|f| f.0)), (!0, Some(258)));
    // The queue overflows and says so once.
    (0..9).for_each(|n| assert_eq!(m.load(n), !0));
    assert_eq!((m.get(0x4c) >> 9 & 1, m.get(0x54)), (1, 2));
    assert_eq!(core::iter::from_fn(|| m.fault()).count(), 3);
    let saved = m.host.save().unwrap();
    m.host.load(&saved).unwrap();
    assert_eq!(m.host.save().unwrap(), saved);
}

/// Sv39 from `TABLES`: addresses 0x12000 and 0x13000, and a megapage at 0x4000_0000.
fn first_stage(m: &mut Machine, base: u64) {
    m.put(TABLES, &[table(base + 0x1000), table(base + 0x1000)]);
    m.put(TABLES + 0x1000, &[table(base + 0x2000)]);
    m.put(TABLES + 0x2000 + 8 * 0x12, &[page(base + 0x8000, READ | WRITE), page(base + 0x9000, READ)]);
}

#[test]
fn the_first_stage_translates() {
    let mut m = Machine::new(true);
    m.queues();
    first_stage(&mut m, TABLES);
    m.put(TABLES + 0x8ff8, &[0x1111, 0x2222]);
    m.context(&[1, 0, 0, 8 << 60 | TABLES >> 12, 0, 0, 0, 0]);
    assert_eq!((m.load(0x12ff8), m.load(0x13000)), (0x1111, 0x2222));
    assert_eq!(m.load(0x12ffc), 0x2222_0000_0000, "across pages");
    assert!(!m.store(0x12010) && m.store(0x13010));
    assert_eq!((m.fault(), m.word(TABLES + 0x8010).to_le_bytes()), (Some((15, 3, 0x13010, 0)), *b"written."));
    assert_eq!((m.load(0x14000), m.fault()), (!0, Some((13, 2, 0x14000, 0))));
    assert_eq!((m.load(1 << 40), m.fault().map(|f| f.0)), (!0, Some(13)), "not canonical");
    // A superpage, aligned and not; a supervisor's page; one that was never accessed; a table out of memory.
    for (entry, cause) in [
        (page(RAM, READ), None),
        (page(RAM + 0x1000, READ), Some(13)),
        (page(RAM, READ) & !0x10, Some(13)),
        (page(RAM, READ) & !0x40, Some(13)),
        (page(RAM, WRITE), Some(13)),
        (table(0x1000), Some(5)),
        (page(RAM, READ) | 1 << 63, Some(13)),
    ] {
        m.put(TABLES + 0x1000 + 8, &[entry]);
        m.put(RAM + 0x6000, &[0x77]);
        let value = m.load(0x20_6000);
        assert_eq!((value == 0x77, m.fault().map(|f| f.0)), (cause.is_none(), cause), "{entry:#x}");
    }
    // Its faults are not wanted.
    m.context(&[1 | 1 << 4, 0, 0, 8 << 60 | TABLES >> 12, 0, 0, 0, 0]);
    assert_eq!((m.load(0x14000), m.fault()), (!0, None));
    // Sv57, where the same tables are two levels further down.
    m.put(RAM + 0x7000, &[table(RAM + 0x8000)]);
    m.put(RAM + 0x8000, &[table(TABLES)]);
    m.context(&[1, 0, 0, 10 << 60 | (RAM + 0x7000) >> 12, 0, 0, 0, 0]);
    assert_eq!(m.load(0x12ff8), 0x1111);
    // A process directory: untagged accesses are process 0's if there is a default.
    m.put(RAM + 0x9000, &[1, 8 << 60 | TABLES >> 12]);
    m.context(&[1 | 1 << 5 | 1 << 9, 0, 0, 1 << 60 | (RAM + 0x9000) >> 12, 0, 0, 0, 0]);
    assert_eq!(m.load(0x12ff8), 0x1111);
    m.put(RAM + 0x9000, &[0]);
    assert_eq!((m.load(0x12ff8), m.fault().map(|f| f.0)), (!0, Some(266)));
    m.context(&[1 | 1 << 5, 0, 0, 1 << 60 | (RAM + 0x9000) >> 12, 0, 0, 0, 0]);
    assert_eq!(m.load(TABLES + 0x8ff8), 0x1111, "none: bare");
}

#[test]
fn both_stages_translate_and_messages_have_pages_of_their_own() {
    let mut m = Machine::new(true);
    m.queues();
    // The guest's memory begins at 0x1000_0000; what it calls so is at TABLES.
    let guest = 0x1000_0000;
    first_stage(&mut m, guest);
    let root = RAM + 0x8_0000;
    m.put(root, &[table(root + 0x4000)]);
    m.put(root + 0x4000 + 8 * (guest >> 21), &[table(root + 0x5000)]);
    for n in 0..16 {
        m.put(root + 0x5000 + 8 * n, &[page(TABLES + 0x1000 * n, READ | WRITE)]);
    }
    let iohgatp = 8 << 60 | root >> 12;
    let msi = RAM + 0xa_0000;
    m.put(msi + 16, &[(0x2800_5000 >> 2) | 7, 0]);
    // Interrupt files at 0x3000_0000 and 0x3000_1000.
    m.context(&[1, iohgatp, 0, 8 << 60 | guest >> 12, 1 << 60 | msi >> 12, 1, 0x3_0000, 0]);
    m.put(TABLES + 0x8ff8, &[0x1111]);
    assert_eq!((m.load(0x12ff8), m.fault()), (0x1111, None));
    // The guest maps what it does not have; then a table of its is gone.
    m.put(TABLES + 0x2000 + 8 * 0x15, &[page(0x2000_0000, READ)]);
    assert_eq!((m.load(0x15ff8), m.fault()), (!0, Some((21, 2, 0x15ff8, 0x2000_0ff8))));
    m.put(root + 0x5000 + 8 * 2, &[0]);
    assert!(m.store(0x12ff8));
    assert_eq!(m.fault(), Some((23, 3, 0x12ff8, (guest + 0x2090) | 1)));
    // Messages, without a first stage.
    m.context(&[1, iohgatp, 0, 0, 1 << 60 | msi >> 12, 1, 0x3_0000, 0]);
    m.messages();
    m.host.write(TOUCH, 16, Size::B8, 0x3000_1000);
    assert_eq!(m.bench.signals(), [Signal::Message { addr: 0x2800_5000, data: 7 }]);
    m.host.write(TOUCH, 16, Size::B8, 0x3000_0000);
    assert_eq!((m.fault().map(|f| f.0), m.messages().contains(&7)), (Some(262), false));
    m.put(msi + 16, &[(0x2800_5000 >> 2) | 3, 0]);
    m.host.write(TOUCH, 16, Size::B8, 0x3000_1000);
    assert_eq!(m.fault().map(|f| f.0), Some(263), "no interrupt files in memory");
    m.host.write(TOUCH, 16, Size::B8, 0x3000_2000);
    assert_eq!(m.fault().map(|f| f.0), Some(23), "no page of messages");
    assert_eq!((m.load(1 << 41), m.fault().map(|f| f.0)), (!0, Some(21)), "too large");
}

#[test]
fn contexts_are_half_as_long_without_message_tables_and_debuggers_may_look() {
    let mut m = Machine::new(false);
    m.queues();
    first_stage(&mut m, TABLES);
    m.put(DDT + 32 * REQUESTER, &[1, 0, 0, 8 << 60 | TABLES >> 12]);
    m.set64(0x10, DDT >> 2 | 2);
    m.put(TABLES + 0x8ff8, &[0x1111]);
    assert_eq!(m.load(0x12ff8), 0x1111);
    m.set64(0x258, 0x12abc);
    m.set64(0x260, 1 | REQUESTER << 40);
    assert_eq!((m.get(0x260), m.host.read(REGS, 0x268, Size::B8)), (0, (TABLES + 0x8000) >> 2));
    m.set64(0x258, 0x13000);
    m.set64(0x260, 1 | REQUESTER << 40);
    assert_eq!(m.get(0x268), 1, "not to be written");
    m.set64(0x260, 1 | 8 | REQUESTER << 40);
    assert_eq!((m.host.read(REGS, 0x268, Size::B8), m.fault()), ((TABLES + 0x9000) >> 2, None));
}
