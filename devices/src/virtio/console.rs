//! virtio-console: consoles and named serial ports (virtio 1.2, 5.3).
//!
//! One console port alone needs no control queues; everything else is multiport.  Port n of the device is where backend n's
//! input enters; backend `SIZE_PORT` tells the size of the terminal.  Ports are children (`ports.rs`) that may come and go.

use super::{Broken, CHILDREN_PORT, Cx, Kind, VirtioDevice};
use crate::model::{BusKind, Child, Prop, PropKind, Props};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use tern_core::backend::CharSink;
use tern_core::snapshot::{self, StateError};
use tern_core::time::Clock;

crate::virtio_part! {
    3, "virtio-serial", [], Serial, class 0x07_8000, legacy 0x1003,
    "virtio console: ports, terminal size, emergency output",
    [Prop::new("max_ports", PropKind::Number(32, 31), "most ports"), Prop::only("emergency-write", &["on"])],
    Some(BusKind::VirtioSerial), |wants| {
        let most = wants.props.number("max_ports");
        match u32::try_from(most) {
            Ok(most) if (1..=MAX_PORTS as u32).contains(&most) => Ok(Box::new(Console::with_room(most))),
            _ => Err(format!("max_ports property must be from 1 to {MAX_PORTS}, not {most}")),
        }
    }
}

/// The backend that hands over the terminal's size: columns, then rows, two little-endian bytes each.
pub const SIZE_PORT: u32 = 0xff;
/// Most ports (QEMU's limit of virtio-serial).
pub const MAX_PORTS: usize = 31;

/// Feature bits (5.3.3).
mod feature {
    pub(super) const SIZE: u64 = 1;
    pub(super) const MULTIPORT: u64 = 2;
    pub(super) const EMERG_WRITE: u64 = 4;
}

/// Control messages (5.3.6.2).
mod control {
    pub(super) const DEVICE_READY: u16 = 0;
    pub(super) const DEVICE_ADD: u16 = 1;
    pub(super) const DEVICE_REMOVE: u16 = 2;
    pub(super) const PORT_READY: u16 = 3;
    pub(super) const CONSOLE_PORT: u16 = 4;
    pub(super) const RESIZE: u16 = 5;
    pub(super) const PORT_OPEN: u16 = 6;
    pub(super) const PORT_NAME: u16 = 7;
}

const CONTROL_RX: u16 = 2;
const CONTROL_TX: u16 = 3;
const QUEUE_SIZE: u16 = 128;
const CONTROL_SIZE: u16 = 32;
/// Offset of the emergency write register in the configuration space.
const EMERG_WR: u32 = 8;
/// Most bytes taken from one chain; no driver sends as many at once.
const MOST: u64 = 1 << 24;
/// Most control messages that wait for buffers, per port.
const MOST_PENDING: usize = 8;

/// A port and what is behind it.
pub struct Port {
    /// The name that the guest finds under `/dev/virtio-ports`; may be empty.
    pub name: String,
    /// Is it a console (`hvc`)?
    pub console: bool,
    /// Where its output goes.
    pub sink: Box<dyn CharSink>,
}

/// What the guest has done with a port.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct PortState {
    /// It is open.
    open: bool,
    /// It is set up.
    ready: bool,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    columns: u16,
    rows: u16,
    /// The guest knows about ports that come and go.
    listens: bool,
    ports: BTreeMap<u32, PortState>,
    /// Control messages that wait for buffers.
    pending: VecDeque<Vec<u8>>,
}

/// The device.
pub struct Console {
    /// Most ports.
    most: u32,
    /// One console needs no control queues.
    multiport: bool,
    ports: BTreeMap<u32, Port>,
    state: State,
}

impl Console {
    /// One with these ports, of which the first [`MAX_PORTS`] are taken; the first is where emergency output goes.
    #[must_use]
    pub fn new(mut ports: Vec<Port>) -> Console {
        ports.truncate(MAX_PORTS);
        let multiport = ports.len() != 1 || !ports[0].console;
        let ports: BTreeMap<u32, Port> = (0..).zip(ports).collect();
        let mut console = Console { most: ports.len() as u32, multiport, ports, state: State::default() };
        console.state = console.new_state();
        console
    }

