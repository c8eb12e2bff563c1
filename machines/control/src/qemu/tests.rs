//! The QEMU-style command line: what good lines make, what bad ones are told.
use super::*;
use crate::parts;
use crate::run::{MonitorConfig, OnPanic, OnWatchdog};
use tern_board::config::{
    Aia, Bios, Chardev, Content, Drive, Folder, Fsdev, Medium, Netdev, Object, RtcBase, Setup, Smp,
};
use tern_session::Items;

const NAME: &str = "qemu-system-riscv64";

/// Splits at spaces, but for parts in quotes.
fn words(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (n, quoted) in line.split('\'').enumerate() {
        match n % 2 {
            0 => words.extend(quoted.split_whitespace().map(OsString::from)),
            _ => words.push(quoted.into()),
        }
    }
    words
}

fn machine(line: &str) -> (BoardConfig, RunOptions) {
    match parse(NAME, &words(line)) {
        Ok(Command::Run(config, run)) => (*config, *run),
        other => panic!("{line}: {other:?}"),
    }
}

fn config(line: &str) -> BoardConfig {
    machine(line).0
}

fn printed(line: &str) -> String {
    match parse(NAME, &words(line)) {
        Ok(Command::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    let refusal = parse(NAME, &words(line)).map(|_| ()).expect_err(line).0;
    assert!(!refusal.contains('\n'), "one line: {refusal}");
    refusal.strip_prefix(NAME).and_then(|r| r.strip_prefix(": ")).expect("the name first").to_owned()
}

const BOOT: &str = "-machine virt -m 512M -smp 4 -display none -serial stdio -monitor none -no-reboot
    -kernel K -initrd I -append 'console=ttyS0 earlycon tern.expect=disk,net,rng'
    -drive if=none,id=disk,format=raw,file=DISK -device virtio-blk-device,drive=disk
    -netdev user,id=net -device virtio-net-device,netdev=net
    -object rng-random,filename=/dev/urandom,id=rng -device virtio-rng-device,rng=rng";

#[test]
fn the_reference_line() {
    let extra = "-bios F -fsdev local,id=share,path=DIR,security_model=none
        -device virtio-9p-device,fsdev=share,mount_tag=tern";
    let (got, run) = machine(&format!("{BOOT} {extra}"));
    let mut want = BoardConfig::new("riscv64/virt");
    want.smp = Smp { cpus: 4, sockets: 1, cores: 4, threads: 1 };
    want.memory = 512 << 20;
    want.bios = Bios::File("F".into());
    want.kernel = Some("K".into());
    want.initrd = Some("I".into());
    want.append = "console=ttyS0 earlycon tern.expect=disk,net,rng".into();
    want.clock = ClockMode::Host;
    want.options.legacy_virtio = true;
    let drive = Drive { format: Some("raw".into()), ..Drive::new("DISK") };
    want.drives = vec![Medium { id: "disk".into(), node: String::new(), drive: Some(drive) }];
    want.netdevs = vec![Netdev { id: "net".into(), spec: "user".into(), dump: None }];
    let props = vec![("filename".into(), "/dev/urandom".into())];
    want.objects = vec![Object { kind: "rng-random".into(), id: "rng".into(), props }];
    let folder = Folder::Local { path: "DIR".into(), read_only: false, security_model: "none".into() };
    want.fsdevs = vec![Fsdev { id: "share".into(), folder, options: vec![] }];
    want.devices = vec![
        DeviceConfig::new("virtio-blk-device").with("drive", "disk"),
        DeviceConfig::new("virtio-net-device").with("netdev", "net"),
        DeviceConfig::new("virtio-rng-device").with("rng", "rng"),
        DeviceConfig::new("virtio-9p-device").with("fsdev", "share").with("mount_tag", "tern"),
    ];
    want.chardevs = vec![Chardev { id: "serial0".into(), setup: Setup::parse("stdio").unwrap() }];
    want.serials = vec![Some("serial0".into())];
    assert_eq!(got, want);
    assert!(run.paced && run.items == Items::NONE && run.save.is_none() && run.name == NAME);
    assert!(run.actions.reboot_ends && run.monitors.is_empty());
    let pci = config(&BOOT.replace("-device,", "-pci,"));
    assert!(pci.devices.iter().all(|d| d.driver.ends_with("-pci")));
    let disk = config("-machine virt -m 512M -smp 1 -display none -serial stdio -kernel u-boot.bin -bios default");
    assert_eq!((disk.kernel, disk.bios), (Some("u-boot.bin".into()), Bios::Default));
}

#[test]
fn machines_and_cpus() {
    assert_eq!(config("").board, "riscv64/spike");
    let c = config("-M type=virt,aia=aplic-imsic,aia-guests=3,aclint=on,dumpdtb=x,acpi=off,usb=off,kernel=k,append=a");
    assert_eq!((c.board.as_str(), c.options.aia, c.options.aia_guests), ("riscv64/virt", Aia::AplicImsic, 3));
    assert_eq!((c.options.aclint, c.dump_dtb, c.append.as_str()), (true, Some("x".into()), "a"));
    assert_eq!(config("-m 1.5G").memory, 3 << 29);
    assert_eq!(config("-m size=64").memory, 64 << 20);
    assert_eq!(config("-m 4097b").memory, 8192);
    assert_eq!(config("-smp cpus=8,sockets=2,maxcpus=8").smp, Smp { cpus: 8, sockets: 2, cores: 4, threads: 1 });
    assert_eq!(config("-cpu rv64,v=true,vlen=256").cpu.as_deref(), Some("rv64,v=true,vlen=256"));
    assert_eq!(config("-accel kvm -accel tcg,thread=single").board, "riscv64/spike");
    assert!(machine("-machine accel=kvm:tcg -accel tcg,one-insn-per-tb=on").1.engine.one_insn);
    assert_eq!(machine("-accel tcg,tb-size=32").1.engine.cache_words, 4 << 20);
    let uuid = config("-uuid 00112233-4455-6677-8899-aabbccddeeff").uuid.unwrap();
    assert_eq!((uuid[0], uuid[15]), (0, 0xff));
    let c = config("-fw_cfg name=opt/a,string=b,,c -fw_cfg opt/d,file=e -seed 0x10");
    assert_eq!((c.fw_cfg.len(), c.seed), (2, Some(16)));
    for (line, why) in [
        ("-M pc", "-M pc: unsupported machine type (see -machine help)"),
        ("-M virt,foo=on", "-M virt,foo=on: Invalid parameter 'foo'"),
        ("-M virt,acpi=on", "-M virt,acpi=on: acpi=on is not supported, only off, auto"),
        ("-M aia=x", "-M aia=x: Invalid AIA interrupt controller type (none, aplic, aplic-imsic)"),
        ("-M aia-guests=8", "-M aia-guests=8: Invalid number of AIA IMSIC guests (0 to 7)"),
        ("-M aclint=maybe", "-M aclint=maybe: Parameter 'aclint' expects 'on' or 'off'"),
        (
            "-cpu nonsense",
            "-cpu nonsense: unknown RISC-V CPU `nonsense`: neither a model nor an ISA string such as rv64gc_zba",
        ),
        ("-smp 0", "-smp 0: a number of CPUs, sockets, cores or threads is 0"),
        ("-smp 4,sockets=3", "-smp 4,sockets=3: 3 sockets of 1 cores of 1 threads are not 4 CPUs"),
        (
            "-smp 2,maxcpus=4",
            "-smp 2,maxcpus=4: maxcpus must be equal to cpus: CPUs cannot be added to a running machine",
        ),
        ("-m xx", "-m xx: Parameter 'size' expects a size (as 512M or 2G)"),
        ("-m 0", "-m 0: Parameter 'size' expects a size (as 512M or 2G)"),
        ("-accel kvm", "invalid accelerator kvm"),
        ("-enable-kvm", "-enable-kvm: invalid accelerator kvm, only tcg is supported"),
        ("-accel tcg,thread=multi", "-accel tcg,thread=multi: thread=multi is not supported, only single"),
        ("-uuid zz", "-uuid zz: wrong format of a UUID"),
        (
            "-uuid é0112233-4455-6677-8899-aabbccddeef",
            "-uuid é0112233-4455-6677-8899-aabbccddeef: wrong format of a UUID",
        ),
        ("-append x", "-append only allowed with -kernel option"),
    ] {
        assert_eq!(refused(line), why);
    }
}

#[test]
fn clocks_and_runs() {
    let (c, run) = machine("-icount shift=3,sleep=off -rtc base=2006-06-17T16:01:21,clock=vm -d int,in_asm -D log");
    assert_eq!((c.clock, run.paced), (ClockMode::Instructions { shift: Some(3) }, false));
    assert_eq!(c.rtc, RtcBase::At(1_150_560_081_000_000_000));
    assert_eq!((run.items, run.log_file), (Items::INT.with(Items::IN_ASM), Some("log".into())));
    assert_eq!(config("-icount auto").clock, ClockMode::Instructions { shift: None });
    assert_eq!(machine("-pidfile p").1.pid_file, Some("p".into()));
    let actions = |line: &str| machine(line).1.actions;
    assert!(actions("-action reboot=shutdown").reboot_ends && !actions("-no-reboot -action reboot=reset").reboot_ends);
    assert!(actions("-no-shutdown").shutdown_pauses && actions("-action shutdown=pause").shutdown_pauses);
    let line = "-action panic=pause,watchdog=poweroff";
    assert_eq!((actions(line).panic, actions(line).watchdog), (OnPanic::Pause, OnWatchdog::Poweroff));
    let gdb = |line: &str| {
        let (config, run) = machine(line);
        let specs = config.chardevs.into_iter().filter(|c| run.gdb.as_ref() == Some(&c.id)).map(|c| c.setup.spec);
        specs.collect::<Vec<_>>()
    };
    let spec = |text: &str| vec![Setup::parse(text).expect("a device").spec];
    assert_eq!(gdb("-s"), spec("tcp::1234,server=on,wait=off"));
    assert_eq!(gdb("-gdb tcp:h:1 -gdb unix:/g"), spec("unix:/g,server=on,wait=off"), "the last one counts");
    assert_eq!(gdb("-gdb tcp:h:1,server=off"), spec("tcp:h:1,server=off"));
    assert_eq!(gdb("-chardev null,id=n -gdb chardev:n"), spec("null"));
    assert_eq!(gdb("-s -gdb none"), []);
    assert!(machine("-S").1.paused && machine("-accel qtest -S").1.qtest_only);
    for (line, why) in [
        ("-icount 11", "-icount 11: shift expects auto or a number from 0 to 10"),
        ("-icount 3,sleep=maybe", "-icount 3,sleep=maybe: Parameter 'sleep' expects 'on' or 'off'"),
        ("-icount auto,sleep=off", "-icount auto,sleep=off: shift=auto and sleep=off are incompatible"),
        ("-icount 1,rr=record", "-icount 1,rr=record: rr: rrfile=FILE is wanted too"),
        ("-icount 1,rr=play,rrfile=x", "-icount 1,rr=play,rrfile=x: rr=play: record or replay is wanted"),
        (
            "-rtc clock=host -icount 1",
            "-rtc clock=host: clock=host and -icount are not supported together, only clock=vm",
        ),
        ("-rtc localtime", "-rtc localtime: base=localtime is not supported, only utc and dates"),
        ("-d foo", "-d foo: 'foo' is no log item (see -d help)"),
        ("-gdb chardev:x", "-gdb chardev:x: there is no chardev 'x'"),
        ("-foo", "-foo: invalid option"),
        ("-m", "-m: requires an argument"),
        ("--m", "-m: requires an argument"),
        ("-smbios x", "-smbios x: not supported"),
    ] {
        assert_eq!(refused(line), why);
    }
}

#[test]
fn disks() {
    let c = config(
        "-M virt disk.img -drive file=a,,b,if=virtio,readonly=on,discard=unmap -drive file=c,format=qcow2 -hda d
         -drive if=none,id=x,file=e,cache=none -device virtio-blk-pci,drive=x,addr=0x5,serial=S,num-queues=2 -snapshot",
    );
    let drives: Vec<&Drive> = c.drives.iter().map(|m| m.drive.as_ref().unwrap()).collect();
    let files = ["disk.img", "a,b", "c", "d", "e"].map(|f| Content::File(f.into()));
    assert!(drives.iter().map(|d| &d.content).eq(&files));
    assert!(drives.iter().all(|d| d.snapshot));
    assert_eq!(drives[4].cache.as_deref(), Some("none"));
    assert!(drives[1].read_only && drives[1].discard && !drives[0].read_only);
    assert_eq!(drives[2].format.as_deref(), Some("qcow2"));
    // Devices of their own come first.
    let first = DeviceConfig::new("virtio-blk-pci").with("drive", "x").with("addr", "0x5");
    assert_eq!(c.devices[0], first.with("serial", "S").with("num-queues", "2"));
    let rest: Vec<&str> = c.devices[1..].iter().map(|d| d.props[0].1.as_str()).collect();
    assert_eq!(rest, ["virtio0", "virtio1", "virtio2", "virtio3"]);
    let c = config("-M virt,pflash1=vars -pflash code -blockdev driver=file,node-name=vars,filename=v,read-only=on");
    assert_eq!(c.flash, [Some("pflash0".into()), Some("vars".into())]);
    let drive = |c: &BoardConfig, n: usize| c.drives[n].drive.clone().unwrap();
    assert!(drive(&c, 1).read_only && drive(&c, 1).format.as_deref() == Some("raw"));
    let json = r#"-blockdev '{"driver":"qcow2","node-name":"n","file":{"driver":"file","filename":"f"},"cache":{"direct":true}}'"#;
    let c = config(&format!("-M virt {json} -device '{{\"driver\":\"virtio-blk-device\",\"drive\":\"n\"}}'"));
    assert_eq!((drive(&c, 0).format.as_deref(), drive(&c, 0).cache.as_deref()), (Some("qcow2"), Some("none")));
    assert_eq!((c.drives[0].id.as_str(), c.drives[0].node.as_str()), ("", "n"));
    let c = config(
        "-blockdev file,node-name=a,filename=f -blockdev raw,node-name=b,file=a,discard=unmap
         -device virtio-blk-device,drive=b -snapshot",
    );
    assert!(drive(&c, 1).discard && !drive(&c, 1).snapshot);
    let c = config("-drive if=none,id=n,driver=null-co,read-zeroes=on,size=4M -drive if=none,id=cd,media=cdrom");
    assert_eq!((drive(&c, 0).content, &c.drives[1].drive), (Content::Null(4 << 20), &None));
    for (line, why) in [
        ("-drive foo=bar", "-drive foo=bar: Invalid parameter 'foo'"),
        ("-drive file=a,foo=bar", "-drive file=a,foo=bar: Invalid parameter 'foo'"),
        ("-drive file=a,format=vdi", "-drive file=a,format=vdi: format 'vdi' is not supported"),
        ("-drive file=a,if=ide", "-drive file=a,if=ide: machine type does not support if=ide"),
        ("-drive file=a,media=tape", "-drive file=a,media=tape: 'media' invalid"),
        ("-drive file=a,cache=x", "-drive file=a,cache=x: invalid cache mode 'x'"),
        ("nbd:localhost:1", "nbd:localhost:1: protocol 'nbd' is not supported, only files and block devices"),
        ("-device virtio-blk-device,drive=zz", "-device virtio-blk-device,drive=zz: there is no drive 'zz'"),
        (
            "-drive if=none,id=d,file=a -device virtio-blk-pci,drive=d -device virtio-blk,drive=d",
            "-device virtio-blk,drive=d: Drive 'd' is already in use by another device",
        ),
        (
            "-blockdev vdi,node-name=x",
            "-blockdev vdi,node-name=x: driver 'vdi' is not supported, only file, host_device, null-co, raw, qcow2",
        ),
        (
            "-blockdev raw,node-name=x,file=y",
            "-blockdev raw,node-name=x,file=y: Cannot find device='' nor node-name='y'",
        ),
        ("-pflash a -pflash b -pflash c", "-pflash c: there is no such flash bank, or it is taken"),
        (
            "-drive if=none,id=a,file=b -drive if=none,id=a,file=c",
            "-drive if=none,id=a,file=c: Duplicate ID 'a' for drive",
        ),
        ("-cdrom a", "-cdrom a: not supported"),
    ] {
        assert_eq!(refused(line), why);
    }
}

#[test]
fn networks() {
    let c = config(
        "-M virt -netdev user,id=a,hostfwd=tcp::2222-:22,hostfwd=tcp::80-:80,restrict=on
         -device virtio-net-pci,netdev=a,mac=52:54:00:00:00:01 -object filter-dump,id=f,netdev=a,file=p
         -nic tap,ifname=t0,script=no,model=virtio-net-device -netdev socket,id=s,listen=:1 -device virtio-net,netdev=s
         -device virtio-net-device",
    );
    let specs: Vec<&str> = c.netdevs.iter().map(|n| n.spec.as_str()).collect();
    let user = "user,hostfwd=tcp::2222-:22,hostfwd=tcp::80-:80,restrict=on";
    assert_eq!(specs, [user, "tap,ifname=t0", "socket,listen=:1"]);
    assert_eq!(c.netdevs[0].dump, Some("p".into()));
    let names: Vec<&str> = c.devices.iter().map(|d| d.driver.as_str()).collect();
    assert_eq!(names, ["virtio-net-pci", "virtio-net-device", "virtio-net", "virtio-net-device"]);
    let json = r#"{"type":"user","id":"n","hostfwd":[{"str":"tcp::1-:2"}]}"#;
    let c = config(&format!("-netdev '{json}' -device virtio-net-device,netdev=n"));
    assert_eq!(c.netdevs[0].spec, "user,hostfwd=tcp::1-:2");
    assert!(config("-M virt -net none").devices.is_empty() && config("-nic none").devices.is_empty());
    for (line, why) in [
        ("-netdev user", "-netdev user: Parameter 'id' is missing"),
        (
            "-netdev vde,id=x",
            "-netdev vde,id=x: netdev 'vde' is not supported, only dgram, hubport, socket, stream, tap, user, vhost-user",
        ),
        (
            "-netdev tap,id=x,script=/etc/up",
            "-netdev tap,id=x,script=/etc/up: script=/etc/up is not supported, only no, ",
        ),
        ("-netdev user,id=x -netdev user,id=x", "-netdev user,id=x: Duplicate ID 'x' for netdev"),
        ("-device virtio-net-pci,netdev=x", "-device virtio-net-pci,netdev=x: there is no netdev 'x'"),
        ("-device virtio-net-pci,mac=x", "-device virtio-net-pci,mac=x: 'x' is no Ethernet address"),
        ("-nic user,model=nonsense", "-nic user,model=nonsense: model 'nonsense' is not supported"),
        ("-net user", "-net user: only none is supported: -nic and -netdev have taken the place of -net"),
        ("-object filter-dump,id=f,netdev=x", "-object filter-dump,id=f,netdev=x: there is no netdev 'x'"),
        ("-object nonsense,id=m", "-object nonsense,id=m: invalid object type: nonsense"),
    ] {
        assert_eq!(refused(line), why);
    }
}

#[test]
fn terminals() {
    let serials = |line: &str| -> Vec<Option<Setup>> {
        let c = config(line);
        let what = |id: &String| c.chardevs.iter().find(|d| d.id == *id).map(|d| d.setup.clone()).unwrap();
        c.serials.iter().map(|s| s.as_ref().map(what)).collect()
    };
    let one = |text: &str| Some(parts::serial(text).unwrap());
    assert_eq!(serials(""), [one("mon:stdio")]);
    assert_eq!(serials("-nographic"), [one("mon:stdio")]);
    assert_eq!(serials("-display none"), [None]);
    assert_eq!(serials("-nodefaults"), [None]);
    assert_eq!(serials("-nographic -serial mon:stdio -serial none"), [one("mon:stdio"), None]);
    let line = "-serial chardev:c -chardev socket,id=c,path=/s,server=on,wait=off -chardev stdio,id=d,mux=on
         -device virtio-serial-pci,id=v -device virtio-rng-pci";
    assert_eq!(serials(line), [one("unix:/s,server=on,wait=off")]);
    assert_eq!(serials("-serial file:/x"), [one("file:/x")]);
    assert_eq!(serials("-serial tcp::4444,server=on"), [one("tcp::4444,server=on")]);
    let monitors = |line: &str| machine(line).1.monitors;
    let monitor = |chardev: &str, mode| MonitorConfig { chardev: chardev.into(), mode };
    assert_eq!(monitors("-nographic"), [monitor("serial0", MonitorMode::Readline)]);
    assert_eq!(monitors("-display none -monitor stdio"), [monitor("compat_monitor0", MonitorMode::Readline)]);
    assert_eq!(
        monitors("-display none -qmp unix:/q,server=on"),
        [monitor("compat_monitor0", MonitorMode::Control(false))]
    );
    let line = "-display none -chardev socket,id=q,path=/q -mon chardev=q,mode=control,pretty=on -monitor none";
    assert_eq!(monitors(line), [monitor("q", MonitorMode::Control(true))]);
    assert_eq!(machine("-qtest unix:/q").1.qtest.as_deref(), Some("qtest"));
    for (line, why) in [
        ("-serial chardev:z", "-serial chardev:z: there is no chardev 'z'"),
        ("-serial stdio -serial stdio", "-serial stdio: cannot use stdio by multiple character devices"),
        ("-chardev foo,id=x", "-chardev foo,id=x: character device \"foo\": 'foo' is not a valid char driver name"),
        ("-mon z", "-mon z: chardev \"z\" not found"),
        ("-chardev null,id=z -mon z,mode=x", "-mon z,mode=x: unknown monitor mode \"x\""),
        ("-display gtk", "-display gtk: not supported, only none"),
        ("-vga std", "-vga std: not supported, only none"),
    ] {
        assert_eq!(refused(line), why);
    }
}

#[test]
fn shares_and_devices() {
    let c = config("-M virt -virtfs local,path=/p,mount_tag=t,security_model=mapped,readonly=on");
    let folder = Folder::Local { path: "/p".into(), read_only: true, security_model: "mapped-xattr".into() };
    assert_eq!((c.fsdevs[0].id.as_str(), &c.fsdevs[0].folder), ("t", &folder));
    assert_eq!(c.devices, [DeviceConfig::new("virtio-9p-pci").with("fsdev", "t").with("mount_tag", "t")]);
    assert_eq!(config("-fsdev synth,id=s").fsdevs[0].folder, Folder::Synth);
    assert!(config("-device virtio-rng-pci").devices[0].props.is_empty());
    let c = config("-device virtio-rng-pci,id=r,bus=pcie.0 -set device.r.addr=7 -global virtio-rng-pci.packed=on");
    assert_eq!((c.devices[0].bus.as_deref(), &c.devices[0].props[0].1[..]), (Some("pcie.0"), "7"));
    assert_eq!(c.globals, [("virtio-rng-pci".into(), "packed".into(), "on".into())]);
    assert!(!config("-global virtio-mmio.force-legacy=false").options.legacy_virtio);
    for (line, why) in [
        ("-device foo", "-device foo: 'foo' is not a valid device model name"),
        ("-device goldfish-rtc", "-device goldfish-rtc: 'goldfish-rtc' belongs to a board and cannot be added"),
        ("-device virtio-rng-pci,foo=1", "-device virtio-rng-pci,foo=1: Property 'virtio-rng-pci.foo' not found"),
        ("-set device.x.y=1", "-set device.x.y=1: there is no device \"x\" defined"),
        ("-set x", "-set x: invalid format: x"),
        ("-fsdev local,id=a,path=p", "-fsdev local,id=a,path=p: Parameter 'security_model' is missing"),
        (
            "-fsdev local,id=a,path=p,security_model=mapped-file",
            "-fsdev local,id=a,path=p,security_model=mapped-file: security_model=mapped-file is not supported, only none, passthrough, mapped-xattr",
        ),
        (
            "-device virtio-9p-pci,fsdev=x,mount_tag=t",
            "-device virtio-9p-pci,fsdev=x,mount_tag=t: there is no fsdev 'x'",
        ),
        (
            "-device virtio-rng-pci,id=a -device virtio-rng-pci,id=a",
            "-device virtio-rng-pci,id=a: Duplicate device ID 'a'",
        ),
    ] {
        assert_eq!(refused(line), why);
    }
}

#[test]
fn help() {
    let version = printed("-version");
    assert!(version.starts_with("QEMU emulator version 10.0.0 (tern "), "{version}");
    for (line, part) in [
        ("-h", "-netdev user|tap|socket"),
        ("--help", "usage: qemu-system-riscv64 [options] [disk image]\n"),
        ("-M help", "virt "),
        ("-machine ?", "spike "),
        ("-cpu help", "rv64\n"),
        ("-accel help", "tcg\n"),
        ("-device help", "name \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\", desc "),
        ("-device virtio-blk-device,help", "  drive=<str> "),
        ("-netdev help", "user\n"),
        ("-chardev help", "stdio\n"),
        ("-object help", "rng-random\n"),
        ("-d help", "in_asm "),
        ("-nic user,model=help", "virtio-net-pci\n"),
    ] {
        let text = printed(line);
        assert!(text.contains(part), "{line}: {text}");
    }
}

#[test]
fn the_table_is_sound() {
    for (n, row) in table::ROWS.iter().enumerate() {
        for name in [row.name, row.alias].into_iter().filter(|n| !n.is_empty()) {
            let first = table::ROWS.iter().position(|r| r.name == name || r.alias == name);
            assert_eq!(first, Some(n), "-{name} twice");
        }
    }
    assert_eq!(
        parse("qemu-system-vax", &[]).unwrap_err().0,
        "qemu-system-vax: this tern has machines of riscv32, riscv64"
    );
}

#[cfg(unix)]
#[test]
fn arguments_that_are_no_text() {
    use std::os::unix::ffi::OsStringExt;
    let bad = OsString::from_vec(vec![0xff]);
    assert_eq!(
        parse(NAME, &["-kernel".into(), bad.clone()]).unwrap_err().0,
        format!("{NAME}: -kernel: the argument is not UTF-8")
    );
    assert!(parse(NAME, &[bad]).is_err());
}

/// No text makes it panic.
#[test]
fn damaged_lines_are_refused_or_taken() {
    let words = words(BOOT);
    let bytes = ["", ",", "=", ",,", "-", "é", "{", "0x", "99999999999999999999", "on", "'\u{0}"];
    for (n, word) in words.iter().enumerate() {
        let text = word.to_str().unwrap();
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for insert in bytes {
                let mut line = words.clone();
                line[n] = format!("{}{insert}{}", &text[..at], &text[at..]).into();
                let _ = parse(NAME, &line);
                line[n] = text[..at].into();
                let _ = parse(NAME, &line);
            }
        }
    }
}
