//! Registers of the 8254x family and the 82574 (8254x manual, chapter 13; 82574 datasheet, chapter 10).

use super::super::kept::kept;
use super::Gbe;
use tern_core::mem::Size;
use tern_core::registers;

registers! {
    /// What both have.
    pub(super) static BASE: Gbe, "e1000", sizes [4];
    0x0000 CTRL 4 rw, "8254x 13.4.1", read |d, _| u64::from(d.s.mac.ctrl), write |d, _, v| d.set_ctrl(v as u32);
    0x0004 CTRL_DUP 4 rw, "8254x 13.4.1", read |d, _| u64::from(d.s.mac.ctrl), write |d, _, v| d.set_ctrl(v as u32);
    0x0008 STATUS 4 rw, "8254x 13.4.2", read |d, _| u64::from(d.status()), write |d, _, v| d.set_status(v as u32);
    0x0010 EECD 4 rw, "8254x 13.4.3", read |d, _| u64::from(d.s.mac.eeprom.control(d.kind.eecd)),
        write |d, _, v| d.s.mac.eeprom.set_control(v as u32, d.kind.microwire);
    0x0014 EERD 4 rw, "8254x 13.4.4", read |d, _| u64::from(d.s.eerd), write |d, _, v| d.set_eerd(v as u32);
    0x0018 CTRL_EXT 4 rw reset 0, "8254x 13.4.5", read |d, _| u64::from(d.s.mac.ctrl_ext),
        write |d, _, v| d.set_ctrl_ext(v as u32);
    0x0020 MDIC 4 rw reset 0, "8254x 13.4.7", read |d, _| u64::from(d.s.mac.phy.mdic),
        write |d, _, v| d.set_mdic(v as u32);
    0x00c0 ICR 4 rw reset 0, "8254x 13.4.17", read |d, _| d.read_icr(), write |d, _, v| d.write_icr(v as u32);
    0x00c4 ITR 4 rw reset 0, "8254x 13.4.18", read |d, _| u64::from(d.s.irq.itr),
        write |d, _, v| d.s.irq.itr = v as u32 & 0xffff;
    0x00c8 ICS 4 rw reset 0, "8254x 13.4.19", read |d, _| u64::from(d.s.irq.icr), write |d, _, v| d.raise(v as u32);
    0x00d0 IMS 4 rw reset 0, "8254x 13.4.20", read |d, _| u64::from(d.s.irq.ims), write |d, _, v| d.unmask(v as u32);
    0x00d8 IMC 4 wo, "8254x 13.4.21", write |d, _, v| d.mask(v as u32);
    0x0400 TCTL 4 rw reset 0, "8254x 13.4.33", read |d, _| u64::from(d.s.mac.tctl),
        write |d, _, v| d.set_tctl(v as u32);
    0x2800 RDBAL 4 rw reset 0, "8254x 13.4.25", read |d, _| d.s.rx[0].base & 0xffff_ffff,
        write |d, _, v| d.s.rx[0].set_low(v, 16);
    0x2804 RDBAH 4 rw reset 0, "8254x 13.4.26", read |d, _| d.s.rx[0].base >> 32,
        write |d, _, v| d.s.rx[0].set_high(v);
    0x2808 RDLEN 4 rw reset 0, "8254x 13.4.27", read |d, _| u64::from(d.s.rx[0].len()),
        write |d, _, v| d.s.rx[0].set_len(v);
    0x2810 RDH 4 rw reset 0, "8254x 13.4.28", read |d, _| u64::from(d.s.rx[0].head),
        write |d, _, v| d.s.rx[0].head = v as u32 & 0xffff;
    0x2818 RDT 4 rw reset 0, "8254x 13.4.29", read |d, _| u64::from(d.s.rx[0].tail),
        write |d, _, v| d.s.rx[0].tail = v as u32 & 0xffff;
    0x2820 RDTR 4 rw reset 0, "8254x 13.4.30", read |d, _| u64::from(d.s.irq.rdtr),
        write |d, _, v| d.set_rdtr(v as u32);
    0x282c RADV 4 rw reset 0, "8254x 13.4.31", read |d, _| u64::from(d.s.irq.radv),
        write |d, _, v| d.s.irq.radv = v as u32 & 0xffff;
    0x3800 TDBAL 4 rw reset 0, "8254x 13.4.36", read |d, _| d.s.tx[0].ring.base & 0xffff_ffff,
        write |d, _, v| d.s.tx[0].ring.set_low(v, 16);
    0x3804 TDBAH 4 rw reset 0, "8254x 13.4.37", read |d, _| d.s.tx[0].ring.base >> 32,
        write |d, _, v| d.s.tx[0].ring.set_high(v);
    0x3808 TDLEN 4 rw reset 0, "8254x 13.4.38", read |d, _| u64::from(d.s.tx[0].ring.len()),
        write |d, _, v| d.s.tx[0].ring.set_len(v);
    0x3810 TDH 4 rw reset 0, "8254x 13.4.39", read |d, _| u64::from(d.s.tx[0].ring.head),
        write |d, _, v| d.s.tx[0].ring.head = v as u32 & 0xffff;
    0x3818 TDT 4 rw reset 0, "8254x 13.4.40", read |d, _| u64::from(d.s.tx[0].ring.tail),
        write |d, _, v| d.set_tdt(0, v as u32);
    0x3820 TIDV 4 rw reset 0, "8254x 13.4.41", read |d, _| u64::from(d.s.irq.tidv),
        write |d, _, v| d.set_tidv(v as u32);
    0x382c TADV 4 rw reset 0, "8254x 13.4.45", read |d, _| u64::from(d.s.irq.tadv),
        write |d, _, v| d.s.irq.tadv = v as u32 & 0xffff;
}