    /// One with room for `most` ports, 1 to [`MAX_PORTS`], and none yet.
    #[must_use]
    pub fn with_room(most: u32) -> Console {
        let most = most.clamp(1, MAX_PORTS as u32);
        Console { most, multiport: most > 1, ports: BTreeMap::new(), state: State::default() }
    }

    fn new_state(&self) -> State {
        State { ports: self.ports.keys().map(|id| (*id, PortState::default())).collect(), ..State::default() }
    }

    /// The port that a data queue belongs to, whether there is one or not, and whether the device writes to that queue.
    fn role(&self, queue: u16) -> Option<(u32, bool)> {
        let port = match u32::from(queue / 2) {
            0 => 0,
            1 => return None,
            n => n - 1,
        };
        (port < self.most).then_some((port, queue.is_multiple_of(2)))
    }

    fn input_queue(port: u32) -> u16 {
        if port == 0 { 0 } else { 2 * port as u16 + 2 }
    }

    /// Where a new port goes: where it wants to be, or in the next free place.  Place 0 is a console's.
    fn place(&self, wanted: Option<u32>, port: &Port) -> Result<u32, String> {
        let free = |id: &u32| !self.ports.contains_key(id);
        if !port.name.is_empty() && self.ports.values().any(|p| p.name == port.name) {
            return Err(format!("a port already exists by name {}", port.name));
        }
        let from = u32::from(!port.console);
        match wanted {
            Some(0) if !port.console => Err("port 0 is reserved for a virtconsole".to_owned()),
            Some(id) if id >= self.most => Err(format!("port {id} is out of range, max. allowed: {}", self.most - 1)),
            Some(id) if !free(&id) => Err(format!("a port already exists at id {id}")),
            Some(id) => Ok(id),
            None => (from..self.most).find(free).ok_or_else(|| "maximum port limit for this device reached".to_owned()),
        }
    }

    /// Prints what the guest has sent on a port; without one it goes nowhere.
    fn print(&mut self, cx: &mut Cx<'_>, queue: u16, port: u32) -> Result<(), Broken> {
        let mut buf = [0; 4096];
        while let Some(mut chain) = cx.pop(queue)? {
            if chain.readable() > MOST {
                cx.kit.report.guest_error(format_args!("{} bytes in one buffer", chain.readable()));
            }
            let mut left = MOST;
            while left > 0 {
                let n = cx.read(&mut chain, &mut buf)?;
                if n == 0 {
                    break;
                }
                if let Some(port) = self.ports.get_mut(&port) {
                    port.sink.write(&buf[..n]);
                }
                left = left.saturating_sub(n as u64);
            }
            cx.push(queue, &chain);
        }
        Ok(())
    }

    /// Sends a control message as soon as there is a buffer for it.
    fn send(&mut self, cx: &mut Cx<'_>, port: u32, event: u16, value: u16, more: &[u8]) -> Result<(), Broken> {
        if self.state.pending.len() >= MOST_PENDING * (self.ports.len() + 1) {
            cx.kit.report.guest_error(format_args!("no buffers for control messages"));
            return Ok(());
        }
        self.queue(port, event, value, more);
        self.deliver(cx)
    }

    fn queue(&mut self, port: u32, event: u16, value: u16, more: &[u8]) {
        let mut message = port.to_le_bytes().to_vec();
        message.extend_from_slice(&event.to_le_bytes());
        message.extend_from_slice(&value.to_le_bytes());
        message.extend_from_slice(more);
        self.state.pending.push_back(message);
    }

    fn deliver(&mut self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        while let Some(message) = self.state.pending.front() {
            let Some(mut chain) = cx.pop(CONTROL_RX)? else { break };
            if cx.write(&mut chain, message)? < message.len() {
                cx.kit.report.guest_error(format_args!("control buffer of {} bytes", chain.written()));
            }
            cx.push(CONTROL_RX, &chain);
            self.state.pending.pop_front();
        }
        Ok(())
    }

