//! Registers of the 82576 (82576 datasheet, chapter 8).

use super::super::kept::kept;
use super::{Igb, QUEUES};
use tern_core::mem::Size;
use tern_core::registers;

registers! {
    /// Control, EEPROM, PHY, interrupts, clock.
    pub(super) static CONTROL: Igb, "igb", sizes [4];
    0x0000 CTRL 4 rw, "8.2.1", read |d, _| u64::from(d.s.mac.ctrl), write |d, _, v| d.set_ctrl(v as u32);
    0x0004 CTRL_DUP 4 rw, "8.2.1", read |d, _| u64::from(d.s.mac.ctrl), write |d, _, v| d.set_ctrl(v as u32);
    0x0008 STATUS 4 rw, "8.2.2", read |d, _| u64::from(d.status()), write |d, _, v| d.set_status(v as u32);
    0x0010 EECD 4 rw, "8.4.1", read |d, _| u64::from(d.s.mac.eeprom.control(super::EECD)),
        write |d, _, v| d.s.mac.eeprom.set_control(v as u32, false);
    0x0014 EERD 4 rw reset 2, "8.4.2", read |d, _| u64::from(d.s.eerd), write |d, _, v| d.set_eerd(v as u32);
    0x0018 CTRL_EXT 4 rw reset 0, "8.2.3", read |d, _| u64::from(d.s.mac.ctrl_ext),
        write |d, _, v| d.s.mac.ctrl_ext = v as u32 & !0x3000;
    0x0020 MDIC 4 rw reset 0, "8.2.4", read |d, _| u64::from(d.s.mac.phy.mdic), write |d, _, v| d.set_mdic(v as u32);
    0x00c0 ICR 4 rw reset 0, "8.8.8", read |d, _| d.read_icr(), write |d, _, v| d.write_icr(v as u32);
    0x00c8 ICS 4 rw reset 0, "8.8.9", read |d, _| u64::from(d.s.irq.icr), write |d, _, v| d.raise(v as u32, 0);
    0x00d0 IMS 4 rw reset 0, "8.8.10", read |d, _| u64::from(d.s.irq.ims), write |d, _, v| d.unmask(v as u32, 0);
    0x00d8 IMC 4 wo, "8.8.11", write |d, _, v| d.mask(v as u32, 0);
    0x00e0 IAM 4 rw reset 0, "8.8.12", read |d, _| u64::from(d.s.irq.iam), write |d, _, v| d.s.irq.iam = v as u32;
    // Where these two are in the documentation of the driver; the datasheet has them at 0x1500.
    0x1500 ICR_NEW 4 rw reset 0, "8.8.8", read |d, _| d.read_icr(), write |d, _, v| d.write_icr(v as u32);
    0x1504 ICS_NEW 4 rw reset 0, "8.8.9", read |d, _| u64::from(d.s.irq.icr), write |d, _, v| d.raise(v as u32, 0);
    0x1508 IMS_NEW 4 rw reset 0, "8.8.10", read |d, _| u64::from(d.s.irq.ims), write |d, _, v| d.unmask(v as u32, 0);
    0x150c IMC_NEW 4 wo, "8.8.11", write |d, _, v| d.mask(v as u32, 0);
    0x1510 IAM_NEW 4 rw reset 0, "8.8.12", read |d, _| u64::from(d.s.irq.iam), write |d, _, v| d.s.irq.iam = v as u32;
    0x1514 GPIE 4 rw reset 0, "8.8.13", read |d, _| u64::from(d.s.irq.gpie), write |d, _, v| d.set_gpie(v as u32);
    0x1520 EICS 4 wo, "8.8.2", write |d, _, v| d.raise(0, v as u32);
    0x1524 EIMS 4 rw reset 0, "8.8.3", read |d, _| u64::from(d.s.irq.eims), write |d, _, v| d.unmask(0, v as u32);
    0x1528 EIMC 4 wo, "8.8.4", write |d, _, v| d.mask(0, v as u32);
    0x152c EIAC 4 rw reset 0, "8.8.5", read |d, _| u64::from(d.s.irq.eiac),
        write |d, _, v| d.s.irq.eiac = v as u32 & super::irq::VECTOR_BITS;
    0x1530 EIAM 4 rw reset 0, "8.8.6", read |d, _| u64::from(d.s.irq.eiam), write |d, _, v| d.s.irq.eiam = v as u32;
    0x1580 EICR 4 rw reset 0, "8.8.1", read |d, _| d.read_eicr(), write |d, _, v| d.clear(v as u32);
    0x1680 [25; 4] EITR 4 rw reset 0, "8.8.14", read |d, i| u64::from(d.s.irq.eitr[i as usize]),
        write |d, i, v| d.s.irq.eitr[i as usize] = v as u32 & 0x7fff_ffff;
    0x1700 [8; 4] IVAR 4 rw reset 0, "8.8.15", read |d, i| u64::from(d.s.irq.ivar[i as usize]),
        write |d, i, v| d.s.irq.ivar[i as usize] = v as u32 & 0x9f9f_9f9f;
    0x1740 IVAR_MISC 4 rw reset 0, "8.8.16", read |d, _| u64::from(d.s.irq.ivar_misc),
        write |d, _, v| d.s.irq.ivar_misc = v as u32 & 0x9f9f;
    0x0400 TCTL 4 rw, "8.12.1", read |d, _| u64::from(d.s.mac.tctl), write |d, _, v| d.set_tctl(v as u32);
    0x54e0 [16; 4] RA2 4 rw reset 0, "8.10.14", read |d, i| u64::from(d.s.mac.filter.addresses[32 + i as usize]),
        write |d, i, v| d.s.mac.set_address(32 + i as usize, v as u32);
    0x5b68 PBACL 4 rw reset 0, "8.8.17", read |_, _| 0, write |d, _, v| d.clear_pending(v as u32);
    0xb600 SYSTIML 4 rw, "8.16.9", read |d, _| d.read_time(), write |d, _, v| d.set_time(false, v as u32);
    0xb604 SYSTIMH 4 rw, "8.16.10", read |d, _| u64::from(d.s.mac.time.latched),
        write |d, _, v| d.set_time(true, v as u32);
    0xb608 TIMINCA 4 rw reset 0, "8.16.11", read |d, _| u64::from(d.s.mac.time.increment),
        write |d, _, v| d.set_increment(v as u32);
    0xb60c TIMADJL 4 rw reset 0, "8.16.12", read |d, _| u64::from(d.s.mac.time.adjust),
        write |d, _, v| d.s.mac.time.adjust = v as u32;
    0xb610 TIMADJH 4 rw reset 0, "8.16.13", read |_, _| 0, write |d, _, v| d.s.mac.time.adjust(v as u32);
}