registers! {
    /// What only the 82574 has.
    pub(super) static MORE: Gbe, "e1000e", sizes [4];
    0x00dc EIAC 4 rw reset 0, "82574 10.2.4.6", read |d, _| u64::from(d.s.irq.eiac),
        write |d, _, v| d.s.irq.eiac = v as u32 & 0x01f0_0000;
    0x00e0 IAM 4 rw reset 0, "82574 10.2.4.7", read |d, _| u64::from(d.s.irq.iam), write |d, _, v| d.s.irq.iam = v as u32;
    0x00e4 IVAR 4 rw reset 0, "82574 10.2.4.9", read |d, _| u64::from(d.s.irq.ivar),
        write |d, _, v| d.s.irq.ivar = v as u32 & 0x800f_ffff;
    0x00e8 [5; 4] EITR 4 rw reset 0, "82574 10.2.4.8", read |d, i| u64::from(d.s.irq.eitr[i as usize]),
        write |d, i, v| d.s.irq.eitr[i as usize] = v as u32 & 0xffff;
    0x102c EEWR 4 rw reset 2, "82574 10.2.2.6", read |d, _| u64::from(d.s.eewr), write |d, _, v| d.set_eewr(v as u32);
    0x2900 RDBAL1 4 rw reset 0, "82574 10.2.5.4", read |d, _| d.s.rx[1].base & 0xffff_ffff,
        write |d, _, v| d.s.rx[1].set_low(v, 16);
    0x2904 RDBAH1 4 rw reset 0, "82574 10.2.5.5", read |d, _| d.s.rx[1].base >> 32,
        write |d, _, v| d.s.rx[1].set_high(v);
    0x2908 RDLEN1 4 rw reset 0, "82574 10.2.5.6", read |d, _| u64::from(d.s.rx[1].len()),
        write |d, _, v| d.s.rx[1].set_len(v);
    0x2910 RDH1 4 rw reset 0, "82574 10.2.5.7", read |d, _| u64::from(d.s.rx[1].head),
        write |d, _, v| d.s.rx[1].head = v as u32 & 0xffff;
    0x2918 RDT1 4 rw reset 0, "82574 10.2.5.8", read |d, _| u64::from(d.s.rx[1].tail),
        write |d, _, v| d.s.rx[1].tail = v as u32 & 0xffff;
    0x3900 TDBAL1 4 rw reset 0, "82574 10.2.6.5", read |d, _| d.s.tx[1].ring.base & 0xffff_ffff,
        write |d, _, v| d.s.tx[1].ring.set_low(v, 16);
    0x3904 TDBAH1 4 rw reset 0, "82574 10.2.6.6", read |d, _| d.s.tx[1].ring.base >> 32,
        write |d, _, v| d.s.tx[1].ring.set_high(v);
    0x3908 TDLEN1 4 rw reset 0, "82574 10.2.6.7", read |d, _| u64::from(d.s.tx[1].ring.len()),
        write |d, _, v| d.s.tx[1].ring.set_len(v);
    0x3910 TDH1 4 rw reset 0, "82574 10.2.6.8", read |d, _| u64::from(d.s.tx[1].ring.head),
        write |d, _, v| d.s.tx[1].ring.head = v as u32 & 0xffff;
    0x3918 TDT1 4 rw reset 0, "82574 10.2.6.9", read |d, _| u64::from(d.s.tx[1].ring.tail),
        write |d, _, v| d.set_tdt(1, v as u32);
    0x5b68 PBACLR 4 rw reset 0, "82574 10.2.8.17", read |_, _| 0, write |d, _, v| d.clear_pending(v as u32);
    0xb600 SYSTIML 4 rw, "82574 10.2.9.7", read |d, _| d.read_time(), write |d, _, v| d.set_time(false, v as u32);
    0xb604 SYSTIMH 4 rw, "82574 10.2.9.8", read |d, _| u64::from(d.s.mac.time.latched),
        write |d, _, v| d.set_time(true, v as u32);
    0xb608 TIMINCA 4 rw reset 0, "82574 10.2.9.9", read |d, _| u64::from(d.s.mac.time.increment),
        write |d, _, v| d.set_increment(v as u32);
    0xb60c TIMADJL 4 rw reset 0, "82574 10.2.9.10", read |d, _| u64::from(d.s.mac.time.adjust),
        write |d, _, v| d.s.mac.time.adjust = v as u32;
    0xb610 TIMADJH 4 rw reset 0, "82574 10.2.9.11", read |_, _| 0, write |d, _, v| d.s.mac.time.adjust(v as u32);
}