    /// A control message of the driver (5.3.6.2).
    fn control(&mut self, cx: &mut Cx<'_>, message: [u8; 8]) -> Result<(), Broken> {
        let [id @ .., e0, e1, v0, v1] = message;
        let (id, event, value) =
            (u32::from_le_bytes(id), u16::from_le_bytes([e0, e1]), u16::from_le_bytes([v0, v1]));
        if event == control::DEVICE_READY {
            self.state.listens = value == 1;
            if self.state.listens {
                let ports: Vec<u32> = self.ports.keys().copied().collect();
                ports.into_iter().try_for_each(|port| self.send(cx, port, control::DEVICE_ADD, 1, &[]))?;
            }
            return Ok(());
        }
        let Some(state) = self.state.ports.get_mut(&id) else {
            cx.kit.report.guest_error(format_args!("control message {event} for port {id}"));
            return Ok(());
        };
        match event {
            control::PORT_READY if value == 1 => {
                state.ready = true;
                self.introduce(cx, id)
            }
            control::PORT_READY => {
                state.ready = false;
                cx.kit.report.guest_error(format_args!("the driver cannot work with port {id}"));
                Ok(())
            }
            control::PORT_OPEN => {
                state.open = value != 0;
                Ok(())
            }
            _ => {
                cx.kit.report.guest_error(format_args!("control message {event}"));
                Ok(())
            }
        }
    }

    /// Tells the driver what a port is.
    fn introduce(&mut self, cx: &mut Cx<'_>, port: u32) -> Result<(), Broken> {
        let Some((console, name)) = self.ports.get(&port).map(|p| (p.console, p.name.clone())) else { return Ok(()) };
        if console {
            self.send(cx, port, control::CONSOLE_PORT, 1, &[])?;
            self.send_size(cx, port)?;
        }
        if !name.is_empty() {
            // Linux counts on a zero byte behind the name, though the specification has none.
            self.send(cx, port, control::PORT_NAME, 1, &[name.as_bytes(), &[0]].concat())?;
        }
        self.send(cx, port, control::PORT_OPEN, 1, &[])
    }

    /// Rows come first, as Linux reads them: the specification's order is the other one, and no driver's.
    fn send_size(&mut self, cx: &mut Cx<'_>, port: u32) -> Result<(), Broken> {
        let (rows, columns) = (self.state.rows, self.state.columns);
        if !cx.has(feature::SIZE) || rows == 0 || columns == 0 {
            return Ok(());
        }
        let size = [rows.to_le_bytes(), columns.to_le_bytes()].concat();
        self.send(cx, port, control::RESIZE, 0, &size)
    }

    fn resize(&mut self, cx: &mut Cx<'_>, data: &[u8]) -> Result<(), Broken> {
        let [c0, c1, r0, r1, ..] = *data else { return Ok(()) };
        (self.state.columns, self.state.rows) = (u16::from_le_bytes([c0, c1]), u16::from_le_bytes([r0, r1]));
        if cx.has(feature::SIZE) {
            cx.config_changed();
        }
        let ready = |id: &u32| self.state.ports.get(id).is_some_and(|p| p.ready);
        let consoles: Vec<u32> = self.ports.iter().filter(|(id, p)| p.console && ready(id)).map(|(id, _)| *id).collect();
        consoles.into_iter().try_for_each(|port| self.send_size(cx, port))
    }
}