registers! {
    /// Queues, and arrays of which nothing is needed but what was written.
    pub(super) static ARRAYS: Igb, "igb", sizes [4];
    0xc000 [QUEUES as u64; 0x40] RDBAL 4 rw reset 0, "8.10.5", read |d, i| d.s.rx[i as usize].ring.base & 0xffff_ffff,
        write |d, i, v| d.s.rx[i as usize].ring.set_low(v, 128);
    0xc004 [QUEUES as u64; 0x40] RDBAH 4 rw reset 0, "8.10.6", read |d, i| d.s.rx[i as usize].ring.base >> 32,
        write |d, i, v| d.s.rx[i as usize].ring.set_high(v);
    0xc008 [QUEUES as u64; 0x40] RDLEN 4 rw reset 0, "8.10.7", read |d, i| u64::from(d.s.rx[i as usize].ring.len()),
        write |d, i, v| d.s.rx[i as usize].ring.set_len(v);
    0xc00c [QUEUES as u64; 0x40] SRRCTL 4 rw, "8.10.2", read |d, i| u64::from(d.s.rx[i as usize].srrctl),
        write |d, i, v| d.s.rx[i as usize].srrctl = v as u32 & 0x8e00_0f7f;
    0xc010 [QUEUES as u64; 0x40] RDH 4 rw reset 0, "8.10.8", read |d, i| u64::from(d.s.rx[i as usize].ring.head),
        write |d, i, v| d.s.rx[i as usize].ring.head = v as u32 & 0xffff;
    0xc014 [QUEUES as u64; 0x40] RXCTL 4 rw, "8.13.1", read |d, i| d.extra(0xc014 + 0x40 * i),
        write |d, i, v| d.set_extra(0xc014 + 0x40 * i, v);
    0xc018 [QUEUES as u64; 0x40] RDT 4 rw reset 0, "8.10.9", read |d, i| u64::from(d.s.rx[i as usize].ring.tail),
        write |d, i, v| d.s.rx[i as usize].ring.tail = v as u32 & 0xffff;
    0xc028 [QUEUES as u64; 0x40] RXDCTL 4 rw, "8.10.10", read |d, i| u64::from(d.s.rx[i as usize].control),
        write |d, i, v| d.s.rx[i as usize].control = v as u32 & 0x021f_1f1f;
    0xc030 [QUEUES as u64; 0x40] RQDPC 4 rw reset 0, "8.10.11", read |d, i| d.take_drops(i as usize),
        write |d, i, v| d.s.rx[i as usize].drops = v as u32 & 0xfff;
    0xe000 [QUEUES as u64; 0x40] TDBAL 4 rw reset 0, "8.12.9", read |d, i| d.s.tx[i as usize].ring.base & 0xffff_ffff,
        write |d, i, v| d.s.tx[i as usize].ring.set_low(v, 128);
    0xe004 [QUEUES as u64; 0x40] TDBAH 4 rw reset 0, "8.12.10", read |d, i| d.s.tx[i as usize].ring.base >> 32,
        write |d, i, v| d.s.tx[i as usize].ring.set_high(v);
    0xe008 [QUEUES as u64; 0x40] TDLEN 4 rw reset 0, "8.12.11", read |d, i| u64::from(d.s.tx[i as usize].ring.len()),
        write |d, i, v| d.s.tx[i as usize].ring.set_len(v);
    0xe010 [QUEUES as u64; 0x40] TDH 4 rw reset 0, "8.12.12", read |d, i| u64::from(d.s.tx[i as usize].ring.head),
        write |d, i, v| d.s.tx[i as usize].ring.head = v as u32 & 0xffff;
    0xe014 [QUEUES as u64; 0x40] TXCTL 4 rw, "8.13.2", read |d, i| d.extra(0xe014 + 0x40 * i),
        write |d, i, v| d.set_extra(0xe014 + 0x40 * i, v);
    0xe018 [QUEUES as u64; 0x40] TDT 4 rw reset 0, "8.12.13", read |d, i| u64::from(d.s.tx[i as usize].ring.tail),
        write |d, i, v| d.set_tdt(i as usize, v as u32);
    0xe028 [QUEUES as u64; 0x40] TXDCTL 4 rw, "8.12.14", read |d, i| u64::from(d.s.tx[i as usize].control),
        write |d, i, v| d.set_txdctl(i as usize, v as u32);
    0xe038 [QUEUES as u64; 0x40] TDWBAL 4 rw reset 0, "8.12.15", read |d, i| d.s.tx[i as usize].head & 0xffff_ffff,
        write |d, i, v| d.set_head_place(i as usize, false, v);
    0xe03c [QUEUES as u64; 0x40] TDWBAH 4 rw reset 0, "8.12.16", read |d, i| d.s.tx[i as usize].head >> 32,
        write |d, i, v| d.set_head_place(i as usize, true, v);
    0x3700 [8; 4] VMVIR 4 rw reset 0, "8.14.19", read |d, i| d.extra(0x3700 + 4 * i),
        write |d, i, v| d.set_extra(0x3700 + 4 * i, v);
    0x4128 [54; 4] HOST_STATISTICS 4 ro reset 0, "8.18.40", read |_, _| 0;
    0x5480 [8; 4] PSRTYPE 4 rw, "8.10.4", read |d, i| d.extra(0x5480 + 4 * i),
        write |d, i, v| d.set_extra(0x5480 + 4 * i, v);
    0x5980 [24; 4] SAQF_DAQF_SPQF 4 rw reset 0, "8.10.18", read |d, i| d.extra(0x5980 + 4 * i),
        write |d, i, v| d.set_extra(0x5980 + 4 * i, v);
    0x59e0 [8; 4] FTQF 4 rw, "8.10.21", read |d, i| d.extra(0x59e0 + 4 * i), write |d, i, v| d.set_tuple_filter(i, v);
    0x5a80 [16; 4] IMIR_IMIREXT 4 rw reset 0, "8.10.23", read |d, i| d.extra(0x5a80 + 4 * i),
        write |d, i, v| d.set_extra(0x5a80 + 4 * i, v);
    0x5ad0 [8; 4] VMOLR 4 rw, "8.14.18", read |d, i| d.extra(0x5ad0 + 4 * i),
        write |d, i, v| d.set_extra(0x5ad0 + 4 * i, v);
    0x5cb0 [8; 4] ETQF 4 rw reset 0, "8.10.17", read |d, i| d.extra(0x5cb0 + 4 * i),
        write |d, i, v| d.set_extra(0x5cb0 + 4 * i, v);
    0x5d00 [32; 4] VLVF 4 rw reset 0, "8.14.17", read |d, i| d.extra(0x5d00 + 4 * i),
        write |d, i, v| d.set_extra(0x5d00 + 4 * i, v);
    0xa000 [128; 4] UTA 4 rw reset 0, "8.10.15", read |d, i| d.extra(0xa000 + 4 * i),
        write |d, i, v| d.set_extra(0xa000 + 4 * i, v);
}

