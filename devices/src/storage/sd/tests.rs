//! A host's view of a card.

use super::*;
use crate::bench::MemoryDisk;

fn card(bytes: usize) -> Card {
    Card::new(Some(Box::new(MemoryDisk { bytes: vec![0; bytes], read_only: false })), 3)
}

/// A card that says how large it is, and has the first MiB of that.
struct Large(MemoryDisk, u64);

impl Block for Large {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_only(&self) -> bool {
        false
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), tern_core::backend::BlockError> {
        self.0.read(offset, buf)
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), tern_core::backend::BlockError> {
        self.0.write(offset, buf)
    }

    fn flush(&mut self) -> Result<(), tern_core::backend::BlockError> {
        Ok(())
    }

    fn discard(&mut self, _offset: u64, _len: u64) -> Result<(), tern_core::backend::BlockError> {
        Ok(())
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), tern_core::backend::BlockError> {
        self.0.write_zeroes(offset, len, unmap)
    }
}

fn large(bytes: u64) -> Card {
    Card::new(Some(Box::new(Large(MemoryDisk { bytes: vec![0; 1 << 20], read_only: false }, bytes))), 3)
}

fn short(response: Response) -> u32 {
    match response {
        Response::Short(word) => word,
        other => panic!("{other:?}"),
    }
}

/// Brings a card to the transfer state, as a driver does; its address.
fn start(card: &mut Card) -> u32 {
    assert_eq!(card.command(0, 0), Response::None);
    assert_eq!(card.command(8, 0x1aa), Response::Short(0x1aa));
    assert_eq!(short(card.command(55, 0)), 0x120);
    let ocr = short(card.command(41, 0x40ff_8000));
    assert_eq!(ocr & 0x80ff_8000, 0x80ff_8000);
    assert!(matches!(card.command(2, 0), Response::Long(_)));
    let rca = short(card.command(3, 0)) & 0xffff_0000;
    assert!(matches!(card.command(9, rca), Response::Long(_)));
    assert_eq!(short(card.command(7, rca)), 0x700);
    rca
}

#[test]
fn cards_say_how_large_they_are() {
    let size = |csd: [u8; 16]| {
        let field = |from: u32, bits: u32| {
            let value = u128::from_be_bytes(csd) >> from;
            (value & ((1 << bits) - 1)) as u64
        };
        match csd[0] >> 6 {
            0 => (field(62, 12) + 1) << (field(47, 3) + 2 + field(80, 4)),
            _ => (field(48, 22) + 1) << 19,
        }
    };
    for bytes in [1 << 20, 64 << 20, 1 << 30, 2 << 30, 4 << 30, 32 << 30, 64 << 30, 2 << 40] {
        let csd = registers::csd(bytes);
        assert_eq!(size(csd), bytes, "{bytes:#x}");
        assert_eq!(csd, registers::sealed(csd));
    }
    let class = |bytes| registers::scr(3, bytes);
    assert_eq!((class(2 << 30)[1], class(4 << 30)[1], class(64 << 30)[1]), (0x25, 0x35, 0x45));
    // The CRC of CMD0 is known: 0x4a.
    assert_eq!(registers::sealed([0; 16])[15], 1);
}

#[test]
fn blocks_are_written_and_read() {
    for (mut card, unit) in [(card(4 << 20), 512), (large(8 << 30), 1)] {
        let rca = start(&mut card);
        let data: Vec<u8> = (0..1536).map(|n| ((n * 7) >> 3) as u8).collect();
        assert_eq!(short(card.command(25, 3 * unit)), 0x900);
        data.chunks(100).for_each(|part| card.put(part));
        assert_eq!(short(card.command(13, rca)), 0xd00);
        assert_eq!(short(card.command(12, 0)), 0xd00);
        short(card.command(55, rca));
        assert_eq!(short(card.command(22, 0)), 0x920);
        let mut written = [0; 4];
        card.take(&mut written);
        assert_eq!(written, [0, 0, 0, 3]);
        // Three blocks that have been announced.
        short(card.command(23, 3));
        assert_eq!(short(card.command(18, 3 * unit)), 0x900);
        let mut back = vec![0; 1536];
        back.chunks_mut(100).for_each(|part| card.take(part));
        assert_eq!((back, card.is_sending()), (data.clone(), false));
        short(card.command(17, 4 * unit));
        let mut block = [0; 600];
        card.take(&mut block);
        assert_eq!((&block[..512], &block[512..]), (&data[512..1024], &[0xff; 88][..]));
        // Erased, it is zero.
        for (index, arg) in [(32, 4 * unit), (33, 4 * unit), (38, 0), (17, 4 * unit)] {
            assert_eq!(short(card.command(index, arg)), 0x900);
        }
        card.take(&mut block);
        assert_eq!(block[..512], [0; 512]);
    }
}