impl VirtioDevice for Console {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        let multiport = if self.multiport { feature::MULTIPORT } else { 0 };
        feature::SIZE | feature::EMERG_WRITE | multiport
    }

    fn queues(&self) -> Vec<u16> {
        let mut queues = vec![QUEUE_SIZE; 2];
        if self.multiport {
            queues.extend([CONTROL_SIZE; 2]);
            queues.resize(2 * self.most.max(1) as usize + 2, QUEUE_SIZE);
        }
        queues
    }

    fn config(&self) -> Vec<u8> {
        let mut config = [self.state.columns.to_le_bytes(), self.state.rows.to_le_bytes()].concat();
        config.extend(self.most.to_le_bytes());
        config.extend([0; 4]);
        config
    }

    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        match (offset, self.ports.values_mut().next()) {
            // The lowest byte is the character, however wide the store is (5.3.4).
            (EMERG_WR, Some(port)) => port.sink.write(&data[..1]),
            _ => cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}")),
        }
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        if queue / 2 == 1 && !cx.has(feature::MULTIPORT) {
            cx.kit.report.guest_error(format_args!("control queue {queue} is used without multiport"));
            return Ok(());
        }
        match queue {
            CONTROL_RX => self.deliver(cx),
            CONTROL_TX => {
                while let Some(mut chain) = cx.pop(CONTROL_TX)? {
                    match cx.array::<8>(&mut chain)? {
                        Some(message) => self.control(cx, message)?,
                        None => cx.kit.report.guest_error(format_args!("a control message that is too short")),
                    }
                    cx.push(CONTROL_TX, &chain);
                }
                Ok(())
            }
            _ => match self.role(queue) {
                Some((port, false)) => self.print(cx, queue, port),
                // New buffers for input: the session asks for room.
                _ => Ok(()),
            },
        }
    }

    fn room(&mut self, cx: &mut Cx<'_>, port: u32) -> Result<usize, Broken> {
        if port == SIZE_PORT {
            return Ok(4);
        }
        let open = match self.state.ports.get(&port) {
            Some(state) if cx.has(feature::MULTIPORT) => state.open,
            // Without control messages there is only the first port.
            found => found.is_some() && port == 0,
        };
        if !open {
            return Ok(0);
        }
        // What is wrong with a buffer that takes nothing is found when it is used.
        Ok(cx.peek(Console::input_queue(port)).map_or(0, |bytes| bytes.clamp(1, MOST) as usize))
    }

    fn receive(&mut self, cx: &mut Cx<'_>, port: u32, data: &[u8]) -> Result<(), Broken> {
        if port == SIZE_PORT {
            return self.resize(cx, data);
        }
        if !self.ports.contains_key(&port) {
            return Ok(());
        }
        let queue = Console::input_queue(port);
        let mut done = 0;
        while done < data.len() {
            let Some(mut chain) = cx.pop(queue)? else { break };
            if chain.writable() == 0 {
                cx.kit.report.guest_error(format_args!("a buffer for input without room"));
            }
            done += cx.write(&mut chain, &data[done..])?;
            cx.push(queue, &chain);
        }
        Ok(())
    }

    /// Ports have come or gone.
    fn changed(&mut self, cx: &mut Cx<'_>, port: u32) {
        if port == CHILDREN_PORT {
            // What is broken has been counted.
            let _ = self.deliver(cx);
        }
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let port: Port = child.take()?;
        let nr = u32::try_from(props.number("nr")).ok().filter(|nr| *nr != u32::MAX);
        let id = self.place(nr, &port)?;
        self.ports.insert(id, port);
        self.state.ports.insert(id, PortState::default());
        if self.state.listens {
            self.queue(id, control::DEVICE_ADD, 1, &[]);
        }
        Ok(id)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        self.ports.remove(&child).ok_or_else(|| format!("there is no port {child}"))?;
        self.state.ports.remove(&child);
        // What the guest has not heard of the port is of no interest now.
        self.state.pending.retain(|message| message.first_chunk() != Some(&child.to_le_bytes()));
        if self.state.listens {
            self.queue(child, control::DEVICE_REMOVE, 1, &[]);
        }
        Ok(())
    }

    /// The terminal keeps its size, whatever the guest does.
    fn reset(&mut self, _clock: &Clock) {
        let (columns, rows) = (self.state.columns, self.state.rows);
        self.state = State { columns, rows, ..self.new_state() };
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(KIND.mmio, 1, bytes)?;
        let same = state.ports.keys().eq(self.ports.keys());
        snapshot::check(same, "ports", || format!("{} ports, this device has {}", state.ports.len(), self.ports.len()))?;
        let waiting = state.pending.len();
        let few = waiting <= (MOST_PENDING + 2) * (MAX_PORTS + 1);
        snapshot::check(few, "pending", || format!("{waiting} control messages"))?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tern_core::device::Device as _;
    use super::super::testing::Driver;
    use crate::bench::Bench;
    use super::*;
    use tern_core::mem::Size;

    const ALL: u64 = feature::SIZE | feature::MULTIPORT | feature::EMERG_WRITE;

    fn port(bench: &Bench, name: &str, console: bool) -> Port {
        Port { name: name.into(), console, sink: bench.chars() }
    }

    fn driver(ports: &[(&str, bool)]) -> Driver {
        let make = |bench: &Bench| ports.iter().map(|(name, console)| port(bench, name, *console)).collect();
        Driver::split(ALL, |bench| Box::new(Console::new(make(bench))))
    }

    fn config(driver: &mut Driver) -> [u64; 3] {
        [0x100, 0x102, 0x104].map(|at| driver.device.read(0, at, if at == 0x104 { Size::B4 } else { Size::B2 }))
    }

    #[test]
    fn one_console_needs_no_control() {
        let mut driver = driver(&[("", true)]);
        driver.ask(1, &[b"hel", b"lo"], &[]);
        assert_eq!(*driver.bench.output.borrow(), b"hello");
        assert_eq!(driver.device.room(0), 0);
        [0, 2, 8].iter().for_each(|len| driver.add(0, &[], &[*len], false));
        assert_eq!(driver.device.room(0), 1);
        driver.device.receive(0, b"abcd");
        let rings = |driver: &Driver| driver.dma.array::<0x2000>(driver.areas(0)[0]).unwrap();
        let before = rings(&driver);
        assert_eq!((driver.device.room(0), driver.bench.guest_errors()), (0, 1));
        assert!(rings(&driver) == before, "asking for room leaves no trace");
        let done = [(); 3].map(|()| driver.done(0).map(|done| (done.len, done.data)).unwrap());
        assert_eq!(done, [(0, vec![]), (2, b"ab".to_vec()), (2, b"cd\0\0\0\0\0\0".to_vec())]);
        driver.interrupts();
        driver.device.receive(SIZE_PORT, &[80, 0, 25, 0]);
        assert_eq!((driver.interrupts(), config(&mut driver)), (3, [80, 25, 1]));
        driver.device.write(0, 0x108, Size::B4, b'!'.into());
        assert_eq!(*driver.bench.output.borrow(), b"hello!");
        driver.start(driver.features);
        assert_eq!(config(&mut driver), [80, 25, 1]);
    }

    /// A control message.
    fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
        [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()].concat()
    }

    /// All control messages that the device has sent.
    fn messages(driver: &mut Driver) -> Vec<Vec<u8>> {
        let next = || driver.done(CONTROL_RX).map(|done| done.data[..done.len as usize].to_vec());
        core::iter::from_fn(next).collect()
    }

    fn tell(driver: &mut Driver, port: u32, event: u16, value: u16) {
        driver.ask(CONTROL_TX, &[&message(port, event, value)], &[]);
    }

    #[test]
    fn ports_introduce_themselves_and_wait_until_they_are_open() {
        let mut driver = driver(&[("", true), ("org.test", false)]);
        (0..12).for_each(|_| driver.add(CONTROL_RX, &[], &[32], false));
        driver.device.receive(SIZE_PORT, &[80, 0, 25, 0]);
        tell(&mut driver, 0, control::DEVICE_READY, 1);
        assert_eq!(messages(&mut driver), [message(0, 1, 1), message(1, 1, 1)]);
        tell(&mut driver, 0, control::PORT_READY, 1);
        tell(&mut driver, 1, control::PORT_READY, 1);
        let resize = [message(0, 5, 0), vec![25, 0, 80, 0]].concat();
        let name = [message(1, 7, 1), b"org.test\0".to_vec()].concat();
        let wanted = [message(0, 4, 1), resize, message(0, 6, 1), name, message(1, 6, 1)];
        assert_eq!(messages(&mut driver), wanted);
        driver.add(4, &[], &[16], false);
        assert_eq!(driver.device.room(1), 0);
        tell(&mut driver, 1, control::PORT_OPEN, 1);
        assert_eq!(driver.device.room(1), 16);
        driver.device.receive(1, b"in");
        assert_eq!(driver.done(4).map(|done| done.data[..done.len as usize].to_vec()), Some(b"in".to_vec()));
        driver.ask(5, &[b"out"], &[]);
        assert_eq!((driver.bench.output.borrow().clone(), driver.bench.guest_errors()), (b"out".to_vec(), 0));
        tell(&mut driver, 2, control::PORT_OPEN, 1);
        driver.ask(CONTROL_TX, &[b"short"], &[]);
        assert_eq!((driver.bench.guest_errors(), driver.is_broken()), (2, false));
    }

    #[test]
    fn control_messages_wait_for_buffers_but_not_without_end() {
        let mut driver = driver(&[("a", false)]);
        (0..40).for_each(|_| tell(&mut driver, 0, control::DEVICE_READY, 1));
        assert_eq!(driver.bench.guest_errors(), 24);
        let saved = driver.device.save().unwrap();
        driver.device.load(&saved).unwrap();
        (0..20).for_each(|_| driver.add(CONTROL_RX, &[], &[8], false));
        driver.kick(CONTROL_RX);
        assert_eq!(messages(&mut driver), vec![message(0, 1, 1); 16]);
        let few = Console::new(Vec::new()).save().unwrap();
        assert!(Console::new(vec![port(&driver.bench, "a", false)]).load(&few).is_err());
    }

    #[test]
    fn ports_come_and_go() {
        let mut driver = Driver::split(ALL, |_| Box::new(Console::with_room(4)));
        let props = |nr: u32| {
            let mut props = crate::model::find("virtserialport").unwrap().defaults();
            props.set("nr", crate::model::Value::Number(nr.into()));
            props
        };
        let mut console = Console::with_room(4);
        let child = |bench: &Bench, name: &str, console| Child::new(port(bench, name, console));
        let any = u32::MAX;
        assert!(console.plug(&props(0), child(&driver.bench, "a", false)).is_err(), "0 is a console's");
        assert_eq!(console.plug(&props(any), child(&driver.bench, "a", false)), Ok(1));
        assert!(console.plug(&props(any), child(&driver.bench, "a", false)).is_err(), "the same name");
        assert!(console.plug(&props(1), child(&driver.bench, "b", false)).is_err(), "the same place");
        assert!(console.plug(&props(4), child(&driver.bench, "b", false)).is_err(), "out of range");
        assert_eq!(console.plug(&props(any), child(&driver.bench, "", true)), Ok(0));
        assert_eq!(console.plug(&props(3), child(&driver.bench, "", false)), Ok(3));
        assert_eq!(console.plug(&props(any), child(&driver.bench, "", false)), Ok(2));
        assert!(console.plug(&props(any), child(&driver.bench, "", false)).is_err(), "full");
        assert!(console.plug(&props(any), Child::new(7)).is_err());
        assert_eq!((console.unplug(2), console.unplug(2).is_err()), (Ok(()), true));
        assert!(console.state.pending.is_empty(), "the guest does not listen");
        // A driver hears of it.
        (0..6).for_each(|_| driver.add(CONTROL_RX, &[], &[32], false));
        tell(&mut driver, 0, control::DEVICE_READY, 1);
        let child = child(&driver.bench, "late", false);
        assert_eq!(driver.slot().plug(&props(any), child), Ok(1));
        assert_eq!(messages(&mut driver), [message(1, 1, 1)]);
        tell(&mut driver, 1, control::PORT_READY, 1);
        tell(&mut driver, 1, control::PORT_OPEN, 1);
        assert_eq!(messages(&mut driver).len(), 2);
        driver.ask(5, &[b"out"], &[]);
        assert_eq!(*driver.bench.output.borrow(), b"out");
        assert_eq!(driver.slot().unplug(1), Ok(()));
        assert_eq!(messages(&mut driver), [message(1, 2, 1)]);
        driver.ask(5, &[b"lost"], &[]);
        assert_eq!((driver.bench.output.borrow().len(), driver.device.room(1)), (3, 0));
    }
}