registers! {
    /// Registers behind two ports (82576 datasheet, 8.1.1.3).
    pub(super) static PORTS: Igb, "igb-ports", sizes [4];
    0x0 IOADDR 4 rw reset 0, "8.1.1.3.1", read |d, _| u64::from(d.s.mac.port),
        write |d, _, v| d.s.mac.port = v as u32 & 0x1_ffff;
    0x4 IODATA 4 rw, "8.1.1.3.2", read |d, _| d.load_register(d.s.mac.port.into(), Size::B4),
        write |d, _, v| d.store_register(d.s.mac.port.into(), Size::B4, v);
}

registers! {
    /// MSI-X.
    pub(super) static TABLE: Igb, "igb-msix", sizes [4, 8];
    0x0000 area 0x2000 MSI_X_TABLE, "PCI 6.8.2", read |d, at, size| d.msix.read(at, size),
        write |d, at, size, v| d.write_table(at, size, v);
    0x2000 area 0x2000 MSI_X_PBA, "PCI 6.8.2", read |d, at, size| d.msix.pending(at, size),
        write |d, at, _, _| d.kit.report.guest_error(format_args!("store to pending bits at {at:#x}"));
}

kept! {
    /// What only keeps what is written.
    KEPT, ROWS, "igb";
    0x001c FLA mask 0xffff_ffff reset 0, "8.4.3";
    0x0028 FCAL mask 0xffff_ffff reset 0x00c2_8001, "8.3.1";
    0x002c FCAH mask 0xffff reset 0x0100, "8.3.2";
    0x0030 FCT mask 0xffff reset 0x8808, "8.3.3";
    0x0034 CONNSW mask 0x1ff reset 0, "8.2.6";
    0x0170 FCTTV mask 0xffff reset 0, "8.3.4";
    0x0404 TCTL_EXT mask 0xf_ffff reset 0x1_0840, "8.12.2";
    0x0410 TIPG mask 0x3fff_ffff reset 0x0060_1008, "8.12.3";
    0x0e00 LEDCTL mask 0xffff_ffff reset 0x0706_8302, "8.2.9";
    0x1008 PBS mask 0x3f reset 0, "8.3.8";
    0x1010 EEMNGCTL mask 1 reset 0x800c_0000, "8.4.16";
    0x1048 FRTIMER mask 0xffff_ffff reset 0, "8.17.1";
    0x2160 FCRTL0 mask 0x8000_fff8 reset 0, "8.3.6";
    0x2168 FCRTH0 mask 0xfff8 reset 0, "8.3.5";
    0x2404 RXPBS mask 0x8000_007f reset 0x40, "8.3.9";
    0x2408 QDE mask 0xffff reset 0, "8.14.15";
    0x2460 FCRTV mask 0xffff reset 0, "8.3.7";
    0x3404 TXPBS mask 0x3f reset 0x28, "8.3.10";
    0x3500 DTXSWC mask 0x80ff_ffff reset 0, "8.14.13";
    0x3540 DTXMXSZRQ mask 0xfff reset 0x10, "8.12.7";
    0x3554 WVBR mask 0 reset 0, "8.14.14";
    0x3590 DTXCTL mask 0x7f reset 0x44, "8.12.4";
    0x4200 PCS_CFG mask 0xffff_ffff reset 8, "8.19.1";
    0x4208 PCS_LCTL mask 0xffff_ffff reset 0, "8.19.2";
    0x420c PCS_LSTAT mask 0 reset 0, "8.19.3";
    0x4218 PCS_ANADV mask 0xffff_ffff reset 0, "8.19.4";
    0x4228 SCVPC mask 0 reset 0, "8.18.47";
    0x5004 RLPML mask 0x3fff reset 0x2600, "8.10.3";
    0x55fc SYNQF mask 0xf reset 0, "8.10.22";
    0x5800 WUC mask 0x1f reset 0, "8.20.1";
    0x5808 WUFC mask 0xf_c0ff reset 0, "8.20.2";
    0x5810 WUS mask 0 reset 0, "8.20.3";
    0x581c VT_CTL mask 0x7000_0380 reset 0, "8.14.1";
    0x5820 MANC mask 0xffff_ffff reset 0, "8.21.4";
    0x5838 IPAV mask 0x1_000f reset 0, "8.20.4";
    0x5860 MANC2H mask 0xff reset 0, "8.21.5";
    0x5ac0 IMIRVP mask 0xf reset 0, "8.10.25";
    0x5acc TXSWC mask 0xffff_ffff reset 0, "8.14.13";
    0x5af0 RPLOLR mask 0xe000_0000 reset 0x8000_0000, "8.14.20";
    0x5b00 GCR mask 0xf97f_ffff reset 0x0685_0200, "8.6.1";
    0x5b30 FACTPS mask 0 reset 0x2000_0004, "8.6.11";
    0x5b54 FWSM mask 0 reset 0, "8.7.2";
    0x5b5c SW_FW_SYNC mask 0xffff_ffff reset 0, "8.7.3";
    0x5b70 DCA_ID mask 0 reset 0, "8.13.4";
    0x5b74 DCA_CTRL mask 0x1f reset 1, "8.13.5";
    0x5bbc IOVCTL mask 1 reset 0, "8.14.2";
    0x5f50 TSYNCRXCFG mask 0xffff reset 0, "8.16.26";
    0xb614 TSYNCTXCTL mask 0 reset 0, "8.16.6";
    0xb620 TSYNCRXCTL mask 0 reset 0, "8.16.1";
}

/// Where an older place of a register is now (82576 datasheet, 8.1.3).
pub(super) fn place(offset: u64) -> u64 {
    match offset {
        0x0040..0x00c0 => offset - 0x0040 + 0x5400,
        0x0168 => 0x2160,
        0x0160 => 0x2168,
        0x0200..0x0400 => offset - 0x0200 + 0x5200,
        0x0600..0x0800 => offset - 0x0600 + 0x5600,
        // The first four queues.
        0x2800..0x2c00 if offset % 0x100 < 0x40 => 0xc000 + (offset - 0x2800) / 0x100 * 0x40 + offset % 0x100,
        0x3800..0x3c00 if offset % 0x100 < 0x40 => 0xe000 + (offset - 0x3800) / 0x100 * 0x40 + offset % 0x100,
        other => other,
    }
}