registers! {
    /// Registers behind two ports (8254x manual, 13.2.2).
    pub(super) static PORTS: Gbe, "e1000-ports", sizes [4];
    0x0 IOADDR 4 rw reset 0, "8254x 13.2.2.1", read |d, _| u64::from(d.s.mac.port),
        write |d, _, v| d.s.mac.port = v as u32 & 0x1_ffff;
    0x4 IODATA 4 rw, "8254x 13.2.2.2", read |d, _| d.load_register(d.s.mac.port.into(), Size::B4),
        write |d, _, v| d.store_register(d.s.mac.port.into(), Size::B4, v);
}

registers! {
    /// MSI-X.
    pub(super) static TABLE: Gbe, "e1000e-msix", sizes [4, 8];
    0x0000 area 0x2000 MSI_X_TABLE, "PCI 6.8.2",
        read |d, at, size| d.msix.as_ref().map_or(0, |msix| msix.read(at, size)),
        write |d, at, size, v| d.write_table(at, size, v);
    0x2000 area 0x2000 MSI_X_PBA, "PCI 6.8.2",
        read |d, at, size| d.msix.as_ref().map_or(0, |msix| msix.pending(at, size)),
        write |d, at, _, _| d.kit.report.guest_error(format_args!("store to pending bits at {at:#x}"));
}

kept! {
    /// The 8254x family's.
    KEPT_8254X, ROWS_8254X, "e1000";
    0x0028 FCAL mask 0xffff_ffff reset 0, "8254x 13.4.8";
    0x002c FCAH mask 0xffff reset 0, "8254x 13.4.9";
    0x0030 FCT mask 0xffff reset 0, "8254x 13.4.10";
    0x0170 FCTTV mask 0xffff reset 0, "8254x 13.4.13";
    0x0178 TXCW mask 0xc000_ffff reset 0, "8254x 13.4.14";
    0x0180 RXCW mask 0 reset 0, "8254x 13.4.15";
    0x0410 TIPG mask 0x3fff_ffff reset 0x0060_2006, "8254x 13.4.34";
    0x0448 TBT mask 0xffff reset 0, "8254x 13.4.35";
    0x0458 AIFS mask 0xffff reset 0, "8254x 13.4.35";
    0x0e00 LEDCTL mask 0xffff_ffff reset 0x0706_8302, "8254x 13.4.16";
    0x1000 PBA mask 0xffff reset 0x0010_0030, "8254x 13.4.11";
    0x2160 FCRTL mask 0x8000_fff8 reset 0, "8254x 13.4.23";
    0x2168 FCRTH mask 0xfff8 reset 0, "8254x 13.4.24";
    0x2410 RDFH mask 0x1fff reset 0, "8254x 13.8.1";
    0x2418 RDFT mask 0x1fff reset 0, "8254x 13.8.2";
    0x2420 RDFHS mask 0x1fff reset 0, "8254x 13.8.3";
    0x2428 RDFTS mask 0x1fff reset 0, "8254x 13.8.4";
    0x2430 RDFPC mask 0x1fff reset 0, "8254x 13.8.5";
    0x2828 RXDCTL mask 0x013f_3f3f reset 0x0101_0000, "8254x 13.4.30";
    0x2c00 RSRPD mask 0xfff reset 0, "8254x 13.4.32";
    0x3000 TXDMAC mask 1 reset 0, "8254x 13.4.42";
    0x3410 TDFH mask 0x7ff reset 0, "8254x 13.8.6";
    0x3418 TDFT mask 0x7ff reset 0, "8254x 13.8.7";
    0x3420 TDFHS mask 0x1fff reset 0, "8254x 13.8.8";
    0x3428 TDFTS mask 0x1fff reset 0, "8254x 13.8.9";
    0x3430 TDFPC mask 0x1fff reset 0, "8254x 13.8.10";
    0x3828 TXDCTL mask 0xff3f_3f3f reset 0, "8254x 13.4.43";
    0x3830 TSPMT mask 0xffff_ffff reset 0x0100_0400, "8254x 13.4.46";
    0x5800 WUC mask 0xf reset 0, "8254x 13.6.1";
    0x5808 WUFC mask 0xf_80ff reset 0, "8254x 13.6.2";
    0x5810 WUS mask 0 reset 0, "8254x 13.6.3";
    0x5820 MANC mask 0xffff_ffff reset 0, "8254x 13.6.8";
    0x5838 IPAV mask 0x1_000f reset 0, "8254x 13.6.4";
    0x5900 WUPL mask 0 reset 0, "8254x 13.6.7";
    0x5b50 SWSM mask 0xf reset 0, "8254x 13.4.3";
}