#[test]
fn mistakes_are_told_once() {
    let mut card = card(4 << 20);
    assert_eq!(card.command(17, 0), Response::None);
    let rca = start(&mut card);
    assert_eq!(short(card.command(17, 4 << 20)), 0x900 | status::ADDRESS_ERROR);
    assert_eq!(short(card.command(13, rca)), 0x900);
    assert_eq!(card.command(2, 0), Response::None);
    assert_eq!(short(card.command(13, rca)), 0x900 | status::ILLEGAL_COMMAND);
    assert_eq!(short(card.command(16, 513)), 0x900 | status::BLOCK_LEN_ERROR);
    assert_eq!(short(card.command(38, 0)), 0x900 | status::ERASE_SEQ_ERROR);
    // A read that runs over the end.
    short(card.command(18, (4 << 20) - 512));
    card.take(&mut [0; 2000]);
    assert_eq!(short(card.command(12, 0)), 0xb00 | status::OUT_OF_RANGE);
    // A protected group: the write is refused, until it is freed.
    short(card.command(28, 2 << 20));
    for (protected, errors) in [(true, status::WP_VIOLATION), (false, 0)] {
        if !protected {
            short(card.command(29, 2 << 20));
        }
        short(card.command(24, 2 << 20));
        card.put(&[1; 512]);
        assert_eq!(short(card.command(13, rca)), 0x900 | errors);
    }
    short(card.command(28, 2 << 20));
    short(card.command(30, 0));
    let mut bits = [0; 4];
    card.take(&mut bits);
    assert_eq!(bits, [0, 0, 0, 2]);
    // The whole card, by its CSD.
    let mut csd = card.state.csd;
    csd[14] = 0x10;
    short(card.command(27, 0));
    card.put(&csd);
    short(card.command(24, 0));
    card.put(&[1; 512]);
    assert_eq!(short(card.command(13, rca)), 0x900 | status::WP_VIOLATION);
    // Another card's number; inactive for good.
    assert_eq!(card.command(13, 0x1_0000), Response::None);
    assert_eq!((card.command(15, rca), card.command(0, 0), card.command(8, 0x1aa)), (Response::None, Response::None, Response::None));
}

#[test]
fn functions_are_switched_and_registers_read() {
    let mut card = large(8 << 30);
    let rca = start(&mut card);
    let mut status = [0; 64];
    short(card.command(6, 0x80ff_fff1));
    card.take(&mut status);
    assert_eq!((status[13], status[16], card.state.fast), (3, 1, true));
    short(card.command(6, 0x00ff_fff5));
    card.take(&mut status);
    assert_eq!(status[16], 0xf);
    short(card.command(55, rca));
    short(card.command(6, 2));
    short(card.command(55, rca));
    short(card.command(13, 0));
    card.take(&mut status);
    assert_eq!((status[0], status[10]), (0x80, 0x90));
    short(card.command(55, rca));
    short(card.command(51, 0));
    let mut scr = [0; 8];
    card.take(&mut scr);
    assert_eq!(scr, [2, 0x35, 0x80, 2, 0, 0, 0, 0]);
    // A host that cannot do high capacity never sees it ready.
    card.command(0, 0);
    card.command(55, 0);
    assert_eq!(short(card.command(41, 0x00ff_8000)), 0x00ff_ff00);
    // No medium, no card.
    let mut empty = Card::new(None, 3);
    assert_eq!((empty.inserted(), empty.command(8, 0x1aa)), (false, Response::None));
}