kept! {
    /// The 82574's.
    KEPT_82574, ROWS_82574, "e1000e";
    0x001c FLA mask 0xffff_ffff reset 0, "82574 10.2.2.8";
    0x0024 SCTL mask 0xffff_ffff reset 0, "82574 10.2.2.10";
    0x0028 FCAL mask 0xffff_ffff reset 0, "82574 10.2.2.12";
    0x002c FCAH mask 0xffff reset 0, "82574 10.2.2.13";
    0x0030 FCT mask 0xffff reset 0, "82574 10.2.2.14";
    0x0034 KUMCTRLSTA mask 0xffff_ffff reset 0, "82574 10.2.2.15";
    0x0170 FCTTV mask 0xffff reset 0, "82574 10.2.2.17";
    0x0178 TXCW mask 0xc000_ffff reset 0, "8254x 13.4.14";
    0x0180 RXCW mask 0 reset 0, "8254x 13.4.15";
    0x0404 TCTL_EXT mask 0xf_ffff reset 0x4_2040, "82574 10.2.6.2";
    0x0410 TIPG mask 0x3fff_ffff reset 0x0060_2008, "82574 10.2.6.3";
    0x0458 AIT mask 0xffff reset 0, "82574 10.2.6.4";
    0x0e00 LEDCTL mask 0xffff_ffff reset 0x0706_8302, "82574 10.2.2.18";
    0x0f00 EXTCNF_CTRL mask 0x0fff_00e3 reset 0x0008, "82574 10.2.2.19";
    0x0f08 EXTCNF_SIZE mask 0xffff_ffff reset 0, "82574 10.2.2.20";
    0x0f10 POEMB mask 0xffff reset 0x030d, "82574 10.2.2.21";
    0x1000 PBA mask 0xffff reset 0x0014_0014, "82574 10.2.2.22";
    0x1008 PBS mask 0x3f reset 0x0028, "82574 10.2.2.23";
    0x1010 EEMNGCTL mask 0x1 reset 0x800c_0000, "82574 10.2.2.24";
    0x1024 EEARBC mask 0xffff_ffff reset 0, "82574 10.2.2.25";
    0x1028 FLASHT mask 0xffff reset 0x0002, "82574 10.2.2.26";
    0x1050 FLOL mask 0xff reset 0x0001, "82574 10.2.2.27";
    0x2008 ERT mask 0x7fff reset 0, "82574 10.2.5.2";
    0x2160 FCRTL mask 0x8000_fff8 reset 0, "82574 10.2.5.3";
    0x2168 FCRTH mask 0xfff8 reset 0, "82574 10.2.5.3";
    0x2170 PSRCTL mask 0x3f3f_3f7f reset 0x0004_0402, "82574 10.2.5.9";
    0x2410 RDFH mask 0x1fff reset 0, "82574 10.2.10.1";
    0x2418 RDFT mask 0x1fff reset 0, "82574 10.2.10.2";
    0x2420 RDFHS mask 0x1fff reset 0, "82574 10.2.10.3";
    0x2428 RDFTS mask 0x1fff reset 0, "82574 10.2.10.4";
    0x2430 RDFPC mask 0x1fff reset 0, "82574 10.2.10.5";
    0x2828 RXDCTL mask 0x013f_3f3f reset 0x0001_0000, "82574 10.2.5.10";
    0x2928 RXDCTL1 mask 0x013f_3f3f reset 0x0001_0000, "82574 10.2.5.10";
    0x2c00 RSRPD mask 0xfff reset 0, "82574 10.2.5.13";
    0x2c08 RAID mask 0xffff reset 0, "82574 10.2.5.14";
    0x3410 TDFH mask 0x1fff reset 0x0600, "82574 10.2.10.6";
    0x3418 TDFT mask 0x1fff reset 0x0600, "82574 10.2.10.7";
    0x3420 TDFHS mask 0x1fff reset 0x0600, "82574 10.2.10.8";
    0x3428 TDFTS mask 0x1fff reset 0x0600, "82574 10.2.10.9";
    0x3430 TDFPC mask 0x1fff reset 0, "82574 10.2.10.10";
    0x3828 TXDCTL mask 0xff7f_3f3f reset 0, "82574 10.2.6.11";
    0x3840 TARC0 mask 0xffff_ffff reset 0x0403, "82574 10.2.6.13";
    0x3928 TXDCTL1 mask 0xff7f_3f3f reset 0, "82574 10.2.6.11";
    0x3940 TARC1 mask 0xffff_ffff reset 0x0403, "82574 10.2.6.13";
    0x5800 WUC mask 0x7 reset 0, "82574 10.2.8.1";
    0x5808 WUFC mask 0x80ff reset 0, "82574 10.2.8.2";
    0x5810 WUS mask 0 reset 0, "82574 10.2.8.3";
    0x5820 MANC mask 0xffff_ffff reset 0x1000_0000, "82574 10.2.8.5";
    0x5838 IPAV mask 0x1_000f reset 0, "82574 10.2.8.4";
    0x5860 MANC2H mask 0xff reset 0, "82574 10.2.8.8";
    0x5b00 GCR mask 0xf97f_ffff reset 0x0680_0200, "82574 10.2.3.1";
    0x5b30 FACTPS mask 0 reset 0x2000_0004, "82574 10.2.3.7";
    0x5b54 FWSM mask 0 reset 0, "82574 10.2.8.15";
    0x5b58 SWSM2 mask 0x3 reset 0, "82574 10.2.8.16";
    0x5b5c SW_FW_SYNC mask 0xffff_ffff reset 0, "82574 10.2.8.16";
    0x5b64 GCR2 mask 0xffff_ffff reset 0, "82574 10.2.3.8";
    0x5f40 FCRTV mask 0xffff reset 0, "82574 10.2.2.17";
    0xb614 TSYNCTXCTL mask 0 reset 0, "82574 10.2.9.3";
    0xb620 TSYNCRXCTL mask 0 reset 0, "82574 10.2.9.1";
    0xb634 RXCFGL mask 0xffff_ffff reset 0x88f7, "82574 10.2.9.12";
    0xb638 RXUDP mask 0xffff reset 0x0319, "82574 10.2.9.13";
}

/// Where an older place of a register is now (8254x manual, 13.4, "alias").
pub(super) fn place(offset: u64) -> u64 {
    match offset {
        0x0040..0x00c0 => offset - 0x0040 + 0x5400,
        0x0108 => 0x2820,
        0x0110..=0x0128 => match offset {
            0x0110 => 0x2800,
            0x0114 => 0x2804,
            0x0118 => 0x2808,
            0x0120 => 0x2810,
            0x0128 => 0x2818,
            other => other,
        },
        0x0160 => 0x2168,
        0x0168 => 0x2160,
        0x0200..0x0400 => offset - 0x0200 + 0x5200,
        0x0420..=0x0440 => match offset {
            0x0420 => 0x3800,
            0x0424 => 0x3804,
            0x0428 => 0x3808,
            0x0430 => 0x3810,
            0x0438 => 0x3818,
            0x0440 => 0x3820,
            other => other,
        },
        0x0600..0x0800 => offset - 0x0600 + 0x5600,
        0x8000 => 0x2410,
        0x8008 => 0x2418,
        0x8010 => 0x3410,
        0x8018 => 0x3418,
        other => other,
    }
}
